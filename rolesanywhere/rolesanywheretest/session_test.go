package rolesanywheretest

import (
	"context"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestSession_Response(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	recorder := w.call(t, func(u *unsigned) { u.body = with("roleSessionName", "orders-api", "durationSeconds", 900) })
	if recorder.Code != http.StatusCreated || recorder.Header().Get("Content-Type") != "application/json" ||
		recorder.Header().Get("X-Amzn-ErrorType") != "" {
		t.Fatalf("status %d, header %v, %s", recorder.Code, recorder.Header(), recorder.Body)
	}
	if got, want := recorder.Header().Get("Date"), "Fri, 01 Mar 2030 12:00:00 GMT"; got != want {
		t.Errorf("Date %q, want the service's clock, %q", got, want)
	}
	got := decode[createSessionResponse](t, recorder)
	if len(got.CredentialSet) != 1 {
		t.Fatalf("%d credentials, want 1", len(got.CredentialSet))
	}
	set := got.CredentialSet[0]
	if want := "arn:aws:sts::123456789012:assumed-role/app/orders-api"; set.AssumedRoleUser.ARN != want {
		t.Errorf("arn %q, want %q", set.AssumedRoleUser.ARN, want)
	}
	if id := set.AssumedRoleUser.AssumedRoleID; len(id) != 21+len(":orders-api") || !strings.HasPrefix(id, "AROA") ||
		!strings.HasSuffix(id, ":orders-api") {
		t.Errorf("assumedRoleId %q", id)
	}
	if c := set.Credentials; len(c.AccessKeyID) != 20 || !strings.HasPrefix(c.AccessKeyID, "ASIA") ||
		len(c.SecretAccessKey) != 40 ||
		c.SessionToken == "" {
		t.Errorf("credentials have not the shape of AWS's: %+v", c)
	}
	if got, want := set.Credentials.Expiration, "2030-03-01T12:15:00Z"; got != want {
		t.Errorf("expiration %q, want %q", got, want)
	}
	if set.RoleARN != testRole || set.SourceIdentity != "CN=orders" || set.PackedPolicySize == 0 {
		t.Errorf("credentialSet %+v", set)
	}
	if !strings.HasPrefix(got.SubjectARN, "arn:aws:rolesanywhere:us-east-1:123456789012:subject/") {
		t.Errorf("subjectArn %q", got.SubjectARN)
	}
}

// TestSession_ParameterPlaces: AWS's guide has the ARNs in the body, its own client in the query string.
func TestSession_ParameterPlaces(t *testing.T) {
	t.Parallel()
	// Sorted and percent-encoded already: the signer of these tests does not canonicalize.
	query := "?profileArn=" + percentEncode(
		testProfile,
	) + "&roleArn=" + percentEncode(
		testRole,
	) + "&trustAnchorArn=" + percentEncode(
		testAnchor,
	)
	for name, edit := range map[string]func(*unsigned){
		"body":           nil,
		"query":          func(u *unsigned) { u.target += query; u.body = `{}` },
		"both, the same": func(u *unsigned) { u.target += query },
		"null": func(u *unsigned) {
			u.body = strings.Replace(with(), "{", `{"durationSeconds":null,"roleSessionName":null,`, 1)
		},
		"unknown member": func(u *unsigned) { u.body = with("sessionName", "deprecated", "x", map[string]any{}) },
		"unknown query":  func(u *unsigned) { u.target += "?a=" },
		"charset":        func(u *unsigned) { u.headers["content-type"] = "application/json; charset=utf-8" },
		"further headers": func(u *unsigned) {
			u.headers["x-a"] = "1"
			u.headers["content-length"] = strconv.Itoa(len(u.body))
		},
		"unsigned header": func(u *unsigned) { u.headers["x-a"] = "1"; u.unsignedHeaders = []string{"x-a"} },
		"skew before":     func(u *unsigned) { u.headers["x-amz-date"] = "20300301T115500Z" },
		"skew after":      func(u *unsigned) { u.headers["x-amz-date"] = "20300301T120500Z" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{})
			if recorder := w.call(t, edit); recorder.Code != http.StatusCreated {
				t.Fatalf("status %d, reason %q", recorder.Code, w.lastReason())
			}
			got := w.Requests()[0]
			if got.ProfileARN != testProfile || got.RoleARN != testRole || got.TrustAnchorARN != testAnchor {
				t.Errorf("recorded %+v", got)
			}
		})
	}
}

