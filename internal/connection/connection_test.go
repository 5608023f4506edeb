package connection

import (
	"reflect"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

func TestSessionInput_FollowsTheSettings(t *testing.T) {
	t.Parallel()
	m := newDesk(t)
	m.write("orders", rolesAnywhereFields(t, with("session_name", "orders api"), with("duration", "20m")))
	conn := m.kept["orders"]
	want := rolesanywhere.CreateSessionInput{ProfileARN: conn.ProfileARN, RoleARN: conn.RoleARN,
		TrustAnchorARN: conn.TrustAnchorARN, Duration: 20 * time.Minute, RoleSessionName: "orders-api"}
	if got := conn.SessionInput(); !reflect.DeepEqual(got, want) {
		t.Errorf("SessionInput() = %+v, want %+v", got, want)
	}
	conn.SendSessionName, want.RoleSessionName = false, ""
	if got := conn.SessionInput(); !reflect.DeepEqual(got, want) {
		t.Errorf("without a session name SessionInput() = %+v, want %+v", got, want)
	}
	if _, err := conn.Identity(); err != nil {
		t.Errorf("Identity() of a validated connection: %v", err)
	}
}

func TestSigningRegion_PrefersTheMoreSpecific(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		settings     Settings
		aws, signing string
	}{
		{Settings{Region: "us-east-1"}, "us-east-1", "us-east-1"},
		{Settings{Region: "us-east-1", CustomRegion: "x-1"}, "x-1", "x-1"},
		{Settings{Region: "us-east-1", CustomRegion: "x-1", S3Region: "garage"}, "x-1", "garage"},
	} {
		conn := Connection{Settings: test.settings}
		if conn.AWSRegion() != test.aws || conn.SigningRegion() != test.signing {
			t.Errorf("%+v: AWSRegion() = %q, SigningRegion() = %q; want %q and %q",
				test.settings, conn.AWSRegion(), conn.SigningRegion(), test.aws, test.signing)
		}
	}
}

func TestShow_HidesSecretsAndRedactsTheProxy(t *testing.T) {
	t.Parallel()
	m := newDesk(t)
	m.write("reports", accessKeyFields(with("proxy_url", "http://user:CANARY@proxy.example:8080")))
	shown := m.show("reports")
	if shown["proxy_url"] != "http://user:xxxxx@proxy.example:8080" || shown["access_key"] != "AKIAEXAMPLE" {
		t.Errorf("shown as %v", shown)
	}
	for _, hidden := range []string{"secret_key", "private_key", "private_key_passphrase", "certificate", VerifyField,
		"role_arn"} {
		if value, there := shown[hidden]; there {
			t.Errorf("%s is shown: %v", hidden, value)
		}
	}
	conn := m.kept["reports"]
	if settings := conn.Network(); settings.ProxyURL.Reveal() != "http://user:CANARY@proxy.example:8080" {
		t.Error("the calls do not go through the proxy")
	}
}

func TestShow_DamagedCertificateIsAnErrorThatDoesNotRepeatIt(t *testing.T) {
	t.Parallel()
	for _, damaged := range []string{"CANARY", pemText("CERTIFICATE", []byte("CANARY"))} {
		conn := New()
		conn.AuthType, conn.Certificate, conn.PrivateKey = AuthRolesAnywhere, damaged, secret.New("CANARY")
		_, _, err := conn.Show(testTime)
		assertRefused(t, err.Error(), "parsing certificate: ", "write the certificate again")
		if end := conn.CertificateEnd(); end != (CertificateEnd{}) || end.Warnings(testTime) != nil {
			t.Errorf("the end of a damaged certificate is %+v", end)
		}
	}
}
