package scope

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

var (
	bucketName    = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]+[a-z0-9]$`)
	fourNumbers   = regexp.MustCompile(`^[0-9]+(\.[0-9]+){3}$`)
	vpcEndpointID = regexp.MustCompile(`^vpce-[0-9a-f]{8,17}$`)
	accountID     = regexp.MustCompile(`^[0-9]{12}$`)
	roleResource  = regexp.MustCompile(`^role/([\x21-\x2e\x30-\x7e]+/)*[A-Za-z0-9_+=,.@-]+$`)
	keyResource   = regexp.MustCompile(`^key/[A-Za-z0-9-]+$`)
)

// Lengths are compared beside the patterns: a repetition with bounds takes its multiple of memory at every start.
const (
	maxBucketName   = 63
	maxResourceName = 64 // of a role or a key
)

// matches says whether a resource is of the pattern and the name at its end no longer than AWS allows.
func matches(pattern *regexp.Regexp, resource string) bool {
	return len(resource)-strings.LastIndexByte(resource, '/')-1 <= maxResourceName && pattern.MatchString(resource)
}

// bucketFault says what keeps a text from being the name of a general purpose bucket.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
func bucketFault(name string) string {
	for _, reserved := range []string{"xn--", "sthree-", "amzn-s3-demo-"} {
		if strings.HasPrefix(name, reserved) {
			return fmt.Sprintf("begins with %q, which S3 keeps to itself", reserved)
		}
	}
	for _, reserved := range []string{"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"} {
		if strings.HasSuffix(name, reserved) {
			return fmt.Sprintf("ends in %q: it is an alias, an access point or a bucket of another kind, which a "+
				"scope cannot name; give a policy instead", reserved)
		}
	}
	if len(name) > maxBucketName || !bucketName.MatchString(name) || strings.Contains(name, "..") ||
		fourNumbers.MatchString(name) {
		return "is no bucket's name; it has 3 to 63 lower-case letters, digits, dots and dashes, begins and ends " +
			"with a letter or digit, has no two dots in a row and is no IP address"
	}
	return ""
}

// arnParts are the parts of an ARN after "arn:".
type arnParts struct{ partition, service, region, account, resource string }

func parseARN(text string) (arnParts, bool) {
	parts := strings.SplitN(text, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" {
		return arnParts{}, false
	}
	return arnParts{parts[1], parts[2], parts[3], parts[4], parts[5]}, true
}

func checkRole(s *Scope, f Facts, problems *problem.List) {
	const example = "it looks like arn:aws:iam::123456789012:role/NAME"
	switch {
	case problems.Has("role_arn"):
	case s.RoleARN == "" && !f.RolesAnywhere && !f.OwnStore:
		problems.Add("role_arn", "is required for a connection of auth_type access_key; %s", example)
	case s.RoleARN != "" && f.OwnStore:
		if len(s.RoleARN) < 20 || strings.ContainsAny(s.RoleARN, " \t\r\n") {
			problems.Add("role_arn", "%s has fewer than 20 characters or a space in it, and STS takes "+
				"neither", problem.Quote(s.RoleARN))
		}
	case s.RoleARN != "":
		role, isARN := parseARN(s.RoleARN)
		switch {
		case !isARN || role.service != "iam" || role.region != "" || !accountID.MatchString(role.account) ||
			!matches(roleResource, role.resource):
			problems.Add("role_arn", "%s is not a role's ARN; %s", problem.Quote(s.RoleARN), example)
		case f.Partition != "" && role.partition != f.Partition:
			problems.Add("role_arn", "is in partition %s, and the connection's region belongs to %q",
				problem.Quote(role.partition), f.Partition)
		}
	}
}

func checkKMSKeys(s *Scope, f Facts, problems *problem.List) (warnings []string) {
	const example = "it looks like arn:aws:kms:REGION:ACCOUNT:key/ID (an alias does not do)"
	if len(s.KMSKeyARNs) == 0 || problems.Has("kms_key_arns") {
		return nil
	}
	for _, text := range s.KMSKeyARNs {
		key, isARN := parseARN(text)
		switch {
		case !isARN || key.service != "kms" || key.region == "" || !accountID.MatchString(key.account) ||
			!matches(keyResource, key.resource):
			problems.Add("kms_key_arns", "%s is not a key's ARN; %s", problem.Quote(text), example)
			return nil
		case key.partition != s.partition(f):
			problems.Add("kms_key_arns", "%s is in another partition than %q", problem.Quote(text), s.partition(f))
			return nil
		}
	}
	if !s.hasKeyAccess() {
		return []string{"kms_key_arns: it adds nothing, because access has neither \"read\" nor \"write\""}
	}
	return nil
}

func checkSources(s *Scope, f Facts, problems *problem.List) (warnings []string) {
	if !problems.Has("source_cidrs") {
		for _, text := range s.SourceCIDRs {
			source, fault := parseSource(text)
			if fault != "" {
				problems.Add("source_cidrs", "%s %s", problem.Quote(text), fault)
				break
			}
			warnings = append(warnings, sourceWarnings(source, f)...)
		}
	}
	if problems.Has("source_vpc_endpoints") {
		return warnings
	}
	notID := func(id string) bool { return !vpcEndpointID.MatchString(id) }
	if i := slices.IndexFunc(s.SourceVPCEndpoints, notID); i >= 0 {
		problems.Add("source_vpc_endpoints", "%s is no VPC endpoint's id; it looks like vpce-0123456789abcdef0",
			problem.Quote(s.SourceVPCEndpoints[i]))
	}
	return warnings
}

// parseSource reads an address or a range in CIDR notation.
func parseSource(text string) (source netip.Prefix, fault string) {
	const want = "is neither an IP address nor a range such as 203.0.113.0/24"
	if !strings.Contains(text, "/") {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" || addr.Is4In6() {
			return netip.Prefix{}, want
		}
		return netip.PrefixFrom(addr, addr.BitLen()), ""
	}
	source, err := netip.ParsePrefix(text)
	if err != nil || source.Addr().Is4In6() {
		return netip.Prefix{}, want
	}
	if source != source.Masked() {
		return netip.Prefix{}, "has bits set after " +
			"its first " + fmt.Sprint(source.Bits()) + "; the range is " + source.Masked().String()
	}
	return source, ""
}

func sourceWarnings(source netip.Prefix, f Facts) []string {
	addr := source.Addr()
	switch {
	case source.Bits() == 0:
		return []string{"source_cidrs: " + source.String() + " lets in every address of its kind"}
	case !f.OwnStore && (addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast()):
		return []string{"source_cidrs: AWS sees public addresses alone, so " + source.String() + " lets nobody in; " +
			"for requests from inside a VPC use source_vpc_endpoints"}
	}
	return nil
}
