package enroll

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

// revokeTimeout bounds the end of a login, which takes place whatever became of the request and of its context.
const revokeTimeout = 2 * time.Second

// vaultPKI asks the PKI engine of a Vault or OpenBao server.
// https://developer.hashicorp.com/vault/api-docs/secret/pki#sign-certificate
// https://developer.hashicorp.com/vault/api-docs/auth/cert#login-with-tls-certificate-method
type vaultPKI struct{ Settings }

func (v vaultPKI) Issue(ctx context.Context, request Request) (*Issued, error) {
	ctx, cancel := context.WithTimeout(ctx, IssueTimeout)
	defer cancel()
	session, err := v.open(request)
	if err != nil {
		return nil, err
	}
	defer session.close()
	if !request.Secret.Token.Empty() {
		return v.sign(ctx, session, request.Secret.Token, request.CSR)
	}
	token, err := v.login(ctx, session)
	if err != nil {
		return nil, err
	}
	session.secrets = append(session.secrets, token)
	issued, err := v.sign(ctx, session, token, request.CSR)
	if revokeErr := v.revoke(ctx, session, token); revokeErr != nil && err == nil {
		issued.Warnings = append(
			issued.Warnings,
			fmt.Sprintf("the login's token lives until its TTL ends: %v", revokeErr),
		)
	}
	return issued, err
}

// login returns a token. Who logs in is seen by the TLS connection.
func (v vaultPKI) login(ctx context.Context, session *session) (secret.Text, error) {
	const operation = "logging in with the current certificate"
	mount := v.CertAuthPath
	if mount == "" {
		mount = DefaultCertAuthPath
	}
	body, err := v.post(
		ctx,
		session,
		operation,
		secret.Text{},
		map[string]string{"name": v.CertAuthRole},
		"auth",
		mount,
		"login",
	)
	if err != nil {
		return secret.Text{}, err
	}
	var reply struct {
		Auth struct {
			Token string `json:"client_token"`
		} `json:"auth"`
	}
	if err := decode(operation, body, &reply); err != nil {
		return secret.Text{}, err
	}
	if !isToken(reply.Auth.Token) {
		return secret.Text{}, unusable(operation, "it holds no token")
	}
	return secret.New(reply.Auth.Token), nil
}

// isToken keeps what cannot stand in a header from becoming an error of net/http, which would quote it.
func isToken(token string) bool {
	return token != "" && len(token) <= 4096 &&
		!strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' })
}

func (v vaultPKI) sign(ctx context.Context, session *session, token secret.Text, csr []byte) (*Issued, error) {
	operation := "signing with " + v.PKIPath + "/sign/" + v.PKIRole
	if !isToken(token.Reveal()) {
		return nil, fmt.Errorf("reading token: it holds what no Vault token holds; %w", ErrNoIdentity)
	}
	input := map[string]string{"csr": string(encodeCSR(csr))}
	if v.TTL > 0 {
		input["ttl"] = fmt.Sprintf("%ds", int64(v.TTL/time.Second))
	}
	body, err := v.post(ctx, session, operation, token, input, v.PKIPath, "sign", v.PKIRole)
	if err != nil {
		return nil, err
	}
	return readVaultAnswer(operation, body)
}

// readVaultAnswer reads what pki/sign returns. The authority itself and its chain may be the same, and the root may
// stand in both.
func readVaultAnswer(operation string, body []byte) (*Issued, error) {
	var reply struct {
		Data struct {
			Certificate string   `json:"certificate"`
			IssuingCA   string   `json:"issuing_ca"`
			Chain       []string `json:"ca_chain"`
		} `json:"data"`
	}
	if err := decode(operation, body, &reply); err != nil {
		return nil, err
	}
	leaf, err := parsePEM(operation, "certificate", reply.Data.Certificate)
	if err != nil {
		return nil, err
	}
	if len(reply.Data.Chain) >= maxCertificates {
		return nil, unusable(operation, "its ca_chain holds %d certificates", len(reply.Data.Chain))
	}
	bag := leaf[1:]
	for _, one := range append(reply.Data.Chain, reply.Data.IssuingCA) {
		if one == "" {
			continue
		}
		certificates, err := parsePEM(operation, "ca_chain", one)
		if err != nil {
			return nil, err
		}
		bag = append(bag, certificates...)
	}
	return chained(operation, leaf[0], bag)
}

func chained(operation string, leaf *x509.Certificate, bag []*x509.Certificate) (*Issued, error) {
	chain, err := buildChain(operation, leaf, bag)
	if err != nil {
		return nil, err
	}
	return &Issued{Chain: chain}, nil
}

// revoke ends the login. It runs after a cancelled request too.
func (v vaultPKI) revoke(ctx context.Context, session *session, token secret.Text) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTimeout)
	defer cancel()
	_, err := v.post(ctx, session, "revoking the login's token", token, nil, "auth", "token", "revoke-self")
	return err
}

func (v vaultPKI) post(ctx context.Context, s *session, operation string, token secret.Text, input map[string]string,
	segments ...string,
) ([]byte, error) {
	header := http.Header{"Content-Type": {"application/json"}, "X-Vault-Request": {"true"}}
	if !token.Empty() {
		header.Set("X-Vault-Token", token.Reveal())
	}
	if v.Namespace != "" {
		header.Set("X-Vault-Namespace", v.Namespace)
	}
	address := v.path(append([]string{"v1"}, segments...)...)
	reply, err := s.do(ctx, call{operation, http.MethodPost, address, header, encode(input), vaultWords})
	if err != nil {
		return nil, err
	}
	return reply.body, nil
}

// vaultWords reads {"errors": ["..."]}.
func vaultWords(_ *http.Response, body []byte) (code, message string) {
	var reply struct {
		Errors []string `json:"errors"`
	}
	if json.Unmarshal(body, &reply) != nil {
		return "", ""
	}
	return "", strings.Join(reply.Errors, "; ")
}
