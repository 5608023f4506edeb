package enroll

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

// The pauses that an authority may ask for, whatever it says.
const (
	minRetryAfter = 10 * time.Second
	maxRetryAfter = time.Hour
)

// est asks a server that speaks Enrollment over Secure Transport.
// https://www.rfc-editor.org/rfc/rfc7030
// https://www.rfc-editor.org/rfc/rfc8951
type est struct{ Settings }

// Issue asks for the authority's certificates before the certificate itself: the answer to an enrolment holds the leaf
// alone, and one whose chain cannot be had is not worth issuing.
func (e est) Issue(ctx context.Context, request Request) (*Issued, error) {
	ctx, cancel := context.WithTimeout(ctx, IssueTimeout)
	defer cancel()
	wanted, err := publicKeyOf(request)
	if err != nil {
		return nil, err
	}
	session, err := e.open(request)
	if err != nil {
		return nil, err
	}
	defer session.close()
	if !request.Secret.Empty() { // first, since a user's name may be a part of it
		session.secrets = append([]secret.Text{secret.New(basicPair(request.Secret))}, session.secrets...)
	}
	bag, err := e.certificates(ctx, session)
	if err != nil {
		return nil, err
	}
	operation := "simplereenroll"
	if !request.Secret.Empty() {
		operation = "simpleenroll"
	}
	reply, err := session.do(ctx, e.enrolment(operation, request))
	if err != nil {
		return nil, err
	}
	if reply.status == http.StatusAccepted {
		return nil, &PendingError{retryAfter(reply.header.Get("Retry-After"))}
	}
	returned, err := readCertificates(operation, reply)
	if err != nil {
		return nil, err
	}
	leaf, err := pickLeaf(operation, returned, wanted)
	if err != nil {
		return nil, err
	}
	return chained(operation, leaf, append(returned, bag...))
}

func (e est) url(operation string) string { return e.path(".well-known", "est", e.Label, operation) }

func (e est) certificates(ctx context.Context, session *session) ([]*x509.Certificate, error) {
	const operation = "cacerts"
	reply, err := session.do(
		ctx,
		call{operation: operation, method: http.MethodGet, url: e.url(operation), words: estWords},
	)
	if err != nil {
		return nil, err
	}
	return readCertificates(operation, reply)
}

func (e est) enrolment(operation string, request Request) call {
	header := http.Header{"Content-Type": {"application/pkcs10"}, "Content-Transfer-Encoding": {"base64"}}
	if given := request.Secret; !given.Empty() {
		header.Set("Authorization", "Basic "+basicPair(given))
	}
	body := []byte(base64.StdEncoding.EncodeToString(request.CSR))
	return call{operation, http.MethodPost, e.url(operation), header, body, estWords}
}

// basicPair is the secret as the header Authorization has it.
func basicPair(given Secret) string {
	return base64.StdEncoding.EncodeToString([]byte(given.Username.Reveal() + ":" + given.Password.Reveal()))
}

func readCertificates(operation string, reply *answer) ([]*x509.Certificate, error) {
	if reply.status != http.StatusOK {
		return nil, unusable(operation, "HTTP %d is no answer to it", reply.status)
	}
	certificates, err := parseCertsOnly(reply.body)
	if err != nil {
		return nil, unusable(operation, "%v", err)
	}
	return certificates, nil
}

// estWords takes the first line of a text. Any other body is a proxy's page or a certificate.
func estWords(answer *http.Response, body []byte) (code, message string) {
	if !isText(answer) {
		return "", ""
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	return "", first
}

// retryAfter reads seconds or a date (RFC 9110, section 10.2.3) in bounds. A date is counted from the server's clock no
// more exactly than by the longest pause.
func retryAfter(text string) time.Duration {
	seconds, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32)
	if err != nil {
		return maxRetryAfter
	}
	return min(max(time.Duration(seconds)*time.Second, minRetryAfter), maxRetryAfter)
}
