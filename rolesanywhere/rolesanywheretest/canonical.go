package rolesanywheretest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Canonical request and string to sign of Signature Version 4, rebuilt from what arrived:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html.

type queryPair struct{ name, value string }

var errPercentEncoding = errors.New("an escape is not % and two hexadecimal digits")

// parseQuery decodes percent escapes alone: to SigV4 a plus sign is a plus sign, never a space.
func parseQuery(raw string) ([]queryPair, error) {
	if raw == "" {
		return nil, nil
	}
	var pairs []queryPair
	for part := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(part, "=")
		decodedName, err := percentDecode(name)
		if err != nil {
			return nil, err
		}
		decodedValue, err := percentDecode(value)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, queryPair{decodedName, decodedValue})
	}
	return pairs, nil
}

func percentDecode(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", errPercentEncoding
		}
		decoded, err := hex.DecodeString(s[i+1 : i+3])
		if err != nil {
			return "", errPercentEncoding
		}
		b.WriteByte(decoded[0])
		i += 2
	}
	return b.String(), nil
}

func percentEncode(s string) string {
	const upperHex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9',
			c == '-', c == '.', c == '_', c == '~':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(upperHex[c>>4])
			b.WriteByte(upperHex[c&15])
		}
	}
	return b.String()
}

// canonicalQuery encodes and then sorts, by name and then by value.
func canonicalQuery(pairs []queryPair) string {
	encoded := make([]queryPair, len(pairs))
	for i, pair := range pairs {
		encoded[i] = queryPair{percentEncode(pair.name), percentEncode(pair.value)}
	}
	slices.SortFunc(encoded, func(a, b queryPair) int {
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		return strings.Compare(a.value, b.value)
	})
	parts := make([]string, len(encoded))
	for i, pair := range encoded {
		parts[i] = pair.name + "=" + pair.value
	}
	return strings.Join(parts, "&")
}

// headerValues returns what was sent under a lower-case name. net/http takes Host, and sometimes
// Content-Length, out of the header map; a client may sign them all the same.
func headerValues(r *http.Request, name string) []string {
	switch name {
	case "host":
		if r.Host == "" {
			return nil
		}
		return []string{r.Host}
	case "content-length":
		if r.ContentLength < 0 {
			return nil
		}
		return []string{strconv.FormatInt(r.ContentLength, 10)}
	}
	return r.Header.Values(name)
}

// canonicalValue trims and folds runs of spaces. Tabs inside a value stay: SigV4 folds spaces alone.
func canonicalValue(values []string) string {
	folded := make([]string, len(values))
	for i, value := range values {
		value = strings.Trim(value, " \t")
		for strings.Contains(value, "  ") {
			value = strings.ReplaceAll(value, "  ", " ")
		}
		folded[i] = value
	}
	return strings.Join(folded, ",")
}

// canonicalRequest is defined for a request that checkRoute let pass: its path needs no encoding.
func canonicalRequest(r *http.Request, query []queryPair, signedHeaders []string, body []byte) string {
	var b strings.Builder
	b.WriteString(r.Method + "\n" + sessionsPath + "\n" + canonicalQuery(query) + "\n")
	for _, name := range signedHeaders {
		b.WriteString(name + ":" + canonicalValue(headerValues(r, name)) + "\n")
	}
	digest := sha256.Sum256(body)
	b.WriteString("\n" + strings.Join(signedHeaders, ";") + "\n" + hex.EncodeToString(digest[:]))
	return b.String()
}

// checkContentHash compares X-Amz-Content-Sha256, which a client need not send, with the body.
func checkContentHash(r *http.Request, body []byte) *Error {
	values := r.Header.Values("X-Amz-Content-Sha256")
	digest := sha256.Sum256(body)
	if len(values) > 1 || (len(values) == 1 && values[0] != hex.EncodeToString(digest[:])) {
		return invalidSignature("X-Amz-Content-Sha256 must be the SHA-256 of the body in lower-case hexadecimal, once")
	}
	return nil
}

// stringToSign puts the algorithm of the X.509 variant in the place of AWS4-HMAC-SHA256:
// https://docs.aws.amazon.com/rolesanywhere/latest/userguide/authentication-sign-process.html.
func stringToSign(a authorization, canonical string) string {
	digest := sha256.Sum256([]byte(canonical))
	return a.algorithm + "\n" + a.amzDate + "\n" + a.scope() + "\n" + hex.EncodeToString(digest[:])
}
