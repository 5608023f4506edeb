package rolesanywhere

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// The canonical request of Signature Version 4:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

// isUnsigned names the headers left out of the signature: those that proxies change on the way, and
// those that Go's transport sets or drops after signing. Keys are in http.Header's canonical form.
func isUnsigned(name string) bool {
	switch name {
	case "Authorization", "User-Agent", "Content-Length", "Host",
		"Accept-Encoding", "Connection", "Expect", "Keep-Alive", "Proxy-Authenticate",
		"Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
		"Forwarded", "Via", "X-Amzn-Trace-Id", "X-Forwarded-For", "X-Forwarded-Host",
		"X-Forwarded-Port", "X-Forwarded-Proto":
		return true
	}
	return false
}

// signedHeader is a header to sign: its name in lower case and its key in http.Header.
type signedHeader struct{ name, key string }

// signedHeaders lists the headers of h to sign, and host, in canonical order. Two keys that differ in
// case only follow one another, and are one header with several values on the wire.
func signedHeaders(h http.Header) []signedHeader {
	headers := make([]signedHeader, 0, len(h)+1)
	headers = append(headers, signedHeader{name: "host"})
	for key, values := range h {
		if len(values) == 0 || isUnsigned(http.CanonicalHeaderKey(key)) {
			continue
		}
		headers = append(headers, signedHeader{lowerName(key), key})
	}
	slices.SortFunc(headers, func(a, b signedHeader) int {
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		return strings.Compare(a.key, b.key)
	})
	return headers
}

// lowerName spares the headers of every CreateSession an allocation.
func lowerName(key string) string {
	switch key {
	case "Content-Type":
		return "content-type"
	case headerDate:
		return "x-amz-date"
	case headerX509:
		return "x-amz-x509"
	case headerChain:
		return "x-amz-x509-chain"
	}
	return strings.ToLower(key)
}

func appendHeaders(b []byte, r *http.Request, headers []signedHeader) []byte {
	for i, header := range headers {
		if i > 0 && headers[i-1].name == header.name {
			b[len(b)-1] = ','
		} else {
			b = append(append(b, header.name...), ':')
		}
		if header.key == "" {
			b = append(append(b, requestHost(r)...), '\n')
			continue
		}
		for j, value := range r.Header[header.key] {
			if j > 0 {
				b = append(b, ',')
			}
			b = appendFolded(b, value)
		}
		b = append(b, '\n')
	}
	return b
}

func appendHeaderNames(b []byte, headers []signedHeader) []byte {
	for i, header := range headers {
		if i > 0 && headers[i-1].name == header.name {
			continue
		}
		if i > 0 {
			b = append(b, ';')
		}
		b = append(b, header.name...)
	}
	return b
}

// appendFolded appends value without white space around it and with each run of spaces as one.
func appendFolded(b []byte, value string) []byte {
	value = strings.TrimSpace(value)
	if !strings.Contains(value, "  ") {
		return append(b, value...)
	}
	for i := range len(value) {
		if value[i] == ' ' && value[i-1] == ' ' {
			continue
		}
		b = append(b, value[i])
	}
	return b
}

// requestHost is the Host header that net/http sends, with its port where there is one.
func requestHost(r *http.Request) string {
	if r.Host != "" {
		return r.Host
	}
	return r.URL.Host
}

// appendPath encodes the path as it is on the wire once more, as every service but S3 has it.
func appendPath(b []byte, u *url.URL) []byte {
	path := u.EscapedPath()
	if path == "" {
		return append(b, '/')
	}
	for i := range len(path) {
		if path[i] == '/' {
			b = append(b, '/')
			continue
		}
		b = appendEscaped(b, path[i:i+1])
	}
	return b
}

// appendQuery decodes the query and encodes it by SigV4's rules, sorted by encoded name, then value.
func appendQuery(b []byte, u *url.URL) ([]byte, error) {
	if u.RawQuery == "" {
		return b, nil
	}
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		// The error quotes a part of the query, which is not this package's to publish.
		return nil, fmt.Errorf("signing request: %w: its query is not valid URL encoding", ErrInvalidInput)
	}
	type parameter struct{ name, value string }
	parameters := make([]parameter, 0, len(values))
	for name, list := range values {
		name = string(appendEscaped(nil, name))
		for _, value := range list {
			parameters = append(parameters, parameter{name, string(appendEscaped(nil, value))})
		}
	}
	slices.SortFunc(parameters, func(a, b parameter) int {
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		return strings.Compare(a.value, b.value)
	})
	for i, p := range parameters {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(append(append(b, p.name...), '='), p.value...)
	}
	return b, nil
}

// appendEscaped encodes all but RFC 3986's unreserved characters. net/url has no function that does:
// its escapers leave some reserved characters alone or write a space as "+".
func appendEscaped(b []byte, s string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(s) {
		c := s[i]
		switch {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9',
			c == '-', c == '.', c == '_', c == '~':
			b = append(b, c)
		default:
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return b
}
