package connection

import (
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

const uuid = `[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}`

var (
	accountID     = regexp.MustCompile(`^[0-9]{12}$`)
	roleName      = regexp.MustCompile(`^role/([\x21-\x2e\x30-\x7e]+/)*[A-Za-z0-9+=,.@_-]{1,64}$`)
	profileID     = regexp.MustCompile(`^profile/` + uuid + `$`)
	trustAnchorID = regexp.MustCompile(`^trust-anchor/` + uuid + `$`)
)

// arnRule is what an ARN field has to look like.
type arnRule struct {
	field, value, service, example string
	resource                       *regexp.Regexp
}

// checkARNs compares the three ARNs with their services and resources, and with each other: AWS answers a
// mixture with an AccessDeniedException that does not say what is wrong.
func checkARNs(problems *problem.List, c *Connection) {
	var partitions, accounts []arnPart
	for _, rule := range []arnRule{
		{"profile_arn", c.ProfileARN, "rolesanywhere", "arn:aws:rolesanywhere:REGION:ACCOUNT:profile/ID", profileID},
		{"role_arn", c.RoleARN, "iam", "arn:aws:iam::ACCOUNT:role/NAME", roleName},
		{"trust_anchor_arn", c.TrustAnchorARN, "rolesanywhere",
			"arn:aws:rolesanywhere:REGION:ACCOUNT:trust-anchor/ID", trustAnchorID},
	} {
		parsed, ok := rule.parse(problems)
		if !ok {
			continue
		}
		checkARNRegion(problems, c, rule.field, parsed)
		if partitionFits(problems, c, parsed.Partition) {
			partitions = append(partitions, arnPart{rule.field, parsed.Partition})
		} else {
			problems.Add(rule.field, "is in partition %s, and region %s belongs to %q", problem.Quote(parsed.Partition),
				problem.Quote(c.AWSRegion()), rolesanywhere.Partition(c.AWSRegion()))
		}
		if accountID.MatchString(parsed.AccountID) {
			accounts = append(accounts, arnPart{rule.field, parsed.AccountID})
		} else {
			problems.Add(rule.field, "%s has no 12-digit account; it looks like %s", problem.Quote(rule.value),
				rule.example)
		}
	}
	checkSame(problems, "partition", partitions)
	checkSame(problems, "account", accounts)
}

// parse returns the rule's ARN if it names a resource of the rule's kind.
func (r *arnRule) parse(problems *problem.List) (parsed arn.ARN, ok bool) {
	if problems.Has(r.field) {
		return arn.ARN{}, false
	}
	if r.value == "" {
		problems.Add(r.field, "is required for auth_type roles_anywhere; it looks like %s", r.example)
		return arn.ARN{}, false
	}
	parsed, err := arn.Parse(r.value)
	if err != nil {
		problems.Add(r.field, "%s is not an ARN; it looks like %s", problem.Quote(r.value), r.example)
		return arn.ARN{}, false
	}
	if parsed.Service != r.service || !r.resource.MatchString(parsed.Resource) {
		problems.Add(r.field, "%s names another kind of resource; it looks like %s", problem.Quote(r.value), r.example)
		return arn.ARN{}, false
	}
	return parsed, true
}

func checkARNRegion(problems *problem.List, c *Connection, field string, parsed arn.ARN) {
	switch {
	case parsed.Service == "iam" && parsed.Region != "": // IAM is global
		problems.Add(field, "has the region %s, which a role's ARN never has; leave it empty, as in "+
			"arn:aws:iam::ACCOUNT:role/NAME", problem.Quote(parsed.Region))
	case parsed.Service != "iam" && parsed.Region != c.AWSRegion():
		problems.Add(field, "is in region %s, and the connection's is %s; both have to be the same",
			problem.Quote(parsed.Region), problem.Quote(c.AWSRegion()))
	}
}

// arnPart is the partition or account that a field's ARN has.
type arnPart struct{ field, value string }

// checkSame names the parts that differ: the odd one where two agree, else those that are not as the first.
func checkSame(problems *problem.List, what string, parts []arnPart) {
	if len(parts) == 0 {
		return
	}
	usual := parts[0]
	if len(parts) == 3 && parts[1].value == parts[2].value {
		usual = parts[1]
	}
	for _, one := range parts {
		if one.value != usual.value {
			problems.Add(one.field, "is in %s %s, and %s in %s; all three have to be in one %[1]s",
				what, problem.Quote(one.value), usual.field, problem.Quote(usual.value))
		}
	}
}

// partitionFits accepts every partition for a region that is itself refused, and for a custom region that no known
// partition claims.
func partitionFits(problems *problem.List, c *Connection, partition string) bool {
	if problems.Has("region") || problems.Has("custom_region") {
		return true
	}
	known := c.Partition()
	return known == "" || partition == known
}
