package s3conn

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
)

func TestConnectionAndSession_NoWayOfPrintingShowsASecret(t *testing.T) {
	t.Parallel()
	const canary = "CANARY-7f3a"
	s := secret.New(canary)
	conn := connection.Connection{SecretKey: s, PrivateKey: s, ProxyURL: s, Passphrase: s, PKCS12: s}
	obtained := session.Session{SecretKey: s, SessionToken: s}
	used := &inUse{conn: &conn}
	used.response.Of(&obtained, func() map[string]any { return nil })

	var printed bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		for _, one := range []any{conn, &conn, obtained, used, []session.Session{obtained},
			map[string]session.Session{"a": obtained}} {
			fmt.Fprintf(&printed, verb+"\n", one)
		}
	}
	for _, form := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary)} {
		if strings.Contains(printed.String(), form) {
			t.Errorf("printed %q:\n%s", form, printed.String())
		}
	}
}
