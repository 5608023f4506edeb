package rolesanywheretest

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
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

func TestRefusal_Signature(t *testing.T) {
	t.Parallel()
	incomplete := func(reason string) want { return want{403, "IncompleteSignatureException", "", reason} }
	invalid := func(reason string) want { return want{403, "InvalidSignatureException", "", reason} }
	denied := func(message, reason string) want { return want{403, "AccessDeniedException", message, reason} }
	for name, c := range map[string]struct {
		edit func(*unsigned)
		want want
	}{
		"HMAC algorithm": {func(u *unsigned) { u.algorithm = "AWS4-HMAC-SHA256" },
			incomplete("Unsupported algorithm")},
		"algorithm not fit": {func(u *unsigned) { u.algorithm = algorithmRSA },
			denied(messageSignature, "the algorithm is AWS4-X509-RSA-SHA256 and the key is ECDSA")},
		"serial hexadecimal": {func(u *unsigned) { u.serial = "7f" },
			incomplete("Credential must begin with the certificate's serial")},
		"serial leading zero": {func(u *unsigned) { u.serial = "0" + u.serial },
			incomplete("Credential must begin with the certificate's serial")},
		"serial of another": {func(u *unsigned) { u.serial += "1" },
			denied(messageSignature, "Credential's serial number is not")},
		"service":         {func(u *unsigned) { u.service = "sts" }, incomplete("Credential must be")},
		"terminator":      {func(u *unsigned) { u.terminator = "aws5_request" }, incomplete("Credential must be")},
		"scope date form": {func(u *unsigned) { u.date = "2030-3-1" }, incomplete("Credential's date")},
		"scope date":      {func(u *unsigned) { u.date = "20300228" }, invalid("Date in Credential scope")},
		"scope region": {func(u *unsigned) { u.region = "eu-west-1" },
			invalid("Credential should be scoped to a valid region")},
		"date form": {func(u *unsigned) { u.headers["x-amz-date"] = "2030-03-01T12:00:00Z" },
			incomplete("X-Amz-Date must be in ISO 8601")},
		"date with fraction": {func(u *unsigned) { u.headers["x-amz-date"] = "20300301T120000.5Z" },
			incomplete("X-Amz-Date must be in ISO 8601")},
		"date too early": {func(u *unsigned) { u.headers["x-amz-date"] = "20300301T115459Z" },
			invalid("Signature expired: 20300301T115459Z is now earlier than 20300301T115500Z")},
		"date too late": {func(u *unsigned) { u.headers["x-amz-date"] = "20300301T120501Z" },
			invalid("Signature not yet current")},
		"x509 unsigned": {func(u *unsigned) { u.unsignedHeaders = []string{"x-amz-x509"} },
			invalid("x-amz-x509 must be a signed header")},
		"date unsigned": {func(u *unsigned) { u.unsignedHeaders = []string{"x-amz-date"} },
			invalid("x-amz-date must be a signed header")},
		"content type unsigned": {func(u *unsigned) { u.unsignedHeaders = []string{"content-type"} },
			invalid("content-type must be a signed header")},
		"other x-amz header unsigned": {func(u *unsigned) { u.headers["x-amz-target"] = "x"; u.unsignedHeaders = []string{"x-amz-target"} },
			invalid("x-amz-target must be a signed header")},
		"content hash of another body": {func(u *unsigned) {
			u.headers["x-amz-content-sha256"] = strings.Repeat("0",
				64)
		},
			invalid("X-Amz-Content-Sha256 must be")},
		"certificate absent": {func(u *unsigned) { delete(u.headers, "x-amz-x509") },
			invalid("x-amz-x509 must be a signed header")},
		"certificate not base64": {func(u *unsigned) { u.headers["x-amz-x509"] = "%" },
			denied(messageInsufficient, "X-Amz-X509 is not padded base64")},
		"certificate not padded": {func(u *unsigned) { u.headers["x-amz-x509"] = "AA" },
			denied(messageInsufficient, "X-Amz-X509 is not padded base64")},
		"certificate with a line break": {func(u *unsigned) { u.headers["x-amz-x509"] = "AA\nAA" },
			denied(messageInsufficient, "X-Amz-X509 is not padded base64")},
		"certificate not DER": {func(u *unsigned) { u.headers["x-amz-x509"] = "AAAA" },
			denied(messageInsufficient, "X-Amz-X509 is not a DER")},
		"certificate with more": {func(u *unsigned) {
			der, _ := base64.StdEncoding.DecodeString(u.headers["x-amz-x509"])
			u.headers["x-amz-x509"] = base64.StdEncoding.EncodeToString(append(der, 0))
		}, denied(messageInsufficient, "X-Amz-X509 is not a DER")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{})
			checkRefusal(t, w, w.call(t, c.edit), c.want)
		})
	}
}

