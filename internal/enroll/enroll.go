// Package enroll requests a certificate from a certificate authority: a certificate signing request goes out, the
// certificate and its chain come back. It knows Vault's and OpenBao's PKI engine, EST and step-ca.
package enroll

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/network"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

// IssueTimeout bounds all calls of one Issue together. A request to Vault is held up for as long.
const IssueTimeout = 12 * time.Second

// Request is what one certificate is requested with.
type Request struct {
	// CSR is the certificate signing request in DER.
	CSR []byte
	// KeepsKey says that the request is for the key of the current certificate. step-ca then renews that, and needs
	// no CSR.
	KeepsKey bool
	// Current is the identity that asks, with its chain and its key. It is offered in the TLS handshake, unless there
	// is a Secret: a server that looks at certificates refuses one that has ended. nil where there is none yet.
	Current *tls.Certificate
	// Secret lets the holder request one certificate without Current.
	Secret Secret
}

// Secret is what an operator gives for one certificate. It is sent once and kept nowhere; no error repeats it.
type Secret struct {
	Token              secret.Text // vault_pki: a Vault token; step_ca: a one-time token
	Username, Password secret.Text // est
}

// Empty says whether nothing was given.
func (s Secret) Empty() bool { return s.Token.Empty() && s.Username.Empty() && s.Password.Empty() }

// Issued is a certificate with its chain.
type Issued struct {
	// Chain is the leaf and then up to 5 intermediates, each signed by the next; the root is left out. It is what the
	// authority returned: whether it is the right certificate is the caller's to check.
	Chain []*x509.Certificate
	// Warnings say what went wrong although the certificate was issued.
	Warnings []string
}

// An Issuer requests certificates from one authority. It is safe for concurrent use and keeps no connection open.
type Issuer interface {
	// Issue requests one certificate. It returns within [IssueTimeout] and a few seconds for what has to be tidied up.
	//
	// Its errors are a *[RefusalError] when the authority refused, a *[PendingError] when it wants to be asked again
	// later, or wrap [ErrNoIdentity] (nothing was sent), [ErrUnusableAnswer], an error of package network, or the
	// context's. None repeats a secret or the body of an answer.
	Issue(ctx context.Context, request Request) (*Issued, error)
}

var (
	// ErrNoIdentity means that neither a current certificate nor a one-time secret was there to authenticate with.
	ErrNoIdentity = errors.New("there is nothing to authenticate with")
	// ErrUnusableAnswer means that the authority reported success and what it sent is no certificate.
	ErrUnusableAnswer = errors.New("the answer cannot be used")
)

// PendingError means that the authority has taken the request and has not decided yet. The same request is to be sent
// again after the pause.
type PendingError struct{ RetryAfter time.Duration }

func (e *PendingError) Error() string {
	return fmt.Sprintf("the authority has not decided yet and wants the same request again in %s", e.RetryAfter)
}

// RefusalError is what an authority answered instead of a certificate.
type RefusalError struct {
	Operation string // what was asked, such as "simplereenroll"
	Status    int
	Code      string // the authority's own, mostly empty
	Message   string // the authority's words in one short printable line, mostly there
	Request   string // the id that the authority gave the request, mostly empty
}

// HTTPStatus returns the HTTP status of the answer.
func (e *RefusalError) HTTPStatus() int { return e.Status }

// ErrorCode returns the authority's code, empty if it sent none.
func (e *RefusalError) ErrorCode() string { return e.Code }

// ErrorMessage returns the authority's words, empty if it sent none.
func (e *RefusalError) ErrorMessage() string { return e.Message }

// RequestID returns the id that the authority gave the request, empty if it sent none.
func (e *RefusalError) RequestID() string { return e.Request }

func (e *RefusalError) Error() string {
	text := fmt.Sprintf("%s was refused (HTTP %d)", e.Operation, e.Status)
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// New returns the issuer that checked settings describe. It does nothing else.
func New(s Settings) (Issuer, error) {
	switch s.Type {
	case TypeVaultPKI:
		return vaultPKI{s}, nil
	case TypeEST:
		return est{s}, nil
	case TypeStepCA:
		return stepCA{s}, nil
	}
	return nil, fmt.Errorf("reading type: an issuer of an unknown type is stored; write the issuer again")
}

// session is the calls of one Issue.
type session struct {
	client  *http.Client
	secrets []secret.Text // blotted out of whatever the authority says
}

// open makes a client that offers the current certificate, unless the secret takes its place. Whoever opens closes.
func (s Settings) open(request Request) (*session, error) {
	if request.Current == nil && request.Secret.Empty() {
		return nil, fmt.Errorf(
			"requesting a certificate: %w: no current certificate and no one-time secret",
			ErrNoIdentity,
		)
	}
	settings := network.Settings{CACert: s.CACert, ProxyURL: s.ProxyURL}
	if request.Secret.Empty() {
		settings.ClientCertificate = func() *tls.Certificate { return request.Current }
	}
	client, err := network.NewClient(settings)
	if err != nil {
		return nil, err
	}
	given := request.Secret
	return &session{client: client, secrets: []secret.Text{given.Token, given.Username, given.Password}}, nil
}

func (s *session) close() { s.client.CloseIdleConnections() }
