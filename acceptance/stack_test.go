// Package acceptance proves the plugin on real servers: Vault, Vault Agent and Proxy, and MinIO's S3, with
// credentials that MinIO itself enforces.
package acceptance

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/hashicorp/vault/api"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
)

const (
	pluginName = "vault-plugin-s3conn"
	bucketName = "ledger"
)

// stack is a real Vault with the plugin mounted at s3conn/, and a real MinIO with one bucket.
type stack struct {
	t     *testing.T
	vault *harness.Vault
	minio *harness.MinIO
	api   *api.Client
}

func newStack(t *testing.T, opts harness.VaultOptions) *stack {
	t.Helper()
	opts.PluginRace = true // a race that the plugin meets fails the test
	s := &stack{t: t, minio: harness.StartMinIO(t), vault: harness.StartVault(t, opts)}
	s.minio.MakeBucket(bucketName)
	s.vault.RegisterPlugin(pluginName)
	s.vault.Mount("s3conn", pluginName)
	s.api = s.vault.Client()
	return s
}

// s3Fields adds where MinIO is to a connection's fields.
func (s *stack) s3Fields(fields map[string]any) map[string]any {
	all := map[string]any{"s3_endpoint": s.minio.Endpoint(), "s3_path_style": true, "region": harness.MinIORegion}
	maps.Copy(all, fields)
	return all
}

// rootFields is a connection with MinIO's own access key.
func (s *stack) rootFields() map[string]any {
	root := s.minio.RootCredentials()
	return s.s3Fields(map[string]any{"access_key": root.AccessKeyID, "secret_key": root.SecretAccessKey})
}

func (s *stack) write(path string, data map[string]any) *api.Secret {
	s.t.Helper()
	secret, err := s.api.Logical().WriteWithContext(s.t.Context(), "s3conn/"+path, data)
	if err != nil {
		s.t.Fatalf("writing %s: %v", path, err)
	}
	return secret
}

func (s *stack) readOrNil(path string) *api.Secret {
	s.t.Helper()
	secret, err := s.api.Logical().ReadWithContext(s.t.Context(), "s3conn/"+path)
	if err != nil {
		s.t.Fatalf("reading %s: %v", path, err)
	}
	return secret
}

func (s *stack) read(path string) *api.Secret {
	s.t.Helper()
	secret := s.readOrNil(path)
	if secret == nil {
		s.t.Fatalf("reading %s: nothing there", path)
	}
	return secret
}

// refused writes what Vault has to answer with 400, and returns the error's text.
func (s *stack) refused(path string, data map[string]any) string {
	s.t.Helper()
	return s.fails(http.StatusBadRequest, path, data)
}

// fails writes what Vault has to answer with the status; nil data reads instead.
func (s *stack) fails(status int, path string, data map[string]any) string {
	s.t.Helper()
	var err error
	if data == nil {
		_, err = s.api.Logical().ReadWithContext(s.t.Context(), "s3conn/"+path)
	} else {
		_, err = s.api.Logical().WriteWithContext(s.t.Context(), "s3conn/"+path, data)
	}
	var answer *api.ResponseError
	if !errors.As(err, &answer) {
		s.t.Fatalf("%s: got %v, want an answer with status %d", path, err, status)
	}
	text := strings.Join(answer.Errors, "\n")
	if answer.StatusCode != status {
		s.t.Fatalf("%s: status %d, want %d: %s", path, answer.StatusCode, status, text)
	}
	return text
}

func credentialsOf(read *api.Secret) aws.Credentials {
	field := func(name string) string { value, _ := read.Data[name].(string); return value }
	return aws.Credentials{AccessKeyID: field("access_key"), SecretAccessKey: field("secret_key"),
		SessionToken: field("session_token")}
}

func (s *stack) listBuckets(creds aws.Credentials) ([]string, error) {
	out, err := s.minio.Client(creds).ListBuckets(s.t.Context(), &s3.ListBucketsInput{})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, bucket := range out.Buckets {
		names = append(names, aws.ToString(bucket.Name))
	}
	return names, nil
}

func (s *stack) mustListBuckets(creds aws.Credentials) {
	s.t.Helper()
	if names, err := s.listBuckets(creds); err != nil || len(names) != 1 || names[0] != bucketName {
		s.t.Errorf("listing buckets with the vended credentials: %v, %v; want [%s]", names, err, bucketName)
	}
}

// number reads a JSON number of an answer.
func number(t *testing.T, data map[string]any, name string) int64 {
	t.Helper()
	n, ok := data[name].(json.Number)
	if !ok {
		t.Fatalf("%s = %v, want a number", name, data[name])
	}
	i, err := n.Int64()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return i
}

func assertSays(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q does not say %q", text, part)
		}
	}
}

func assertWithin(t *testing.T, what string, got, want, tolerance time.Duration) {
	t.Helper()
	if got < want-tolerance || got > want+tolerance {
		t.Errorf("%s = %s, want %s (within %s)", what, got, want, tolerance)
	}
}