// TestRefusal_Tampered changes what was signed, or the signature itself.
func TestRefusal_Tampered(t *testing.T) {
	t.Parallel()
	authorization := func(edit func(string) string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", edit(r.Header.Get("Authorization"))) }
	}
	replace := func(old, with string) func(*http.Request) {
		return authorization(func(s string) string { return strings.Replace(s, old, with, 1) })
	}
	upper := func(s string) string {
		i := strings.LastIndexByte(s, '=') + 1
		return s[:i] + strings.ToUpper(s[i:])
	}
	incomplete := func(reason string) want { return want{403, "IncompleteSignatureException", "", reason} }
	notKeys := want{403, "AccessDeniedException", messageSignature, "the signature is not the key's"}
	for name, c := range map[string]struct {
		tamper func(*http.Request)
		want   want
	}{
		"no Authorization": {func(r *http.Request) { r.Header.Del("Authorization") },
			want{403, "MissingAuthenticationTokenException", "Missing Authentication Token", ""}},
		"Authorization twice": {func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) },
			incomplete("Authorization is sent more than once")},
		"no signature": {authorization(func(s string) string { return s[:strings.LastIndex(s, ",")] }),
			incomplete("Authorization header requires Credential, SignedHeaders and Signature")},
		"signature empty": {authorization(func(s string) string { return s[:strings.LastIndex(s, "=")+1] }),
			incomplete("Authorization header requires Signature")},
		"signature not hex": {authorization(func(s string) string { return s + "zz" }),
			incomplete("Signature must be lower-case")},
		"signature upper":     {authorization(upper), incomplete("Signature must be lower-case")},
		"signature with more": {authorization(func(s string) string { return s + "00" }), notKeys},
		"tab after a comma": {replace(", Signature", ",\tSignature"),
			incomplete("Authorization header requires Signature")},
		"two spaces": {replace(", Signature", ",  Signature"),
			incomplete("Authorization header requires Signature")},
		"fields in another order": {authorization(func(s string) string {
			_, rest, _ := strings.Cut(s, " ")
			parts := strings.Split(rest, ", ")
			return algorithmECDSA + " " + parts[1] + ", " + parts[0] + ", " + parts[2]
		}), incomplete("Authorization header requires Credential")},
		"headers not sorted": {replace("content-type;host", "host;content-type"),
			incomplete("SignedHeaders must be sorted")},
		"header twice":      {replace("host;", "host;host;"), incomplete("SignedHeaders must be sorted")},
		"header name upper": {replace("host;", "Host;"), incomplete("SignedHeaders must be lower-case")},
		"header not sent": {replace("host;", "host;x-a;"),
			want{403, "InvalidSignatureException", "", "SignedHeaders names x-a"}},
		"host not signed": {replace("host;", ""),
			want{403, "InvalidSignatureException", "", "host must be a signed header"}},
		"host":        {func(r *http.Request) { r.Host = "localhost" }, notKeys},
		"query added": {func(r *http.Request) { r.URL.RawQuery = "a=b" }, notKeys},
		"date twice": {func(r *http.Request) { r.Header.Add("X-Amz-Date", r.Header.Get("X-Amz-Date")) },
			incomplete("X-Amz-Date must be sent once")},
		"certificate twice": {func(r *http.Request) { r.Header.Add("X-Amz-X509", r.Header.Get("X-Amz-X509")) },
			want{403, "AccessDeniedException", messageInsufficient, "X-Amz-X509 must be sent once"}},
		"chain added": {func(r *http.Request) { r.Header.Set("X-Amz-X509-Chain", "AAAA") },
			want{403, "InvalidSignatureException", "", "x-amz-x509-chain must be a signed header"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{})
			r := newUnsigned(w.issued).sign(t)
			c.tamper(r)
			recorder := httptest.NewRecorder()
			w.ServeHTTP(recorder, r)
			checkRefusal(t, w, recorder, c.want)
		})
	}
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
