// Package scope describes how a scope narrows a connection's credentials: its fields and their rules, the templates in
// them, and the session policy that sts:AssumeRole is called with. It does no I/O and knows no Vault SDK.
package scope

import (
	"slices"
	"strings"
	"time"
)

// The access levels of a scope.
const (
	AccessList   = "list"
	AccessRead   = "read"
	AccessWrite  = "write"
	AccessDelete = "delete"
)

const (
	defaultDuration = 3600
	minDuration     = 900
	maxDuration     = 43200

	// maxChained is AWS's limit for a role that is assumed with another role's session.
	//
	// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
	maxChained = 3600
)

// Scope is what an operator stored as one scope. It is a value: a handler changes its own copy, whose slices and map
// are replaced and never written to.
type Scope struct {
	// Revision differs from one write to the next, also across a delete.
	Revision string
	Settings
}

// Settings are the fields of a scope; none of them is a secret. The tags are those of the stored entry.
type Settings struct {
	Buckets            []string `json:"buckets,omitempty"`
	Prefixes           []string `json:"prefixes,omitempty"` // none: the whole of each bucket
	Access             []string `json:"access,omitempty"`
	KMSKeyARNs         []string `json:"kms_key_arns,omitempty"`
	SourceCIDRs        []string `json:"source_cidrs,omitempty"`
	SourceVPCEndpoints []string `json:"source_vpc_endpoints,omitempty"`
	Policy             string   `json:"policy,omitempty"` // JSON; instead of all the above

	RoleARN           string            `json:"role_arn,omitempty"`
	ExternalID        string            `json:"external_id,omitempty"`
	SessionName       string            `json:"session_name,omitempty"`
	SessionTags       map[string]string `json:"session_tags,omitempty"`
	TransitiveTagKeys []string          `json:"transitive_tag_keys,omitempty"`
	SourceIdentity    string            `json:"source_identity,omitempty"`
	Duration          int64             `json:"duration"` // seconds
	GenerateLease     bool              `json:"generate_lease"`
}

// New returns a scope with every default in place and nothing else.
func New() Scope {
	return Scope{Settings: Settings{Duration: defaultDuration, GenerateLease: true}}
}

// Facts are what the rules of a scope have to know of its connection.
type Facts struct {
	Connection string // the connection's name
	Scope      string // the scope's name

	RolesAnywhere bool   // whether the connection's credentials are a session already
	RoleARN       string // the role of those sessions; empty for access keys
	Partition     string // of the connection's region: aws, aws-cn, aws-us-gov or aws-eusc
	OwnStore      bool   // whether s3_endpoint is set: the store's own STS may need no role
}

// label names the scope in errors.
func (f Facts) label() string { return f.Connection + "/" + f.Scope }

// defaultSessionName fits AWS's rules for characters, because names of connections and scopes do.
func (f Facts) defaultSessionName() string { return f.Connection + "-" + f.Scope }

// role returns the ARN of the role that is assumed; it is empty where the store needs none.
func (s *Scope) role(f Facts) string {
	if s.RoleARN != "" {
		return s.RoleARN
	}
	return f.RoleARN
}

// partition returns the partition of the ARNs in the session policy. The role knows it better than the region's name,
// which may be newer than the list of regions; the role of an S3-compatible store may be any text.
func (s *Scope) partition(f Facts) string {
	if partition, found := strings.CutPrefix(s.role(f), "arn:"); found && !f.OwnStore {
		partition, _, _ = strings.Cut(partition, ":")
		return partition
	}
	if f.Partition == "" {
		return "aws"
	}
	return f.Partition
}

// access returns the access levels in their documented order: those of the scope, or the default.
func (s *Scope) access() []string {
	if len(s.Access) == 0 {
		return []string{AccessList, AccessRead}
	}
	var levels []string
	for _, level := range accessLevels() {
		if slices.Contains(s.Access, level) {
			levels = append(levels, level)
		}
	}
	return levels
}

func accessLevels() []string { return []string{AccessList, AccessRead, AccessWrite, AccessDelete} }

// duration returns how long a session is requested for.
func (s *Scope) duration() time.Duration { return time.Duration(s.Duration) * time.Second }
