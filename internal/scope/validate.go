package scope

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

// Validate adds everything that is wrong with a scope, for a connection with the given facts, to problems. It returns
// warnings about what is accepted and may not be what was meant.
func Validate(s *Scope, f Facts, problems *problem.List) (warnings []string) {
	if s.Policy != "" {
		refuseBesidePolicy(s, problems)
	} else {
		checkBuckets(s, problems)
		warnings = append(warnings, checkPrefixes(s, problems)...)
		warnings = append(warnings, checkKMSKeys(s, f, problems)...)
		warnings = append(warnings, checkSources(s, f, problems)...)
	}
	checkRole(s, f, problems)
	checkExternalID(s, problems)
	checkDuration(s, f, problems)
	checkTags(s, problems)
	if s.SourceIdentity != "" && f.RolesAnywhere && !problems.Has("source_identity") {
		problems.Add("source_identity", "is set by Roles Anywhere to the certificate's common name, and AWS lets "+
			"nobody change it; leave it out, or use a connection of auth_type access_key")
	}
	if s.SessionName == "" && len(f.defaultSessionName()) > maxName && !problems.Has("session_name") {
		problems.Add("session_name", "is required here, because the default %s has %d characters, and AWS takes at "+
			"most %d",
			problem.Quote(f.defaultSessionName()), len(f.defaultSessionName()), maxName)
	}
	return append(warnings, checkRendering(s, f, problems)...)
}

// checkRendering parses the templates and builds the session policy as small as it can get.
func checkRendering(s *Scope, f Facts, problems *problem.List) (warnings []string) {
	program := prepare(*s, f, problems)
	if program.policy != nil && grantsEverything(program.policy) {
		warnings = append(warnings, "policy: it allows every action on everything, so that the session may do all "+
			"that its role may")
	}
	if program.policy != nil && literalVariables(program.policy) {
		warnings = append(warnings, "policy: its Version is not \"2012-10-17\", so that policy variables such as "+
			"${aws:username} in it are taken as they stand")
	}
	checkLiterals(program, s, problems)
	if problems.Err("", "") != nil {
		return warnings
	}
	if policy := program.smallestPolicy(); policyLength(policy) > MaxPolicy {
		field := "buckets"
		if s.Policy != "" {
			field = "policy"
		}
		problems.Add(field, "%s", tooLongWords(policyLength(policy)))
	}
	return warnings
}

// smallestPolicy is the session policy with a single character in the place of every directive.
func (p *Program) smallestPolicy() string {
	return p.policyWith(func(t *template) string { return strings.Join(t.literals, "-") })
}

// checkLiterals judges what is known of templates before they are rendered, and all of texts without directives.
func checkLiterals(p *Program, s *Scope, problems *problem.List) {
	check := func(field string, t *template, least, most int, allowed func(rune) bool, before string) {
		text := strings.Join(t.literals, "")
		if t.templated() {
			least = 0
		}
		if fault := guardLength(least, most, allowed)(text); fault != "" && !problems.Has(field) {
			problems.Add(field, "%s%s", before, fault)
		}
	}
	if s.SessionName != "" {
		check("session_name", p.sessionName, minName, maxName, nameCharacter, "")
	}
	if s.SourceIdentity != "" {
		check("source_identity", p.sourceIdentity, minName, maxName, nameCharacter, "")
	}
	for i, key := range p.tagKeys {
		check("session_tags", p.tagValues[i], 0, maxTagValue, tagCharacter, "the value of "+problem.Quote(key)+": ")
	}
}

func refuseBesidePolicy(s *Scope, problems *problem.List) {
	for _, one := range []struct {
		field  string
		values []string
	}{
		{"buckets", s.Buckets}, {"prefixes", s.Prefixes}, {"access", s.Access}, {"kms_key_arns", s.KMSKeyARNs},
		{"source_cidrs", s.SourceCIDRs}, {"source_vpc_endpoints", s.SourceVPCEndpoints},
	} {
		if len(one.values) > 0 && !problems.Has(one.field) {
			problems.Add(one.field, "does not go together with policy, which is given instead of it; "+
				"to change from one to the other, delete the scope and create it again")
		}
	}
}

