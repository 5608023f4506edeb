package scope

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxPolicy is the most characters that AWS takes of a session policy.
//
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
const MaxPolicy = 2048

// grant is what a session policy allows, with every template rendered.
type grant struct {
	partition    string
	buckets      []string
	prefixes     []string // literal beginnings of keys; none: every key
	access       []string
	kmsKeys      []string
	cidrs        []string
	vpcEndpoints []string
}

// The actions of each access level.
//
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
func objectActions(access []string) []string {
	var actions []string
	for _, level := range access {
		switch level {
		case AccessRead:
			actions = append(actions, "s3:GetObject", "s3:GetObjectVersion")
		case AccessWrite:
			actions = append(actions, "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
		case AccessDelete:
			actions = append(actions, "s3:DeleteObject", "s3:DeleteObjectVersion")
		}
	}
	return actions
}

const (
	listAction     = "s3:ListBucket"
	locationAction = "s3:GetBucketLocation"
)

// kmsActions are what S3 calls AWS KMS for, in the caller's name. A multipart upload reads its parts back, so writing
// needs Decrypt too.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
func kmsActions(access []string) []string {
	switch {
	case slices.Contains(access, AccessWrite):
		return []string{"kms:Decrypt", "kms:GenerateDataKey"}
	case slices.Contains(access, AccessRead):
		return []string{"kms:Decrypt"}
	}
	return nil
}

// document returns the session policy: JSON without a space, in as few statements and characters as the grant can be
// written with, and always the same for the same grant.
func (g *grant) document() string {
	var statements []statement
	for _, source := range g.sources() {
		statements = append(statements, g.s3Statements(source)...)
	}
	if actions := kmsActions(g.access); len(actions) > 0 && len(g.kmsKeys) > 0 {
		// Only S3 may make the call. The conditions on the source are left out, because AWS KMS sees S3's address and
		// not the caller's: they would refuse every call. S3 has already applied them to the request that it calls KMS
		// for.
		//
		// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-aws.html
		statements = append(statements, statement{actions: actions, resources: g.kmsKeys,
			conditions: []condition{{"StringLike", "kms:ViaService", []string{"s3.*"}}}})
	}
	return encodePolicy(statements)
}

// sources returns the conditions on where a request comes from, one for each way that suffices by itself. AWS sets no
// source address for a request through an endpoint, so that one statement with both conditions would allow nothing.
func (g *grant) sources() [][]condition {
	var sources [][]condition
	if len(g.cidrs) > 0 {
		sources = append(sources, []condition{{"IpAddress", "aws:SourceIp", g.cidrs}})
	}
	if len(g.vpcEndpoints) > 0 {
		sources = append(sources, []condition{{"StringEquals", "aws:SourceVpce", g.vpcEndpoints}})
	}
	if len(sources) == 0 {
		return [][]condition{nil}
	}
	return sources
}

// s3Statements puts actions on buckets and on objects into one statement: an action applies only to resources of its
// own type. Listing below prefixes needs a statement of its own for its condition, which s3:GetBucketLocation could
// not meet.
func (g *grant) s3Statements(source []condition) []statement {
	all := statement{actions: objectActions(g.access), conditions: source}
	if len(all.actions) > 0 {
		all.resources = g.objects()
	}
	if !slices.Contains(g.access, AccessList) {
		return []statement{all}
	}
	all.actions = append(all.actions, locationAction)
	all.resources = append(all.resources, g.bucketARNs()...)
	if len(g.prefixes) == 0 {
		all.actions = append(all.actions, listAction)
		return []statement{all}
	}
	// "p/*" matches "p/" too: "*" stands for no character as well.
	var below []string
	for _, prefix := range g.prefixes {
		below = append(below, escapeLiteral(prefix)+"*")
	}
	list := statement{actions: []string{listAction}, resources: g.bucketARNs(),
		conditions: append(slices.Clone(source), condition{"StringLike", "s3:prefix", below})}
	return []statement{all, list}
}

func (g *grant) bucketARNs() []string {
	var arns []string
	for _, bucket := range g.buckets {
		arns = append(arns, "arn:"+g.partition+":s3:::"+bucket)
	}
	return arns
}

func (g *grant) objects() []string {
	prefixes := g.prefixes
	if len(prefixes) == 0 {
		prefixes = []string{""}
	}
	var arns []string
	for _, bucket := range g.bucketARNs() {
		for _, prefix := range prefixes {
			arns = append(arns, bucket+"/"+escapeLiteral(prefix)+"*")
		}
	}
	return arns
}

// escapeLiteral writes the characters that a policy gives a meaning to so that they stand for themselves.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
func escapeLiteral(text string) string {
	return strings.NewReplacer("*", "${*}", "?", "${?}", "$", "${$}").Replace(text)
}

// distinctPrefixes sorts prefixes and leaves out those that a shorter one opens already.
func distinctPrefixes(prefixes []string) []string {
	var kept []string
	for _, prefix := range slices.Sorted(slices.Values(prefixes)) {
		if len(kept) == 0 || !strings.HasPrefix(prefix, kept[len(kept)-1]) {
			kept = append(kept, prefix)
		}
	}
	return kept
}

// distinct sorts values and leaves out repeated ones.
func distinct(values []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(values)))
}

