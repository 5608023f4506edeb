package rolesanywhere

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Keys in http.Header's canonical form, so that they can index the map.
const (
	headerAuthorization = "Authorization"
	headerDate          = "X-Amz-Date"
	headerX509          = "X-Amz-X509"
	headerChain         = "X-Amz-X509-Chain"
)

const (
	signingService = "rolesanywhere"
	signingEnd     = "aws4_request"
	timeFormat     = "20060102T150405Z"
)

// SignHTTP signs r with the identity's private key, in place: it sets X-Amz-Date, X-Amz-X509,
// X-Amz-X509-Chain (removed if there are no intermediates) and Authorization, whatever they were.
// Nothing but r's headers changes, and they must not be changed after it, nor its URL or Host.
//
// payloadHash is the SHA-256 of the body in lower-case hex; region is the credential scope's;
// signingTime is what the request is dated with, and the service takes it if it is within five
// minutes of its own clock. Every header of r is signed but those that change on the way: see
// [the signing process]. After an error r carries no Authorization header and must not be sent.
//
// Errors wrap [ErrInvalidInput], the context's error, or what the key returned. It may be called
// concurrently for different requests.
//
// [the signing process]: https://docs.aws.amazon.com/rolesanywhere/latest/userguide/authentication-sign-process.html
func (id *Identity) SignHTTP(
	ctx context.Context,
	r *http.Request,
	payloadHash, region string,
	signingTime time.Time,
) error {
	if r.Header == nil {
		r.Header = make(http.Header)
	}
	r.Header.Del(headerAuthorization)
	if err := checkSignable(ctx, r, payloadHash, region); err != nil {
		return err
	}
	date := signingTime.UTC().Format(timeFormat)
	r.Header[headerDate] = []string{date}
	r.Header[headerX509] = []string{id.x509Header}
	delete(r.Header, headerChain)
	if id.chainHeader != "" {
		r.Header[headerChain] = []string{id.chainHeader}
	}
	headers := signedHeaders(r.Header)

	b := make([]byte, 0, 1024+len(id.x509Header)+len(id.chainHeader))
	b = append(append(b, requestMethod(r)...), '\n')
	b = append(appendPath(b, r.URL), '\n')
	b, err := appendQuery(b, r.URL)
	if err != nil {
		return err
	}
	b = append(b, '\n')
	b = append(appendHeaders(b, r, headers), '\n')
	namesAt := len(b)
	b = appendHeaderNames(b, headers)
	names := b[namesAt:]
	b = append(append(b, '\n'), payloadHash...)

	scope := date[:8] + "/" + region + "/" + signingService + "/" + signingEnd
	signature, err := id.signCanonical(b, date, scope)
	if err != nil {
		return err
	}
	r.Header[headerAuthorization] = []string{id.authorization(scope, names, signature)}
	return nil
}

func (id *Identity) signCanonical(canonical []byte, date, scope string) ([]byte, error) {
	hash := sha256.Sum256(canonical)
	b := make([]byte, 0, 256)
	b = append(append(b, id.algorithm...), '\n')
	b = append(append(b, date...), '\n')
	b = append(append(b, scope...), '\n')
	b = hex.AppendEncode(b, hash[:])
	// A key that signs messages gets the string to sign, any other its digest; ML-DSA has no digest of its own.
	signature, err := crypto.SignMessage(id.key, rand.Reader, b, id.hash)
	if err != nil {
		return nil, fmt.Errorf("signing request: %w", err)
	}
	return signature, nil
}

func (id *Identity) authorization(scope string, names, signature []byte) string {
	var b strings.Builder
	b.Grow(len(id.algorithm) + len(id.serial) + len(scope) + len(names) + 2*len(signature) + 64)
	b.WriteString(id.algorithm)
	b.WriteString(" Credential=")
	b.WriteString(id.serial)
	b.WriteByte('/')
	b.WriteString(scope)
	b.WriteString(", SignedHeaders=")
	b.Write(names)
	b.WriteString(", Signature=")
	b.WriteString(hex.EncodeToString(signature))
	return b.String()
}

func requestMethod(r *http.Request) string {
	if r.Method == "" {
		return http.MethodGet
	}
	return r.Method
}

// checkSignable refuses what would be signed as one thing and sent as another: an opaque URL has no
// path to sign, and a region with a slash or a line break would move the fields of the scope.
func checkSignable(ctx context.Context, r *http.Request, payloadHash, region string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("signing request: %w", err)
	}
	if r.URL == nil || r.URL.Opaque != "" || requestHost(r) == "" {
		return fmt.Errorf("signing request: %w: its URL must have a host and a path", ErrInvalidInput)
	}
	if len(payloadHash) != 2*sha256.Size || strings.Trim(payloadHash, "0123456789abcdef") != "" {
		return fmt.Errorf("signing request: %w: the payload hash must be SHA-256 in lower-case hex", ErrInvalidInput)
	}
	return checkRegion(region)
}