func checkBuckets(s *Scope, problems *problem.List) {
	if problems.Has("buckets") {
		return
	}
	if len(s.Buckets) == 0 {
		problems.Add("buckets", "is required; name the buckets that the scope opens, or give a policy instead")
	}
	for _, bucket := range s.Buckets {
		if fault := bucketFault(bucket); fault != "" {
			problems.Add("buckets", "%s %s", problem.Quote(bucket), fault)
			return
		}
	}
}

func checkPrefixes(s *Scope, problems *problem.List) (warnings []string) {
	if problems.Has("prefixes") {
		return nil
	}
	for _, prefix := range s.Prefixes {
		if fault := guardPrefix(prefix); fault != "" {
			problems.Add("prefixes", "%s %s", problem.Quote(prefix), fault)
			return nil
		}
		if !utf8.ValidString(prefix) || strings.ContainsFunc(prefix, unicode.IsControl) {
			problems.Add("prefixes", "%s holds a control character or is not UTF-8", problem.Quote(prefix))
			return nil
		}
		if !strings.HasSuffix(prefix, "/") {
			warnings = append(warnings, "prefixes: "+problem.Quote(prefix)+" does not end in \"/\", so it opens "+
				"every key that begins "+
				"with it, such as "+problem.Quote(prefix+"b/c"))
		}
		if strings.HasPrefix(prefix, "/") {
			warnings = append(warnings, "prefixes: "+problem.Quote(prefix)+" begins with \"/\", and S3's keys "+
				"usually do not")
		}
	}
	return warnings
}

// Outlives says whether a stored scope can be used with what its connection is about to become: nil, or a
// *[problem.Error] that names the scope and every field that stands in the way.
func Outlives(s *Scope, f Facts) error {
	var problems problem.List
	Validate(s, f, &problems)
	return problems.Err("scope "+problem.Quote(f.label())+" would not work any more", "change or delete the "+
		"scope first")
}

func checkTags(s *Scope, problems *problem.List) {
	if problems.Has("session_tags") {
		return
	}
	if len(s.SessionTags) > maxTags {
		problems.Add("session_tags", "has %d tags, and AWS takes at most %d", len(s.SessionTags), maxTags)
		return
	}
	var folded []string
	for key := range s.SessionTags {
		lower := strings.ToLower(key)
		if strings.HasPrefix(lower, "aws:") {
			problems.Add("session_tags", "the key %s begins with \"aws:\", which AWS keeps "+
				"to itself", problem.Quote(key))
			return
		}
		if fault := guardLength(1, maxTagKey, tagCharacter)(key); fault != "" {
			problems.Add("session_tags", "the key %s %s", problem.Quote(key), fault)
			return
		}
		folded = append(folded, lower)
	}
	if len(distinct(folded)) < len(folded) {
		problems.Add("session_tags", "has two keys that differ in upper and lower case alone, which AWS takes for "+
			"the same")
	}
	for _, key := range s.TransitiveTagKeys {
		if _, found := s.SessionTags[key]; !found && !problems.Has("transitive_tag_keys") {
			problems.Add("transitive_tag_keys", "%s is no key of session_tags", problem.Quote(key))
		}
	}
}

func checkDuration(s *Scope, f Facts, problems *problem.List) {
	most, why := int64(maxDuration), ""
	if f.RolesAnywhere {
		most, why = maxChained, ", because AWS lets a role that is assumed with another role's session last for an "+
			"hour at most"
	}
	if !problems.Has("duration") && (s.Duration < minDuration || s.Duration > most) {
		problems.Add("duration", "%d s is outside %d s to %d s%s", s.Duration, minDuration, most, why)
	}
}

func checkExternalID(s *Scope, problems *problem.List) {
	allowed := func(r rune) bool { return nameCharacter(r) || r == ':' || r == '/' }
	if s.ExternalID == "" || problems.Has("external_id") {
		return
	}
	if fault := guardLength(minName, maxExternalID, allowed)(s.ExternalID); fault != "" {
		problems.Add("external_id", "%s", fault)
	}
}

// hasKeyAccess says whether the scope reads or writes objects, which AWS KMS has to encrypt or decrypt.
func (s *Scope) hasKeyAccess() bool {
	return slices.Contains(s.access(), AccessRead) || slices.Contains(s.access(), AccessWrite)
}
