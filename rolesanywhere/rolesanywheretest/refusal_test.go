package rolesanywheretest

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// want is what a client and the test's author learn of a refusal.
type want struct {
	status       int
	code         string
	message      string // whole; empty: not fixed
	reasonPrefix string
}

func checkRefusal(t *testing.T, w *world, recorder *httptest.ResponseRecorder, want want) {
	t.Helper()
	got := decode[map[string]string](t, recorder)
	if recorder.Code != want.status || recorder.Header().Get("X-Amzn-ErrorType") != want.code {
		t.Errorf(
			"status %d, code %q, message %q; want %d, %q",
			recorder.Code,
			recorder.Header().Get("X-Amzn-ErrorType"),
			got["message"],
			want.status,
			want.code,
		)
	}
	if got["message"] == "" || (want.message != "" && got["message"] != want.message) {
		t.Errorf("message %q, want %q", got["message"], want.message)
	}
	if !strings.HasPrefix(w.lastReason(), want.reasonPrefix) {
		t.Errorf("reason %q, want %q", w.lastReason(), want.reasonPrefix)
	}
	if recorder.Header().Get("X-Amzn-RequestId") == "" || recorder.Header().Get("Content-Type") != "application/json" {
		t.Errorf("header %v lacks the request id or the content type", recorder.Header())
	}
	if w.Sessions() != 0 || w.Calls() != 1 {
		t.Errorf("%d sessions of %d calls, want 0 of 1", w.Sessions(), w.Calls())
	}
}

func TestRefusal_Request(t *testing.T) {
	t.Parallel()
	unknown := want{status: 404, code: "UnknownOperationException"}
	media := want{status: 415, code: "UnsupportedMediaTypeException"}
	invalid := func(reason string) want { return want{400, "ValidationException", reason, reason} }
	malformed := func(reason string) want { return want{400, "SerializationException", reason, reason} }
	for name, c := range map[string]struct {
		edit func(*unsigned)
		want want
	}{
		"method":            {func(u *unsigned) { u.method = "PUT" }, unknown},
		"path":              {func(u *unsigned) { u.target = "/session" }, unknown},
		"path with a slash": {func(u *unsigned) { u.target = "/sessions/" }, unknown},
		"path escaped":      {func(u *unsigned) { u.target = "/%73essions" }, unknown},
		"content type":      {func(u *unsigned) { u.headers["content-type"] = "text/plain" }, media},
		"no content type":   {func(u *unsigned) { delete(u.headers, "content-type") }, media},
		"body empty":        {func(u *unsigned) { u.body = "" }, malformed("the body is not a JSON object")},
		"body null":         {func(u *unsigned) { u.body = "null" }, malformed("the body is not a JSON object")},
		"body array":        {func(u *unsigned) { u.body = "[]" }, malformed("the body is not a JSON object")},
		"body goes on": {func(u *unsigned) { u.body += "{}" },
			malformed("the body goes on after its JSON object")},
		"body not UTF-8": {func(u *unsigned) { u.body = "{\"a\":\"\xff\"}" }, malformed("the body is not UTF-8")},
		"ARN a number": {func(u *unsigned) { u.body = with("roleArn", 7) },
			malformed("roleArn must be a string")},
		"duration a string": {func(u *unsigned) { u.body = with("durationSeconds", "900") },
			malformed("durationSeconds must be a whole number")},
		"duration fraction": {func(u *unsigned) { u.body = with("durationSeconds", 900.5) },
			malformed("durationSeconds must be a whole number")},
		"duration 899": {func(u *unsigned) { u.body = with("durationSeconds", 899) },
			invalid("durationSeconds must be 900 to 43200")},
		"duration 43201": {func(u *unsigned) { u.body = with("durationSeconds", 43201) },
			invalid("durationSeconds must be 900 to 43200")},
		"no role": {func(u *unsigned) { u.body = with("roleArn", nil) }, invalid("roleArn is required")},
		"no profile": {func(u *unsigned) { u.body = with("profileArn", nil) },
			invalid("profileArn is required")},
		"no trust anchor": {func(u *unsigned) { u.body = with("trustAnchorArn", nil) },
			invalid("trustAnchorArn is required")},
		"name in other case": {func(u *unsigned) { u.body = with("roleArn", nil, "RoleArn", testRole) },
			invalid("roleArn is required")},
		"role empty": {func(u *unsigned) { u.body = with("roleArn", "") },
			invalid("roleArn must not be empty")},
		"role not an ARN": {func(u *unsigned) { u.body = with("roleArn", "app") },
			invalid("roleArn is not such a resource's ARN")},
		"role a user": {func(u *unsigned) { u.body = with("roleArn", "arn:aws:iam::123456789012:user/app") },
			invalid("roleArn is not such a resource's ARN")},
		"profile an anchor": {func(u *unsigned) { u.body = with("profileArn", testAnchor) },
			invalid("profileArn is not such a resource's ARN")},
		"anchor a profile": {func(u *unsigned) { u.body = with("trustAnchorArn", testProfile) },
			invalid("trustAnchorArn is not such a resource's ARN")},
		"session name short": {func(u *unsigned) { u.body = with("roleSessionName", "a") },
			invalid(`roleSessionName must match [\w+=,.@-]{2,64}`)},
		"session name long": {func(u *unsigned) { u.body = with("roleSessionName", strings.Repeat("a", 65)) },
			invalid(`roleSessionName must match [\w+=,.@-]{2,64}`)},
		"session name space": {func(u *unsigned) { u.body = with("roleSessionName", "a b") },
			invalid(`roleSessionName must match [\w+=,.@-]{2,64}`)},
		"properties a list": {func(u *unsigned) { u.body = with("instanceProperties", []string{"a"}) },
			malformed("instanceProperties must be an object of strings")},
		"property a number": {func(u *unsigned) { u.body = with("instanceProperties", map[string]any{"a": 1}) },
			malformed("instanceProperties must be an object of strings")},
		"property null": {func(u *unsigned) { u.body = with("instanceProperties", map[string]any{"a": nil}) },
			malformed("instanceProperties must be an object of strings")},
		"property empty": {func(u *unsigned) { u.body = with("instanceProperties", map[string]any{"a": ""}) },
			invalid("instanceProperties' names and values must have 1 to 200 characters")},
		"property name long": {func(u *unsigned) {
			u.body = with("instanceProperties",
				map[string]any{strings.Repeat("é", 201): "b"})
		}, invalid("instanceProperties' names and values must have 1 to 200 characters")},
		"properties 51": {func(u *unsigned) { u.body = with("instanceProperties", manyProperties(51)) },
			invalid("instanceProperties must have at most 50 members")},
		"given twice": {func(u *unsigned) { u.target += "?roleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fother" },
			invalid("roleArn is given twice, with different values")},
		"query not encoded": {func(u *unsigned) { u.target += "?a=%zz" },
			malformed("the query string is not percent-encoded: " + errPercentEncoding.Error())},
		"query cut short": {func(u *unsigned) { u.target += "?a=%4" },
			malformed("the query string is not percent-encoded: " + errPercentEncoding.Error())},
		"body too large": {func(u *unsigned) { u.body = with("x", strings.Repeat("a", maxBodyBytes)) },
			want{413, "RequestEntityTooLargeException", "", "the body is larger than 65536 bytes"}},
		"profile of another region": {func(u *unsigned) {
			u.body = with("profileArn", strings.Replace(testProfile, "us-east-1", "eu-west-1", 1))
		},
			want{404, "ResourceNotFoundException", "", "profileArn is of region eu-west-1"}},
		"anchor of another account": {func(u *unsigned) {
			u.body = with("trustAnchorArn", strings.Replace(testAnchor, "123456789012", "210987654321", 1))
		},
			want{403, "AccessDeniedException", "Unable to assume role for " + testRole,
				"trustAnchorArn is of another"}},
		"role of another partition": {func(u *unsigned) {
			u.body = with("roleArn",
				"arn:aws-cn:iam::123456789012:role/app")
		},
			want{403, "AccessDeniedException", "Unable to assume role for arn:aws-cn:iam::123456789012:role/app",
				"roleArn is of another"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{})
			checkRefusal(t, w, w.call(t, c.edit), c.want)
		})
	}
}

