package acceptance

import (
	"net/http"
	"strings"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
)

func TestAccessKeys_WriteTestReadAndListBuckets(t *testing.T) {
	t.Parallel()
	s := newStack(t, harness.VaultOptions{InMemory: true})
	root := s.minio.RootCredentials()
	s.write("config/reports", s.rootFields())

	tested := s.write("test/reports", nil)
	if tested.Data["identity"] != root.AccessKeyID || number(t, tested.Data, "bucket_count") != 1 {
		t.Errorf("test/reports = %v, want the key and one bucket", tested.Data)
	}

	read := s.read("creds/reports")
	if read.LeaseID != "" || read.LeaseDuration != 0 || read.Data["session_token"] != "" {
		t.Errorf("access keys came with a lease or token: %+v", read)
	}
	s.mustListBuckets(credentialsOf(read))
}

func TestAccessKeys_TestFailsInTheStoresOwnWords(t *testing.T) {
	t.Parallel()
	s := newStack(t, harness.VaultOptions{InMemory: true})
	root := s.minio.RootCredentials()
	wrongSecret := s.s3Fields(map[string]any{"access_key": root.AccessKeyID, "secret_key": "CANARY-wrong-secret"})
	text := s.refused("test", wrongSecret)
	assertSays(t, text, "ListBuckets: SignatureDoesNotMatch", "HTTP 403", "request id ")
	unknown := s.s3Fields(map[string]any{"access_key": "nobody", "secret_key": "CANARY-wrong-secret"})
	assertSays(t, s.refused("test", unknown), "ListBuckets: InvalidAccessKeyId")

	unknown["verify_connection"] = true
	assertSays(t, s.refused("config/reports", unknown), "InvalidAccessKeyId", "nothing was stored")
	if stored := s.readOrNil("config/reports"); stored != nil {
		t.Errorf("what failed its test was stored: %v", stored.Data)
	}
	unreachable := s.s3Fields(map[string]any{"access_key": "a", "secret_key": "b", "s3_endpoint": "http://127.0.0.1:1"})
	assertSays(t, s.fails(http.StatusBadGateway, "test", unreachable), "refused the connection")
	if strings.Contains(text, "CANARY") || strings.Contains(s.vault.ServerLog(), "CANARY") {
		t.Error("an error or the log quotes the secret key")
	}
}