type statement struct {
	actions, resources []string
	conditions         []condition
}

type condition struct {
	operator, key string
	values        []string
}

func encodePolicy(statements []statement) string {
	var b strings.Builder
	b.WriteString(`{"Version":"2012-10-17","Statement":[`)
	for i, one := range statements {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"Effect":"Allow","Action":`)
		writeValues(&b, one.actions)
		b.WriteString(`,"Resource":`)
		writeValues(&b, one.resources)
		if len(one.conditions) > 0 {
			b.WriteString(`,"Condition":`)
			writeConditions(&b, one.conditions)
		}
		b.WriteByte('}')
	}
	b.WriteString("]}")
	return strings.Clone(b.String()) // without the builder's spare room: one policy is kept for each entity
}

// writeConditions expects each operator once.
func writeConditions(b *strings.Builder, conditions []condition) {
	sorted := slices.SortedFunc(slices.Values(conditions), func(x, y condition) int {
		return strings.Compare(x.operator, y.operator)
	})
	for i, one := range sorted {
		b.WriteByte("{,"[min(i, 1)])
		writeString(b, one.operator)
		b.WriteString(":{")
		writeString(b, one.key)
		b.WriteByte(':')
		writeValues(b, one.values)
		b.WriteByte('}')
	}
	b.WriteByte('}')
}

// writeValues writes a single value without a list around it, as IAM's grammar allows.
func writeValues(b *strings.Builder, values []string) {
	values = distinct(values)
	if len(values) == 1 {
		writeString(b, values[0])
		return
	}
	for i, value := range values {
		b.WriteByte("[,"[min(i, 1)])
		writeString(b, value)
	}
	b.WriteByte(']')
}

// writeString writes a JSON string of the characters that AWS takes in a session policy: those from U+0020 to U+00FF.
// All others are escaped.
//
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
func writeString(b *strings.Builder, text string) {
	const hexDigits = "0123456789abcdef"
	escape := func(unit rune) {
		b.WriteString(`\u`)
		for shift := 12; shift >= 0; shift -= 4 {
			b.WriteByte(hexDigits[unit>>shift&0xf])
		}
	}
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r >= 0x7f && r < 0xa0 || r > 0xff && r <= 0xffff:
			escape(r)
		case r > 0xffff:
			r -= 0x10000
			escape(0xd800 + r>>10)
			escape(0xdc00 + r&0x3ff)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
}

// policyLength counts as AWS does, in characters.
func policyLength(policy string) int { return utf8.RuneCountInString(policy) }
