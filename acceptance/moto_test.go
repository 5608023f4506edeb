package acceptance

import (
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// TestRotation_MotoJudgesEachStep has an IAM of others' making, which checks every signature and permission, judge a
// rotation with the policy of the examples. The two hours of the grace are over in the plugin's own tests, whose clock
// moves.
func TestRotation_MotoJudgesEachStep(t *testing.T) {
	t.Parallel()
	served := startMoto(t)
	s := newMotoStack(t)
	old := served.Users["rotating"]
	fields := func(key motoKey) map[string]any {
		return map[string]any{"access_key": key.AccessKey, "secret_key": key.SecretKey, "region": "us-east-1",
			"s3_endpoint": served.Endpoint, "s3_path_style": true, "iam_endpoint": served.Endpoint,
			"sts_endpoint": served.Endpoint, "rotation_period": "24h"}
	}
	s.write("config/orders", fields(old))
	s.write("scopes/orders/reports", map[string]any{"role_arn": "arn:aws:iam::" + account + ":role/scoped",
		"buckets": bucketName, "prefixes": "reports-", "session_name": "reports"})

	operator := s.vault.Client()
	operator.SetToken(s.token("rotate.hcl"))
	answer, err := operator.Logical().WriteWithContext(t.Context(), "s3conn/rotate/orders", nil)
	if err != nil {
		t.Fatalf("rotating with the policy of the examples: %v", err)
	}
	read := s.read("creds/orders")
	fresh := motoKey{read.Data["access_key"].(string), read.Data["secret_key"].(string)}
	if fresh.AccessKey == old.AccessKey || answer.Data["access_key"] != fresh.AccessKey ||
		answer.Data["previous_access_key"] != old.AccessKey {
		t.Errorf("rotate returns %v; the key was %s, a read shows %s", answer.Data, old.AccessKey, fresh.AccessKey)
	}
	if again := s.write("rotate/orders", nil); again.Data["access_key"] != fresh.AccessKey {
		t.Errorf("asking again has made %v", again.Data["access_key"])
	}
	for name, key := range map[string]motoKey{"old": old, "new": fresh} {
		assertCaller(t, served, name+" key in the grace", key.credentials(), "arn:aws:iam::"+account+":user/rotating")
	}
	// The user is full for the length of the grace, whoever asks.
	s.write("config/other", fields(fresh))
	assertSays(t, s.fails(http.StatusBadRequest, "rotate/other", map[string]any{}), old.AccessKey, fresh.AccessKey,
		"two access keys")
	assertCaller(t, served, "session of the scope", credentialsOf(s.read("creds/orders/reports")),
		"arn:aws:sts::"+account+":assumed-role/scoped/reports")

	if _, err := s.api.Logical().DeleteWithContext(t.Context(), "s3conn/config/orders"); err != nil {
		t.Fatal(err)
	}
	if who, err := served.caller(t.Context(), old.credentials()); err == nil {
		t.Errorf("after the connection's deletion moto takes the old key for %s", who)
	}
	assertCaller(t, served, "new key after the deletion", fresh.credentials(), "arn:aws:iam::"+account+":user/rotating")
}

func TestRotation_MotoRefusesAUserWithoutThePolicy(t *testing.T) {
	t.Parallel()
	served := startMoto(t)
	s := newMotoStack(t)
	key := served.Users["fixed"]
	s.write("config/orders", map[string]any{"access_key": key.AccessKey, "secret_key": key.SecretKey,
		"region": "us-east-1", "iam_endpoint": served.Endpoint, "sts_endpoint": served.Endpoint})
	assertSays(t, s.fails(http.StatusBadRequest, "rotate/orders", map[string]any{}), "ListAccessKeys: HTTP 403")
	if read := s.read("creds/orders"); read.Data["access_key"] != key.AccessKey {
		t.Errorf("after the refusal a read shows %v", read.Data["access_key"])
	}
}

func (k motoKey) credentials() aws.Credentials {
	return aws.Credentials{AccessKeyID: k.AccessKey, SecretAccessKey: k.SecretKey}
}

func assertCaller(t *testing.T, served *moto, what string, creds aws.Credentials, want string) {
	t.Helper()
	if who, err := served.caller(t.Context(), creds); err != nil || who != want {
		t.Errorf("moto takes the %s for %q, %v; want %s", what, who, err, want)
	}
}
