package scope

import (
	"github.com/s3conn/vault-plugin-s3conn/internal/field"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

// Generous multiples of what AWS takes.
const (
	limitText   = 2 << 10
	limitPolicy = 16 << 10 // with the spaces that it is written with
	limitItems  = 200
)

const (
	groupGrant   = "What the scope opens"
	groupSession = "Session"
	groupRole    = "Role"

	identityTemplates = "Vault's identity templates " + allowedDirectives + " are allowed"
)

// Table returns the fields of a scope in the order in which they are documented.
func Table() field.Table[Scope] {
	return field.Table[Scope]{Subject: "scope", Fields: append(grantFields(), sessionFields()...)}
}

func grantFields() []field.Field[Scope] {
	return []field.Field[Scope]{
		{Row: field.Row{Name: "buckets", Group: groupGrant, Type: field.Strings, Limit: limitText,
			MaxItems: limitItems,
			Description: "Names of the buckets that the scope opens, by S3's naming rules. Required unless policy " +
				"is given."},
			Place: func(s *Scope) any { return &s.Buckets }},
		{Row: field.Row{Name: "prefixes", Group: groupGrant, Type: field.Strings, Limit: limitText,
			MaxItems: limitItems, Verbatim: true,
			ClearRefused: "is empty, which would open whole buckets; leave it out, or delete the scope and create it " +
				"without prefixes",
			Description: "Beginnings of the keys that the scope opens in each bucket, as they stand: \"team/a\" " +
				"opens \"team/ab\" too, so end " +
				"one in \"/\". Left out when the scope is created, the whole of each bucket " +
				"is open. " + identityTemplates +
				". A prefix with a comma or spaces around it has to come in a JSON list."},
			Place: func(s *Scope) any { return &s.Prefixes }},
		{Row: field.Row{Name: "access", Group: groupGrant, Type: field.Strings, Limit: limitText,
			MaxItems: limitItems, Allowed: accessLevels(),
			Description: "What the scope allows: any of \"list\", \"read\", \"write\" and \"delete\", versions of " +
				"objects included. The default is \"list\" and \"read\"."},
			Place: func(s *Scope) any { return &s.Access }},
		{Row: field.Row{Name: "kms_key_arns", Group: groupGrant, Type: field.Strings, Limit: limitText,
			MaxItems: limitItems,
			Description: "ARNs of the AWS KMS keys that the objects are encrypted with (SSE-KMS). S3 may use them, " +
				"for the session, to decrypt where the scope reads and to encrypt where it writes; the session " +
				"itself may not."},
			Place: func(s *Scope) any { return &s.KMSKeyARNs }},
		{Row: field.Row{Name: "source_cidrs", Group: groupGrant, Type: field.Strings, Limit: limitText,
			MaxItems:    limitItems,
			Description: "Public IP addresses or ranges that requests to S3 have to come from."},
			Place: func(s *Scope) any { return &s.SourceCIDRs }},
		{Row: field.Row{Name: "source_vpc_endpoints", Group: groupGrant, Type: field.Strings, Limit: limitText,
			MaxItems: limitItems,
			Description: "Ids of the VPC endpoints that requests to S3 have to come through. With source_cidrs too, " +
				"either way suffices."},
			Place: func(s *Scope) any { return &s.SourceVPCEndpoints }},
		{Row: field.Row{Name: "policy", Group: groupGrant, Limit: limitPolicy, Textarea: true,
			ClearRefused: "cannot be cleared, because a scope is either of a policy or of buckets; delete the scope " +
				"and create it again",
			Description: "A session policy in JSON instead of all the fields " +
				"above. " + identityTemplates + " inside its strings. What it " +
				"allows is judged by the store alone."},
			Place: func(s *Scope) any { return &s.Policy }},
	}
}

func sessionFields() []field.Field[Scope] {
	return []field.Field[Scope]{
		{Row: field.Row{Name: "role_arn", Group: groupRole, Limit: limitText,
			Description: "ARN of the IAM role to assume, also one of another account. The default is the " +
				"connection's role for auth_type roles_anywhere. Required for auth_type access_key unless the " +
				"connection has an s3_endpoint."},
			Place: func(s *Scope) any { return &s.RoleARN }},
		{Row: field.Row{Name: "external_id", Group: groupRole, Limit: limitText,
			Description: "External id that the role's trust policy asks for."},
			Place: func(s *Scope) any { return &s.ExternalID }},
		{Row: field.Row{Name: "session_name", Group: groupSession, Limit: limitText,
			Description: "Role session name, seen in CloudTrail: 2 to 64 letters, digits and characters of " +
				"\"_+=,.@-\". The default is " +
				"CONNECTION-SCOPE; required where that is longer. " + identityTemplates + "."},
			Place: func(s *Scope) any { return &s.SessionName }},
		{Row: field.Row{Name: "session_tags", Group: groupSession, Type: field.Map, Limit: limitText,
			MaxItems: limitItems, Verbatim: true,
			Description: "Session tags as key=value, at most 50. In values " + identityTemplates + "."},
			Place: func(s *Scope) any { return &s.SessionTags }},
		{Row: field.Row{Name: "transitive_tag_keys", Group: groupSession, Type: field.Strings, Limit: limitText,
			MaxItems: limitItems, Verbatim: true,
			Description: "Keys of session_tags that stay on sessions of further roles that are assumed with this one."},
			Place: func(s *Scope) any { return &s.TransitiveTagKeys }},
		{Row: field.Row{Name: "source_identity", Group: groupSession, Limit: limitText,
			Description: "Source identity, seen in CloudTrail: 2 to 64 characters as in session_name. Only for " +
				"auth_type access_key, because " +
				"Roles Anywhere sets it to the certificate's common name. " + identityTemplates + "."},
			Place: func(s *Scope) any { return &s.SourceIdentity }},
		{Row: field.Row{Name: "duration", Group: groupSession, Type: field.Seconds, Default: int64(defaultDuration),
			Description: "How long a session is requested for: seconds or a Go duration, 900 s to 3600 s, which is " +
				"AWS's limit for a role that is assumed with another role's session, or to 43200 s for auth_type " +
				"access_key."},
			Place: func(s *Scope) any { return &s.Duration }},
		{Row: field.Row{Name: "generate_lease", Group: groupSession, Type: field.Bool, Default: true,
			Description: "Whether creds/NAME/SCOPE returns credentials with a lease. Without one nothing is written " +
				"to storage for a read."},
			Place: func(s *Scope) any { return &s.GenerateLease }},
	}
}

// PolicyRow describes session_policy, which a read shows and no write takes.
func PolicyRow() field.Row {
	return field.Row{Name: "session_policy", Group: groupGrant,
		Description: "The session policy that AssumeRole is called with. Its templates are shown as they stand."}
}

// Show returns the scope as a read shows it: the fields that apply, the access levels in effect and the session policy.
func Show(s *Scope, f Facts) (map[string]any, error) {
	shown, err := Table().Show(s)
	if err != nil {
		return nil, err
	}
	if s.Policy == "" {
		delete(shown, "policy")
		shown["access"] = s.access()
	} else {
		for _, row := range grantFields() {
			if row.Name != "policy" {
				delete(shown, row.Name)
			}
		}
	}
	if policy, known := preview(s, f); known {
		shown[PolicyRow().Name] = policy
	}
	return shown, nil
}

// preview returns the session policy with directives in the place of their values.
func preview(s *Scope, f Facts) (policy string, known bool) {
	var problems problem.List
	program := prepare(*s, f, &problems)
	if problems.Err("", "") != nil {
		return "", false
	}
	return program.policyWith(func(t *template) string { return t.String() }), true
}

// Summary is what a list shows of a scope beside its name.
func Summary(s *Scope) map[string]any {
	summary := map[string]any{}
	if s.Policy != "" {
		summary["policy"] = true
	} else {
		summary["buckets"], summary["access"] = s.Buckets, s.access()
		if len(s.Prefixes) > 0 {
			summary["prefixes"] = s.Prefixes
		}
	}
	if s.RoleARN != "" {
		summary["role_arn"] = s.RoleARN
	}
	return summary
}
