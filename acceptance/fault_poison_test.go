package acceptance

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
)

const randomRequests = 400

// vaultRefuses are the words of Vault's JSON parser, before which no plugin is asked.
var vaultRefuses = regexp.MustCompile(`^\{"errors":\["` +
	`(invalid character|malformed JSON|duplicate key|error parsing JSON|json: |unexpected E)`)

// poison is input that nobody in their right mind sends. Nothing in it may lead to AWS.
func poison() []string {
	deep := strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200)
	return []string{
		``, `null`, `[]`, `"text"`, `0`, `{`, `{"access_key"`, "\x00", "{\"access_key\":\"\x00\xff\"}",
		`{"access_key":"\ud800"}`,
		`{"auth_type":"roles_anywhere"}`, `{"auth_type":["roles_anywhere"]}`,
		`{"auth_type":"ROLES_ANYWHERE","duration":-1}`,
		`{"duration":1e400}`, `{"duration":99999999999999999999999}`, `{"duration":"9223372036854775807h"}`,
		`{"duration":-0.0}`,
		`{"name":"other","access_key":"A","secret_key":"b","s3_endpoint":"http://127.0.0.1:1"}`, `{"name":{"a":1}}`,
		`{"":""}`, `{"__proto__":{"a":1}}`,
		`{"certificate":"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"}`,
		`{"private_key":"-----BEGIN"}`,
		`{"auth_type":"roles_anywhere","private_key":"` +
			`-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----",` +
			`"private_key_passphrase":"x"}`,
		`{"proxy_url":"http://%zz"}`, `{"proxy_url":"socks5://[::1]:99999"}`,
		`{"rolesanywhere_endpoint":"https://[::1"}`,
		`{"s3_endpoint":"http://127.0.0.1:0"}`, `{"ca_cert":"` + strings.Repeat("A", 1<<20) + `"}`,
		`{"session_name":"` + strings.Repeat("é\u202e", 5000) + `"}`, deep, `{"access_key":` + deep + `}`,
		`{"secret_key":"a","secret_key":"b","access_key":"c","s3_endpoint":"http://127.0.0.1:1"}`,
		`{"verify_connection":"maybe"}`,
		`{"verify_connection":true,"access_key":"a","secret_key":"b","s3_endpoint":"http://127.0.0.1:1"}`,
		`{"role_arn":"arn:aws:iam::::::role/"}`, `{"profile_arn":"arn:::::"}`, `{"custom_region":"../../etc"}`,
		`{"s3_region":"\r\nX-Forged: 1"}`,
	}
}

func poisonedPaths() []string {
	long := strings.Repeat("n", 3000)
	return []string{
		"config/x", "config", "config/", "config/x/y", "config/%00", "config/..%2fcreds", "config/" + long,
		"config/%F0%9F%92%A5", "config/-", "config/a.b-c_d",
		"test", "test/", "test/x", "test/x/y", "creds", "creds/x", "creds/x/", "creds/%2e%2e", "creds/" + long, "sdk/x",
		"sdk", "sdk/%25", "session/x", "nothing/x",
	}
}

var poisonedMethods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	"LIST", http.MethodHead, http.MethodOptions, "PURGE"}

// randomBody is JSON in which fields of a connection hold anything. Nothing in it can be an address of AWS's.
func randomBody(r *rand.Rand) string {
	fields := []string{"auth_type", "region", "custom_region", "access_key", "secret_key", "profile_arn", "role_arn",
		"trust_anchor_arn", "session_name",
		"send_session_name", "duration", "extended_duration", "certificate", "private_key", "private_key_passphrase",
		"pkcs12", "generate_lease",
		"s3_region", "s3_path_style", "ca_cert", "proxy_url", "verify_connection", "name", "unknown"}
	body := map[string]any{}
	for range r.IntN(len(fields)) {
		body[fields[r.IntN(len(fields))]] = randomValue(r, 0)
	}
	if body["auth_type"] != nil && r.IntN(2) == 0 {
		body["auth_type"] = "roles_anywhere"
	}
	body["s3_endpoint"], body["rolesanywhere_endpoint"] = "http://127.0.0.1:1", "http://127.0.0.1:1"
	if r.IntN(2) == 0 {
		delete(body, "rolesanywhere_endpoint") // which access keys may not have
	}
	text, err := json.Marshal(body)
	if err != nil {
		return "{}"
	}
	if r.IntN(8) == 0 {
		text[r.IntN(len(text))] = byte(r.IntN(256))
	}
	return string(text)
}

func randomValue(r *rand.Rand, depth int) any {
	switch n := r.IntN(10); {
	case n == 0:
		return nil
	case n == 1:
		return r.IntN(2) == 0
	case n == 2:
		return r.Int64() - r.Int64()
	case n == 3:
		return r.NormFloat64() * 1e300
	case n == 4 && depth < 4:
		return map[string]any{"a": randomValue(r, depth+1), string(rune(r.IntN(0x10ffff))): randomValue(r, depth+1)}
	case n == 5 && depth < 4:
		return []any{randomValue(r, depth+1), randomValue(r, depth+1)}
	case n == 6:
		return []string{"true", "1h", "-1", "arn:aws:iam::123456789012:role/x", profileARN,
			"-----BEGIN PRIVATE KEY-----", "us-east-1", "access_key"}[r.IntN(8)]
	}
	text := make([]rune, r.IntN(60))
	for i := range text {
		text[i] = rune(r.IntN(0x3000))
	}
	return string(text)
}

func TestFaults_PoisonNeverKillsThePlugin(t *testing.T) {
	t.Parallel()
	vault := harness.StartVault(t, harness.VaultOptions{InMemory: true, PluginRace: true})
	s := newServerUnderLoad(t, vault)
	pid := pluginPID(t, vault)
	s.load.reset()
	statuses := map[int]int{}
	send := func(method, path, body string) {
		a := s.raw.ask(t.Context(), method, "s3conn/"+path, body)
		statuses[a.status]++
		// Vault itself answers 500 to what is no JSON.
		if a.err != nil || a.status == http.StatusInternalServerError && !vaultRefuses.MatchString(a.body) {
			t.Errorf("%s %.60s with %.300q: HTTP %d %s %v", method, path, body, a.status, a.body, a.err)
		}
	}
	for _, body := range poison() {
		for _, path := range []string{"config/x", "test", "test/x", "creds/x", "sdk/x"} {
			send(http.MethodPost, path, body)
		}
		send(http.MethodPatch, "config/x", body)
	}
	for _, path := range poisonedPaths() {
		for _, method := range poisonedMethods {
			send(method, path, `{"access_key":"AKIA","secret_key":{"a":[1]}}`)
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range randomRequests {
		method := poisonedMethods[r.IntN(5)]
		path := []string{"config/x", "config/" + fmt.Sprint(r.IntN(20)), "test", "test/x", "creds/x",
			"sdk/x"}[r.IntN(6)]
		send(method, path, randomBody(r))
	}
	seen := s.load.take()
	t.Logf("answers by status: %v; %d warm reads meanwhile, %d failed, the longest took %s", statuses, seen.reads,
		seen.failed, seen.longest)
	if seen.failed > 0 || seen.reads == 0 {
		t.Errorf("%d of %d warm reads failed, the last with %s", seen.failed, seen.reads, seen.says)
	}
	if now := pluginPID(t, vault); now != pid {
		t.Errorf("the plugin's process is %d, and was %d before: it was killed", now, pid)
	}
	if strings.Contains(vault.ServerLog(), "panicked") {
		t.Error("the log reports a panic")
	}
	s.load.stop()
	s.assertNothingLeft()
}
