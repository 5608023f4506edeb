package connection

import (
	"crypto/fips140"
	"strings"
	"time"
	"unicode"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

// Limits of duration, in seconds.
// https://docs.aws.amazon.com/rolesanywhere/latest/userguide/authentication-create-session.html
const (
	minDuration     = 900
	maxDuration     = 3600
	defaultDuration = 3600

	// MaxExtendedDuration is the longest lifetime that AWS gives to a session, in seconds.
	MaxExtendedDuration = 43200
)

// Validate checks the whole connection as of now and adds what is wrong to problems; fields that already have a
// problem are left out. It replaces the certificate, the private key and ca_cert by the form in which they are
// stored, and removes the passphrase. It returns what the operator should know although nothing is wrong.
func (c *Connection) Validate(now time.Time, problems *problem.List) (warnings []string) {
	checkRegion(problems, c)
	checkS3(problems, c)
	checkNetwork(problems, c)
	if problems.Has("auth_type") {
		return nil // which fields are required is not known
	}
	if !c.UsesRolesAnywhere() {
		checkAccessKeys(problems, c)
		checkRotation(problems, c)
		return nil
	}
	checkARNs(problems, c)
	checkDuration(problems, c)
	warnings = append(warnings, checkSessionName(problems, c)...)
	return append(warnings, checkIdentity(problems, c, now)...)
}

// minFIPSSecretKey is what is left of the 112 bits of an HMAC's key in FIPS 140-3 after the "AWS4" that a signature
// puts before the secret access key. https://csrc.nist.gov/pubs/sp/800/131/a/r2/final
const minFIPSSecretKey = 112/8 - len("AWS4")

func checkAccessKeys(problems *problem.List, c *Connection) {
	for _, one := range []struct{ field, value, what string }{
		{"access_key", c.AccessKey, "access key ID"},
		{"secret_key", c.SecretKey.Reveal(), "secret access key"},
	} {
		switch {
		case problems.Has(one.field):
		case one.value == "":
			problems.Add(one.field, "is required for auth_type access_key; give the %s", one.what)
		case strings.ContainsFunc(one.value, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }):
			problems.Add(one.field, "has spaces or control characters inside; give the %s alone", one.what)
		}
	}
	if !problems.Has("secret_key") && fips140.Enforced() && len(c.SecretKey.Reveal()) < minFIPSSecretKey {
		problems.Add("secret_key", "is shorter than %d characters, and this program enforces FIPS 140-3, which signs "+
			"with no key of less than 112 bits; give a longer one", minFIPSSecretKey)
	}
}

func checkDuration(problems *problem.List, c *Connection) {
	limit, hint := int64(maxDuration), "; extended_duration=true raises the limit to 43200 s"
	if c.ExtendedDuration {
		limit, hint = MaxExtendedDuration, ""
	}
	if !problems.Has("duration") && (c.Duration < minDuration || c.Duration > limit) {
		problems.Add("duration", "%d s is outside %d s to %d s%s", c.Duration, minDuration, limit, hint)
	}
}

func checkSessionName(problems *problem.List, c *Connection) (warnings []string) {
	switch {
	case problems.Has("session_name"):
		return nil
	case c.SessionName == "":
		problems.Add("session_name", "is required for auth_type roles_anywhere; give a text by which CloudTrail's "+
			"entries show who uses the session")
		return nil
	case !c.SendSessionName:
		return nil
	}
	if sent := sentSessionName(c.SessionName); sent != c.SessionName {
		return []string{"session_name: AWS does not accept it as it stands; \"" + sent + "\" will be sent"}
	}
	return nil
}
