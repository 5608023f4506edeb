package s3conn

import (
	"maps"

	"github.com/hashicorp/vault/sdk/framework"
)

// field describes one setting of a connection once: for its schema, for merging a write, and for a read.
type field struct {
	name     string
	authType string // the one auth_type it belongs to; empty: both
	schema   framework.FieldSchema
	limit    int // bytes of text
	verbatim bool
	// in points at the field's place: *string, *bool, *int64 (seconds) or *secret.
	in func(*connection) any
}

func (f *field) belongsTo(authType string) bool { return f.authType == "" || f.authType == authType }

// Limits are generous multiples of what AWS issues, and small beside what a plugin can hold.
const (
	limitText = 2 << 10
	limitPEM  = 64 << 10
	limitName = 128
)

// connectionFields returns the settings of a connection in the order in which they are documented.
func connectionFields() []field {
	return []field{
		{name: "auth_type", limit: limitText, in: func(c *connection) any { return &c.AuthType },
			schema: text("Authentication", "How the connection authenticates: \"access_key\" hands out AWS access keys as they are; "+
				"\"roles_anywhere\" buys short-lived credentials from IAM Roles Anywhere. Changing it drops the fields of the other.",
				withDefault(authAccessKey), oneOf(authAccessKey, authRolesAnywhere))},
		{name: "region", limit: limitText, in: func(c *connection) any { return &c.Region },
			schema: text("Region", "AWS region, in lower case.", withDefault(defaultRegion))},
		{name: "custom_region", limit: limitText, in: func(c *connection) any { return &c.CustomRegion },
			schema: text("Region", "A region that is not in this plugin's list of AWS's regions; wins over region. Lower-case letters, "+
				"digits and dashes.")},

		{name: "access_key", authType: authAccessKey, limit: limitText, in: func(c *connection) any { return &c.AccessKey },
			schema: text("Access key", "Access key ID. Required for auth_type access_key.")},
		{name: "secret_key", authType: authAccessKey, limit: limitText, in: func(c *connection) any { return &c.secretKey },
			schema: text("Access key", "Secret access key. Required for auth_type access_key; never returned by a read of the config.", sensitive)},

		{name: "profile_arn", authType: authRolesAnywhere, limit: limitText, in: func(c *connection) any { return &c.ProfileARN },
			schema: text("Roles Anywhere", "ARN of the Roles Anywhere profile, in the connection's region. Required for auth_type roles_anywhere.")},
		{name: "role_arn", authType: authRolesAnywhere, limit: limitText, in: func(c *connection) any { return &c.RoleARN },
			schema: text("Roles Anywhere", "ARN of the IAM role to assume. Required for auth_type roles_anywhere.")},
		{name: "trust_anchor_arn", authType: authRolesAnywhere, limit: limitText, in: func(c *connection) any { return &c.TrustAnchorARN },
			schema: text("Roles Anywhere", "ARN of the trust anchor, in the connection's region. Required for auth_type roles_anywhere.")},
		{name: "session_name", authType: authRolesAnywhere, limit: limitText, verbatim: true, in: func(c *connection) any { return &c.SessionName },
			schema: text("Session", "Role session name, seen in CloudTrail. Required for auth_type roles_anywhere. Characters that AWS refuses "+
				"are sent as \"-\" and what is over 64 characters is cut.")},
		{name: "send_session_name", authType: authRolesAnywhere, in: func(c *connection) any { return &c.SendSessionName },
			schema: flag("Session", "Whether the session name is sent. Set it to false for a profile that does not accept a custom role session name.", true)},
		{name: "duration", authType: authRolesAnywhere, limit: limitText, in: func(c *connection) any { return &c.Duration },
			schema: duration("Session", "How long a session is asked to last: seconds or a Go duration, 900 s to 3600 s, or to 43200 s with "+
				"extended_duration. A profile or role with a lower limit shortens it.", defaultDuration)},
		{name: "extended_duration", authType: authRolesAnywhere, in: func(c *connection) any { return &c.ExtendedDuration },
			schema: flag("Session", "Raises the ceiling of duration from 3600 s to 43200 s, for roles whose maximum session duration allows it.", false)},
		{name: "certificate", authType: authRolesAnywhere, limit: limitPEM, in: func(c *connection) any { return &c.Certificate },
			schema: text("Identity", "X.509 certificate in PEM, leaf first, then up to 5 intermediates. Required for auth_type roles_anywhere. "+
				"A read shows what it says, not the PEM.", textarea)},
		{name: "private_key", authType: authRolesAnywhere, limit: limitPEM, in: func(c *connection) any { return &c.privateKey },
			schema: text("Identity", "The certificate's private key in PEM: PKCS#8, PKCS#1 or SEC 1; RSA of 2048 bits or more, P-256, P-384 or P-521. "+
				"Required for auth_type roles_anywhere; never returned.", sensitive, textarea)},
		{name: "private_key_passphrase", authType: authRolesAnywhere, limit: limitText, verbatim: true, in: func(c *connection) any { return &c.passphrase },
			schema: text("Identity", "Opens an encrypted PKCS#8 private_key of the same write. Never stored.", sensitive)},
		{name: "rolesanywhere_endpoint", authType: authRolesAnywhere, limit: limitText, in: func(c *connection) any { return &c.RolesAnywhereEndpoint },
			schema: text("Network", "Address of the Roles Anywhere service, such as a VPC or FIPS endpoint; the default follows the region. "+
				"https, unless the host is loopback.")},
		{name: "generate_lease", authType: authRolesAnywhere, in: func(c *connection) any { return &c.GenerateLease },
			schema: flag("Session", "Whether creds/NAME returns session credentials with a lease. Without one nothing is written to storage for a read.", true)},

		{name: "s3_endpoint", limit: limitText, in: func(c *connection) any { return &c.S3Endpoint },
			schema: text("S3", "Address of an S3-compatible store; the default is AWS's S3. Returned with the credentials. https, unless the host is loopback or s3_allow_http is set.")},
		{name: "s3_region", limit: limitText, in: func(c *connection) any { return &c.S3Region },
			schema: text("S3", "Region that S3 requests are signed for; the default is the connection's region.")},
		{name: "s3_path_style", in: func(c *connection) any { return &c.S3PathStyle },
			schema: flag("S3", "Whether S3 clients should name the bucket in the path instead of the host. Kept for those who read the config to set up their S3 client; the plugin itself does not use it.", false)},
		{name: "s3_allow_http", in: func(c *connection) any { return &c.S3AllowHTTP },
			schema: flag("S3", "Accepts a plain http s3_endpoint that is not loopback, for a store inside a private network. Session tokens "+
				"and data then cross that network unencrypted.", false)},
		{name: "ca_cert", limit: limitPEM, in: func(c *connection) any { return &c.CACert },
			schema: text("Network", "CA certificates in PEM, trusted for this connection's calls beside the system's.", textarea)},
		{name: "proxy_url", limit: limitText, in: func(c *connection) any { return &c.proxyURL },
			schema: text("Network", "Proxy for this connection's calls: http, https or socks5. None is taken from the environment. "+
				"A password in it is never returned.", sensitive)},
	}
}

