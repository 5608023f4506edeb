package connection

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

// FuzzARNs checks any three ARNs and a custom region against each other. What is accepted is checked again without
// patterns or a parser; a refusal is short and has nothing in it that would spoil a terminal or a log.
func FuzzARNs(f *testing.F) {
	const profile, anchor = "profile/11111111-2222-3333-4444-555555555555",
		"trust-anchor/66666666-7777-8888-9999-aaaaaaaaaaaa"
	for _, of := range []struct{ partition, region string }{{"aws", "us-east-1"}, {"aws-cn", "cn-north-1"},
		{"aws-us-gov", "us-gov-west-1"}, {"aws-x", "x-1"}} {
		prefix := "arn:" + of.partition + ":rolesanywhere:" + of.region + ":123456789012:"
		f.Add(prefix+profile, "arn:"+of.partition+":iam::123456789012:role/path/orders", prefix+anchor, of.region)
	}
	// A custom region says nothing of its partition; the three have to agree all the same.
	f.Add("arn:aws:rolesanywhere:x-1:123456789012:"+profile, "arn:aws-cn:iam::123456789012:role/orders",
		"arn:aws:rolesanywhere:x-1:123456789012:"+anchor, "x-1")
	good := [3]string{"arn:aws:rolesanywhere:us-east-1:123456789012:" + profile,
		"arn:aws:iam::123456789012:role/orders",
		"arn:aws:rolesanywhere:us-east-1:123456789012:" + anchor}
	for _, wrong := range []struct{ old, new string }{
		{"123456789012", "999999999999"}, {"123456789012", "12345678901x"}, {"123456789012", ""},
		{"arn:aws:", "arn:aws-cn:"}, {"us-east-1", "us-east-2"},
		{"iam::", "iam:us-east-1:"}, {"rolesanywhere", "s3"}, {"iam", "sts"}, {"/", "\n/"}, {":", ""},
		{"role/", "role/\x1b[31m"}, {"profile/", "crl/"},
	} {
		for i := range good {
			one := good
			one[i] = strings.Replace(one[i], wrong.old, wrong.new, 1)
			f.Add(one[0], one[1], one[2], "")
			one[i] = good[i] + wrong.new
			f.Add(one[0], one[1], one[2], "us-east-1")
		}
	}
	f.Fuzz(func(t *testing.T, profileARN, roleARN, anchorARN, region string) {
		conn := New()
		conn.AuthType, conn.CustomRegion = AuthRolesAnywhere, region
		conn.ProfileARN, conn.RoleARN, conn.TrustAnchorARN = profileARN, roleARN, anchorARN
		p := &problem.List{}
		checkRegion(p, &conn)
		checkARNs(p, &conn)
		if err := p.Err("checking", ""); err != nil {
			// Nothing is quoted with more than a hundred bytes, and an escaped one takes up to ten.
			if text := err.Error(); len(text) > 8000 ||
				strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
				t.Fatalf("the refusal is %d bytes long: %q", len(text), text)
			}
			return
		}
		judgeARNs(t, &conn)
	})
}

// judgeARNs fails the test for ARNs that must not have been accepted.
func judgeARNs(t *testing.T, conn *Connection) {
	t.Helper()
	var accounts, partitions []string
	for _, one := range []struct{ arn, service, region, resource string }{
		{conn.ProfileARN, "rolesanywhere", conn.AWSRegion(), "profile/"},
		{conn.RoleARN, "iam", "", "role/"},
		{conn.TrustAnchorARN, "rolesanywhere", conn.AWSRegion(), "trust-anchor/"},
	} {
		parts := strings.SplitN(one.arn, ":", 6)
		if len(parts) != 6 || parts[0] != "arn" || parts[2] != one.service || parts[3] != one.region ||
			!strings.HasPrefix(parts[5], one.resource) {
			t.Fatalf("%q is accepted for a %s in region %q", one.arn, one.resource, one.region)
		}
		if strings.ContainsFunc(one.arn, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Errorf("%q is accepted", one.arn)
		}
		partitions, accounts = append(partitions, parts[1]), append(accounts, parts[4])
	}
	if len(slices.Compact(accounts)) != 1 || len(accounts[0]) != 12 ||
		strings.Trim(accounts[0], "0123456789") != "" {
		t.Errorf("the accounts %q are accepted", accounts)
	}
	if len(slices.Compact(partitions)) != 1 {
		t.Errorf("the partitions %q are accepted", partitions)
	}
}