func manyProperties(n int) map[string]string {
	properties := map[string]string{}
	for i := range n {
		properties[fmt.Sprint("name", i)] = strings.Repeat("é", 200)
	}
	return properties
}

func TestRefusal_Settings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options Options
		body    string
		want    want
	}{
		"other trust anchor": {Options{TrustAnchorARNs: []string{testAnchor + "0"}}, with(),
			want{404, "ResourceNotFoundException", "", "there is no such trust anchor"}},
		"other profile": {Options{ProfileARNs: []string{testProfile + "0"}}, with(),
			want{404, "ResourceNotFoundException", "", "there is no such profile"}},
		"other role": {Options{RoleARNs: []string{testRole + "0"}}, with(),
			want{403, "AccessDeniedException", "Unable to assume role for " + testRole, "the role is not accepted"}},
		"session name": {Options{RefuseRoleSessionName: true}, with("roleSessionName", "orders"),
			want{403, "AccessDeniedException", messageSessionName, ""}},
		"too long": {Options{MaxDuration: time.Hour}, with("durationSeconds", 3601),
			want{403, "AccessDeniedException", messageDuration, "the session would last 1h0m1s"}},
		"vend": {Options{Vend: func(context.Context, SessionRequest) (Credentials, error) {
			return Credentials{},
				errors.New("CANARY")
		}},
			with(), want{403, "AccessDeniedException", "Unable to assume role for " + testRole,
				"Options.Vend refused"}},
		"vend's own without a status": {Options{Vend: func(context.Context, SessionRequest) (Credentials, error) {
			return Credentials{}, fmt.Errorf("vending: %w", &Error{Code: "AccessDeniedException", Message: "no"})
		}}, with(), want{403, "AccessDeniedException", "no", "Options.Vend refused"}},
		"vend's own": {Options{Vend: func(context.Context, SessionRequest) (Credentials, error) {
			return Credentials{}, &Error{Status: 503, Code: "ServiceUnavailableException", Message: "try later"}
		}}, with(), want{503, "ServiceUnavailableException", "try later", "Options.Vend refused"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.options)
			checkRefusal(t, w, w.call(t, func(u *unsigned) { u.body = c.body }), c.want)
		})
	}
}
