package rolesanywheretest

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

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
		"other x-amz header unsigned": {func(u *unsigned) {
			u.headers["x-amz-target"] = "x"
			u.unsignedHeaders = []string{"x-amz-target"}
		}, invalid("x-amz-target must be a signed header")},
		"content hash of another body": {func(u *unsigned) {
			u.headers["x-amz-content-sha256"] = strings.Repeat("0", 64)
		}, invalid("X-Amz-Content-Sha256 must be")},
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
