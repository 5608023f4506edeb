package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

const secondRole = "arn:aws:iam::210987654321:role/reports"

// answerSTS is as much of STS as the example calls: it answers the session with a chained one, and that with who it is.
func answerSTS(t *testing.T, session *rolesanywheretest.Credentials) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		authorization := r.Header.Get("Authorization")
		switch action := r.PostForm.Get("Action"); {
		case action == "AssumeRole" && strings.Contains(authorization, "Credential="+session.AccessKeyID+"/") &&
			r.Header.Get("X-Amz-Security-Token") == session.SessionToken && r.PostForm.Get("RoleArn") == secondRole:
			fmt.Fprintf(
				w,
				`<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
				<AccessKeyId>ASIACHAINED</AccessKeyId><SecretAccessKey>s</SecretAccessKey>
				<SessionToken>chained</SessionToken>
				<Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
				time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
			)
		case action == "GetCallerIdentity" && strings.Contains(authorization, "Credential=ASIACHAINED/") &&
			r.Header.Get("X-Amz-Security-Token") == "chained":
			fmt.Fprint(
				w,
				`<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
				<Arn>arn:aws:sts::210987654321:assumed-role/reports/assume-role-example</Arn>
				</GetCallerIdentityResult></GetCallerIdentityResponse>`,
			)
		default:
			t.Errorf("unexpected call of %s with %s", action, authorization)
			http.Error(w, "no", http.StatusForbidden)
		}
	}
}

func TestRun_AssumesTheSecondRoleWithTheSession(t *testing.T) {
	t.Parallel()
	authority, err := rolesanywheretest.NewAuthority(rolesanywheretest.AuthorityOptions{})
	if err != nil {
		t.Fatal(err)
	}
	issued, err := authority.Issue(
		rolesanywheretest.IssueOptions{CommonName: "orders-api", KeyType: rolesanywheretest.MLDSA65},
	)
	if err != nil {
		t.Fatal(err)
	}
	session := rolesanywheretest.Credentials{
		AccessKeyID:     "ASIASESSION",
		SecretAccessKey: "secret",
		SessionToken:    "token",
	}
	service := rolesanywheretest.NewServer(rolesanywheretest.Options{
		TrustAnchors: []*x509.Certificate{authority.Certificate()},
		Vend: func(context.Context, rolesanywheretest.SessionRequest) (rolesanywheretest.Credentials, error) {
			return session, nil
		},
	})
	t.Cleanup(service.Close)
	sts := httptest.NewServer(answerSTS(t, &session))
	t.Cleanup(sts.Close)
	dir := t.TempDir()
	certificate, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	if err := errors.Join(os.WriteFile(certificate, issued.CertificatePEM, 0o600),
		os.WriteFile(key, issued.PrivateKeyPEM, 0o600)); err != nil {
		t.Fatal(err)
	}
	args := []string{"-certificate", certificate, "-private-key", key,
		"-trust-anchor-arn", "arn:aws:rolesanywhere:us-east-1:123456789012:trust-anchor/1",
		"-profile-arn", "arn:aws:rolesanywhere:us-east-1:123456789012:profile/1",
		"-role-arn", "arn:aws:iam::123456789012:role/app", "-then-role-arn", secondRole,
		"-rolesanywhere-endpoint", service.URL, "-sts-endpoint", sts.URL}
	var out bytes.Buffer
	if err := run(t.Context(), args, &out); err != nil {
		t.Fatal(err)
	}
	if want := "arn:aws:sts::210987654321:assumed-role/reports/assume-role-example\n"; out.String() != want ||
		service.Sessions() != 1 {
		t.Errorf("printed %q after %d sessions, want %q", out.String(), service.Sessions(), want)
	}
	err = run(t.Context(), append(args, "-certificate", key), &out)
	if !errors.Is(err, rolesanywhere.ErrInvalidCertificate) {
		t.Errorf("error = %v, want ErrInvalidCertificate", err)
	}
	if err := run(t.Context(), append(args, "-trust-anchor-arn", "x"), &out); err == nil ||
		!strings.Contains(err.Error(), "-trust-anchor-arn") {
		t.Errorf("error = %v, want one of -trust-anchor-arn", err)
	}
}