// connectionSchema is the request schema of every path that takes a connection's settings.
func connectionSchema(extra map[string]*framework.FieldSchema) map[string]*framework.FieldSchema {
	schema := maps.Clone(extra)
	if schema == nil {
		schema = map[string]*framework.FieldSchema{}
	}
	for _, f := range connectionFields() {
		schema[f.name] = &f.schema
	}
	return schema
}

func connectionFieldNames() []string {
	var names []string
	for _, f := range connectionFields() {
		names = append(names, f.name)
	}
	return names
}

func connectionNameSchema() *framework.FieldSchema {
	return &framework.FieldSchema{Type: framework.TypeString, Required: true,
		Description:  "Name of the connection: letters, digits and underscores, and inside also dots and dashes; at most 128.",
		DisplayAttrs: &framework.DisplayAttributes{Name: "Connection name", Identifier: true}}
}

// displayAttrs names a path's operations in OpenAPI.
func displayAttrs(suffix string) *framework.DisplayAttributes {
	return &framework.DisplayAttributes{OperationPrefix: "s3conn", OperationSuffix: suffix}
}

type schemaOption func(*framework.FieldSchema)

func withDefault(v any) schemaOption { return func(s *framework.FieldSchema) { s.Default = v } }
func oneOf(v ...any) schemaOption    { return func(s *framework.FieldSchema) { s.AllowedValues = v } }
func sensitive(s *framework.FieldSchema) {
	s.DisplayAttrs.Sensitive = true
}
func textarea(s *framework.FieldSchema) { s.DisplayAttrs.EditType = "textarea" }

func text(group, description string, options ...schemaOption) framework.FieldSchema {
	s := framework.FieldSchema{Type: framework.TypeString, Description: description,
		DisplayAttrs: &framework.DisplayAttributes{Group: group}}
	for _, option := range options {
		option(&s)
	}
	return s
}

func flag(group, description string, byDefault bool) framework.FieldSchema {
	return framework.FieldSchema{Type: framework.TypeBool, Description: description, Default: byDefault,
		DisplayAttrs: &framework.DisplayAttributes{Group: group}}
}

func duration(group, description string, seconds int) framework.FieldSchema {
	return framework.FieldSchema{Type: framework.TypeDurationSecond, Description: description, Default: seconds,
		DisplayAttrs: &framework.DisplayAttributes{Group: group}}
}
