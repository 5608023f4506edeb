package awscall

import (
	"context"
	"crypto/fips140"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

// TestFIPS_ShortSecretsAreAnErrorAndNoPanic runs itself again where Go enforces FIPS 140-3.
func TestFIPS_ShortSecretsAreAnErrorAndNoPanic(t *testing.T) {
	t.Parallel()
	if !fips140.Enforced() {
		command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFIPS_ShortSecretsAreAnErrorAndNoPanic$")
		command.Env = append(os.Environ(), "GODEBUG=fips140=only")
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("with FIPS 140-3 enforced: %v\n%s", err, out)
		}
		return
	}
	store := S3{Endpoint: "http://127.0.0.1:1", Region: "us-east-1"}
	client := &Client{HTTP: &http.Client{}, Now: time.Now}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // nothing is called
	for text, short := range map[string]bool{"123456789": true, "1234567890": false} {
		creds := Credentials{AccessKeyID: "AKIAEXAMPLE", SecretAccessKey: secret.New(text)}
		in := PresignInput{Method: http.MethodGet, Bucket: "ledger", Key: "a", Expires: time.Minute}
		if _, err := Presign(store, creds, in, time.Now(), time.Time{}); errors.Is(err, errNotInFIPS) != short {
			t.Errorf("presigning with %d characters: %v", len(text), err)
		}
		if _, err := client.ListBuckets(ctx, store, creds); errors.Is(err, errNotInFIPS) != short {
			t.Errorf("ListBuckets with %d characters: %v", len(text), err)
		}
	}
}