func TestSession_Expiration(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options Options
		body    string
		want    time.Duration
	}{
		"nothing said":      {Options{}, with(), time.Hour},
		"asked for":         {Options{}, with("durationSeconds", 43200), 12 * time.Hour},
		"profile's default": {Options{ProfileDuration: 2 * time.Hour}, with(), 2 * time.Hour},
		"profile shortens": {Options{ProfileDuration: 20 * time.Minute}, with("durationSeconds", 3600),
			20 * time.Minute},
		"profile does not stretch": {Options{ProfileDuration: 2 * time.Hour}, with("durationSeconds", 3600), time.Hour},
		"profile below role": {Options{ProfileDuration: time.Hour, MaxDuration: time.Hour},
			with("durationSeconds", 7200), time.Hour},
		"lifetime": {Options{Lifetime: 80 * time.Second}, with("durationSeconds", 3600),
			80 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.options)
			recorder := w.call(t, func(u *unsigned) { u.body = c.body })
			got := decode[createSessionResponse](t, recorder).CredentialSet[0].Credentials.Expiration
			if want := testTime().Add(c.want).Format(time.RFC3339); got != want {
				t.Errorf("expiration %s, want %s", got, want)
			}
		})
	}
}

func TestSession_DefaultNameIsSerialNumber(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	set := decode[createSessionResponse](t, w.call(t, nil)).CredentialSet[0]
	if want := ":assumed-role/app/" + w.issued.Certificate.SerialNumber.Text(16); !strings.HasSuffix(
		set.AssumedRoleUser.ARN,
		want,
	) {
		t.Errorf("arn %q, want it to end in %q", set.AssumedRoleUser.ARN, want)
	}
}

// TestSession_DefaultNameOfTinySerial: a role session name has two characters at least.
func TestSession_DefaultNameOfTinySerial(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.issued = mustIssue(t, w.authority, IssueOptions{SerialNumber: big.NewInt(10)})
	set := decode[createSessionResponse](t, w.call(t, nil)).CredentialSet[0]
	if want := "arn:aws:sts::123456789012:assumed-role/app/0a"; set.AssumedRoleUser.ARN != want {
		t.Errorf("arn %q, want %q", set.AssumedRoleUser.ARN, want)
	}
}

func TestSession_CredentialsUnique(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	first := decode[createSessionResponse](t, w.call(t, nil)).CredentialSet[0].Credentials
	second := decode[createSessionResponse](t, w.call(t, nil)).CredentialSet[0].Credentials
	if first.AccessKeyID == second.AccessKeyID || first.SecretAccessKey == second.SecretAccessKey ||
		first.SessionToken == second.SessionToken {
		t.Error("two sessions share a credential")
	}
}

func TestSession_Vend(t *testing.T) {
	t.Parallel()
	var asked SessionRequest
	w := newWorld(t, Options{Vend: func(_ context.Context, r SessionRequest) (Credentials, error) {
		asked = r
		return Credentials{
			AccessKeyID:     "A",
			SecretAccessKey: "B",
			SessionToken:    "C",
			Expiration:      testTime().Add(time.Minute),
		}, nil
	}})
	recorder := w.call(t, func(u *unsigned) { u.body = with("roleSessionName", "orders", "durationSeconds", 901) })
	got := decode[createSessionResponse](t, recorder).CredentialSet[0].Credentials
	if want := (credentialsResponse{AccessKeyID: "A", SecretAccessKey: "B", SessionToken: "C",
		Expiration: "2030-03-01T12:01:00Z"}); got != want {
		t.Errorf("credentials %+v, want %+v", got, want)
	}
	if !asked.Certificate.Equal(w.issued.Certificate) || asked.RoleSessionName != "orders" ||
		asked.Duration != 901*time.Second ||
		!asked.Expiration.Equal(testTime().Add(901*time.Second)) || asked.ProfileARN != testProfile ||
		asked.RoleARN != testRole ||
		asked.TrustAnchorARN != testAnchor {
		t.Errorf("Vend was asked %+v", asked)
	}
}

func TestSession_KeyTypesAndChains(t *testing.T) {
	t.Parallel()
	for _, keyType := range []KeyType{"", RSA2048, RSA3072, P256, P384, P521} {
		for _, intermediates := range []int{0, 1, 5} {
			t.Run(string(keyType)+"/"+strconv.Itoa(intermediates), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, Options{})
				issuer := w.authority
				for range intermediates {
					next, err := issuer.Intermediate(AuthorityOptions{})
					if err != nil {
						t.Fatal(err)
					}
					issuer = next
				}
				w.issued = mustIssue(t, issuer, IssueOptions{KeyType: keyType})
				if recorder := w.call(t, nil); recorder.Code != http.StatusCreated {
					t.Errorf("status %d, reason %q", recorder.Code, w.lastReason())
				}
			})
		}
	}
}
