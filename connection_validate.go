package s3conn

import (
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/s3conn/vault-plugin-s3conn/internal/network"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

const (
	minDuration         = 900
	maxDuration         = 3600
	maxExtendedDuration = 43200
)

// validateConnection checks the whole connection at the given time, puts the certificate and key into the form in
// which they are stored, and returns what the operator should be told although nothing is wrong.
func validateConnection(c *connection, now time.Time, p *problem.List) (warnings []string) {
	checkRegion(p, c)
	checkS3(p, c)
	checkNetwork(p, c)
	if p.Has("auth_type") {
		return nil // which fields are required is not known
	}
	if !c.usesRolesAnywhere() {
		checkAccessKeys(p, c)
		return nil
	}
	checkARNs(p, c)
	checkDuration(p, c)
	warnings = append(warnings, checkSessionName(p, c)...)
	return append(warnings, checkIdentity(p, c, now)...)
}

func checkAccessKeys(p *problem.List, c *connection) {
	for _, one := range []struct{ field, value, what string }{
		{"access_key", c.AccessKey, "access key ID"},
		{"secret_key", c.secretKey.Reveal(), "secret access key"},
	} {
		switch {
		case p.Has(one.field):
		case one.value == "":
			p.Add(one.field, "is required for auth_type access_key; give the %s", one.what)
		case strings.ContainsFunc(one.value, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }):
			p.Add(one.field, "has spaces or control characters inside; give the %s alone", one.what)
		}
	}
}

var (
	accountID  = regexp.MustCompile(`^[0-9]{12}$`)
	roleName   = regexp.MustCompile(`^role/([\x21-\x2e\x30-\x7e]+/)*[A-Za-z0-9+=,.@_-]{1,64}$`)
	uuid       = `[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`
	profileID  = regexp.MustCompile(`^profile/` + uuid)
	trustID    = regexp.MustCompile(`^trust-anchor/` + uuid)
	s3RegionRe = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
)

// checkARNs holds the three ARNs against their services and resources, and against each other: AWS answers a
// mixture with a bare AccessDeniedException.
func checkARNs(p *problem.List, c *connection) {
	var partitions, accounts []arnPart
	for _, want := range []struct {
		field, value, service, example string
		resource                       *regexp.Regexp
	}{
		{"profile_arn", c.ProfileARN, "rolesanywhere", "arn:aws:rolesanywhere:REGION:ACCOUNT:profile/ID", profileID},
		{"role_arn", c.RoleARN, "iam", "arn:aws:iam::ACCOUNT:role/NAME", roleName},
		{"trust_anchor_arn", c.TrustAnchorARN, "rolesanywhere", "arn:aws:rolesanywhere:REGION:ACCOUNT:trust-anchor/ID", trustID},
	} {
		if p.Has(want.field) {
			continue
		}
		if want.value == "" {
			p.Add(want.field, "is required for auth_type roles_anywhere; it looks like %s", want.example)
			continue
		}
		parsed, err := arn.Parse(want.value)
		if err != nil {
			p.Add(want.field, "%s is not an ARN; it looks like %s", problem.Quote(want.value), want.example)
			continue
		}
		if parsed.Service != want.service || !want.resource.MatchString(parsed.Resource) {
			p.Add(want.field, "%s names another kind of resource; it looks like %s", problem.Quote(want.value), want.example)
			continue
		}
		checkARNRegion(p, c, want.field, parsed)
		if partitionFits(p, c, parsed.Partition) {
			partitions = append(partitions, arnPart{want.field, parsed.Partition})
		} else {
			p.Add(want.field, "is in partition %s, and region %s belongs to %q", problem.Quote(parsed.Partition), problem.Quote(c.region()),
				rolesanywhere.Partition(c.region()))
		}
		if accountID.MatchString(parsed.AccountID) {
			accounts = append(accounts, arnPart{want.field, parsed.AccountID})
		} else {
			p.Add(want.field, "%s has no 12-digit account; it looks like %s", problem.Quote(want.value), want.example)
		}
	}
	checkSame(p, "partition", partitions)
	checkSame(p, "account", accounts)
}

func checkARNRegion(p *problem.List, c *connection, field string, parsed arn.ARN) {
	switch {
	case parsed.Service == "iam" && parsed.Region != "": // IAM is global
		p.Add(field, "has the region %s, which a role's ARN never has; leave it empty, as in arn:aws:iam::ACCOUNT:role/NAME", problem.Quote(parsed.Region))
	case parsed.Service != "iam" && parsed.Region != c.region():
		p.Add(field, "is in region %s, and the connection's is %s; both have to be the same", problem.Quote(parsed.Region), problem.Quote(c.region()))
	}
}

// arnPart is the partition or account that a field's ARN has.
type arnPart struct{ field, value string }

// checkSame names the parts that differ: the odd one where two agree, else those that are not as the first.
func checkSame(p *problem.List, what string, parts []arnPart) {
	if len(parts) == 0 {
		return
	}
	usual := parts[0]
	if len(parts) == 3 && parts[1].value == parts[2].value {
		usual = parts[1]
	}
	for _, one := range parts {
		if one.value != usual.value {
			p.Add(one.field, "is in %s %s, and %s in %s; all three have to be in one %[1]s", what, problem.Quote(one.value), usual.field, problem.Quote(usual.value))
		}
	}
}

// partitionFits does not judge a custom region whose name says nothing of its partition, nor a region that is none.
func partitionFits(p *problem.List, c *connection, partition string) bool {
	if p.Has("region") || p.Has("custom_region") {
		return true // said already
	}
	known := rolesanywhere.Partition(c.region())
	if c.CustomRegion != "" && known == "aws" && !slices.Contains(awsRegions(), c.CustomRegion) {
		return true
	}
	return partition == known
}

func checkDuration(p *problem.List, c *connection) {
	limit, hint := int64(maxDuration), "; extended_duration=true raises the ceiling to 43200 s"
	if c.ExtendedDuration {
		limit, hint = maxExtendedDuration, ""
	}
	if !p.Has("duration") && (c.Duration < minDuration || c.Duration > limit) {
		p.Add("duration", "%d s is outside %d s to %d s%s", c.Duration, minDuration, limit, hint)
	}
}

func checkSessionName(p *problem.List, c *connection) (warnings []string) {
	if p.Has("session_name") {
		return nil
	}
	if c.SessionName == "" {
		p.Add("session_name", "is required for auth_type roles_anywhere; give any text that tells in CloudTrail who uses the session")
		return nil
	}
	if !c.SendSessionName {
		return nil
	}
	if sent := rolesanywhere.SessionName(c.SessionName); sent != c.SessionName {
		return []string{"session_name: AWS does not accept it as it stands; \"" + sent + "\" will be sent"}
	}
	return nil
}

func checkS3(p *problem.List, c *connection) {
	checkEndpoint(p, "s3_endpoint", c.S3Endpoint, network.PlainHTTP{Allowed: c.S3AllowHTTP,
		Hint: ", or s3_allow_http=true inside a private network"})
	if c.S3Region != "" && !s3RegionRe.MatchString(c.S3Region) {
		p.Add("s3_region", "%s is not a region's name; use letters, digits, dots, underscores and dashes, at most 64", problem.Quote(c.S3Region))
	}
}
