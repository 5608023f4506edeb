package awstest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Signature Version 4, rebuilt from what arrived:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html.

const (
	algorithm     = "AWS4-HMAC-SHA256"
	amzDateLayout = "20060102T150405Z"
)

// signature is an Authorization header, taken apart.
type signature struct {
	accessKey, day, region, service string
	signedHeaders                   []string
	value                           string
	amzDate                         string
}

func parseSignature(r *http.Request) (signature, *Refusal) {
	var s signature
	headers := r.Header.Values("Authorization")
	if len(headers) != 1 {
		return s, refuse(http.StatusForbidden, "MissingAuthenticationToken", "Request is missing Authentication Token")
	}
	fields, found := strings.CutPrefix(headers[0], algorithm+" ")
	if !found {
		return s, incomplete("the algorithm is not " + algorithm)
	}
	parts := map[string]string{}
	for field := range strings.SplitSeq(fields, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		parts[name] = value
	}
	scope := strings.Split(parts["Credential"], "/")
	if len(scope) != 5 || scope[4] != "aws4_request" || parts["SignedHeaders"] == "" || parts["Signature"] == "" ||
		len(parts) != 3 {
		return s, incomplete("Authorization has to hold Credential with five parts, SignedHeaders and Signature")
	}
	s.accessKey, s.day, s.region, s.service = scope[0], scope[1], scope[2], scope[3]
	s.signedHeaders, s.value = strings.Split(parts["SignedHeaders"], ";"), parts["Signature"]
	s.amzDate = r.Header.Get("X-Amz-Date")
	return s, s.checkHeaders(r)
}

// checkHeaders requires every header to be signed that carries authority: an unsigned one could be exchanged on the
// way.
func (s signature) checkHeaders(r *http.Request) *Refusal {
	required := []string{"host", "x-amz-date"}
	for name := range r.Header {
		if lower := strings.ToLower(name); lower == "content-type" || strings.HasPrefix(lower, "x-amz-") {
			required = append(required, lower)
		}
	}
	for _, name := range required {
		if !slices.Contains(s.signedHeaders, name) {
			return mismatch("'" + name + "' must be a 'SignedHeader' in the AWS Authorization.")
		}
	}
	if !slices.IsSorted(s.signedHeaders) || len(slices.Compact(slices.Clone(s.signedHeaders))) != len(s.signedHeaders) {
		return incomplete("SignedHeaders has to be sorted and to name each header once")
	}
	return nil
}

// checkTime compares the signature's time with the service's.
func (s signature) checkTime(now time.Time, skew time.Duration) *Refusal {
	sent, err := time.Parse(amzDateLayout, s.amzDate)
	if err != nil || sent.Format("20060102") != s.day {
		return mismatch("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP")
	}
	now = now.UTC()
	if s.service == serviceS3 && sent.Sub(now).Abs() > skew {
		return refuse(
			http.StatusForbidden,
			"RequestTimeTooSkewed",
			"The difference between the request time and the current time is too large.",
		)
	}
	if sent.Before(now.Add(-skew)) {
		return mismatch(
			"Signature expired: " + s.amzDate + " is now earlier than " + now.Add(-skew).Format(amzDateLayout),
		)
	}
	if sent.After(now.Add(skew)) {
		return mismatch(
			"Signature not yet current: " + s.amzDate + " is still later than " + now.Add(skew).Format(amzDateLayout),
		)
	}
	return nil
}

// verify compares the signature with that of the request under the secret key.
func (s signature) verify(r *http.Request, body []byte, secretKey string) *Refusal {
	digest := sha256.Sum256(body)
	payload := hex.EncodeToString(digest[:])
	if sent := r.Header.Get("X-Amz-Content-Sha256"); sent != "" && sent != payload {
		return refuse(
			http.StatusBadRequest,
			"XAmzContentSHA256Mismatch",
			"The provided 'x-amz-content-sha256' header does not match what was computed.",
		)
	}
	canonical := strings.Join(
		[]string{r.Method, canonicalPath(r, s.service), canonicalQuery(r.URL.RawQuery), s.canonicalHeaders(r),
			strings.Join(s.signedHeaders, ";"), payload},
		"\n",
	)
	hashed := sha256.Sum256([]byte(canonical))
	scope := strings.Join([]string{s.day, s.region, s.service, "aws4_request"}, "/")
	toSign := strings.Join([]string{algorithm, s.amzDate, scope, hex.EncodeToString(hashed[:])}, "\n")
	key := []byte("AWS4" + secretKey)
	for _, part := range []string{s.day, s.region, s.service, "aws4_request"} {
		key = keyed(key, part)
	}
	if !hmac.Equal([]byte(hex.EncodeToString(keyed(key, toSign))), []byte(s.value)) {
		return mismatch("The request signature we calculated does not match the signature you provided. " +
			"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
	}
	return nil
}

func keyed(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// canonicalPath encodes the path once more, except for S3.
func canonicalPath(r *http.Request, service string) string {
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	if service == serviceS3 {
		return path
	}
	return strings.ReplaceAll(uriEncode(path), "%2F", "/")
}

// canonicalQuery decodes percent escapes alone: to Signature Version 4 a plus sign is a plus sign.
func canonicalQuery(raw string) string {
	if raw == "" {
		return ""
	}
	var pairs []string
	for pair := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(pair, "=")
		pairs = append(pairs, uriEncode(percentDecode(name))+"="+uriEncode(percentDecode(value)))
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// percentDecode returns what cannot be decoded as it is, so that its signature does not match.
func percentDecode(s string) string {
	decoded, err := url.PathUnescape(s)
	if err != nil {
		return s
	}
	return decoded
}

func uriEncode(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.WriteString("%" + strings.ToUpper(hex.EncodeToString([]byte{c})))
		}
	}
	return b.String()
}

func (s signature) canonicalHeaders(r *http.Request) string {
	var b strings.Builder
	for _, name := range s.signedHeaders {
		values := r.Header.Values(name)
		switch name {
		case "host":
			values = []string{r.Host}
		case "content-length":
			values = []string{r.Header.Get("Content-Length")}
			if values[0] == "" {
				values[0] = itoa(r.ContentLength)
			}
		}
		trimmed := make([]string, len(values))
		for i, value := range values {
			trimmed[i] = strings.Join(strings.FieldsFunc(value, func(c rune) bool { return c == ' ' }), " ")
		}
		b.WriteString(name + ":" + strings.Join(trimmed, ",") + "\n")
	}
	return b.String()
}
