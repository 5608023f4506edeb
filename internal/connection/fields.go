package connection

import (
	"github.com/s3conn/vault-plugin-s3conn/internal/field"
	"github.com/s3conn/vault-plugin-s3conn/internal/network"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

// Limits in bytes. They are generous multiples of what AWS issues, and small beside what a plugin can hold.
const (
	limitText   = 2 << 10
	limitPEM    = 64 << 10
	limitPKCS12 = 128 << 10 // of base64: a file of 96 KiB
)

// VerifyField is the name of the instruction that asks for a test before a write is stored.
const VerifyField = "verify_connection"

// Table returns the fields of a connection, in the order in which they are documented.
func Table() field.Table[Connection] {
	t := field.Table[Connection]{Subject: "connection", Selector: "auth_type"}
	for _, fields := range [][]field.Field[Connection]{
		generalRows(), keyRows(), rolesAnywhereRows(), identityRows(), s3Rows(), networkRows(),
	} {
		t.Fields = append(t.Fields, fields...)
	}
	return t
}

// Merge returns base with the decoded fields of a write laid over it, still to be validated, as [field.Table.Merge]
// does.
func Merge(base Connection, data map[string]any, problems *problem.List) Connection {
	merged := Table().Merge(base, data, problems)
	given := func(field string) bool { return data[field] != nil || problems.Has(field) }
	if data["private_key_passphrase"] != nil && !given("private_key") && !given("pkcs12") &&
		!problems.Has("private_key_passphrase") {
		problems.Add("private_key_passphrase",
			"decrypts a private_key or pkcs12 that is given in the same write, and neither is given; give both")
	}
	if data["pkcs12"] != nil && (given("certificate") || given("private_key")) && !problems.Has("pkcs12") {
		problems.Add("pkcs12", "holds a certificate and its private key, and another certificate or private_key is "+
			"given in the same write; leave out either")
	}
	return merged
}

func generalRows() []field.Field[Connection] {
	return []field.Field[Connection]{
		{
			Row: field.Row{Name: "auth_type", Group: "Authentication", Limit: limitText,
				Default: AuthAccessKey, Allowed: []string{AuthAccessKey, AuthRolesAnywhere},
				Description: "How the connection authenticates: \"access_key\" hands out AWS access keys as they " +
					"are; \"roles_anywhere\" obtains short-lived credentials from IAM Roles Anywhere. Changing it " +
					"drops the fields of the other."},
			Place: func(c *Connection) any { return &c.AuthType },
		},
		{
			Row: field.Row{Name: "region", Group: "Region", Limit: limitText, Default: DefaultRegion,
				Description: "AWS region, in lower case."},
			Place: func(c *Connection) any { return &c.Region },
		},
		{
			Row: field.Row{Name: "custom_region", Group: "Region", Limit: limitText,
				Description: "A region that is not in this plugin's list of AWS's regions; takes precedence over " +
					"region. Lower-case letters, digits and dashes."},
			Place: func(c *Connection) any { return &c.CustomRegion },
		},
		{
			Row: field.Row{Name: "allow_unscoped", Group: "Scopes", Type: field.Bool, Default: true,
				Description: "Whether creds/NAME and sdk/NAME hand out the connection's own credentials. Set it to " +
					"false where only credentials narrowed to a scope may leave Vault."},
			Place: func(c *Connection) any { return &c.AllowUnscoped },
		},
		{
			Row: field.Row{Name: VerifyField, Group: "Test", Type: field.Bool, Default: false, Instruction: true,
				Description: "Test the connection first and store it only if the test passes. Not stored itself."},
		},
	}
}

func keyRows() []field.Field[Connection] {
	return []field.Field[Connection]{
		{
			Row: field.Row{Name: "access_key", Group: "Access key", BelongsTo: AuthAccessKey, Limit: limitText,
				Description: "Access key ID. Required for auth_type access_key."},
			Place: func(c *Connection) any { return &c.AccessKey },
		},
		{
			Row: field.Row{Name: "secret_key", Group: "Access key", BelongsTo: AuthAccessKey, Limit: limitText,
				Type: field.Secret, Sensitive: true, Show: field.Never,
				Description: "Secret access key. Required for auth_type access_key; never returned by a read of the " +
					"config."},
			Place: func(c *Connection) any { return &c.SecretKey },
		},
		{
			Row: field.Row{Name: "rotation_period", Group: "Access key", BelongsTo: AuthAccessKey, Type: field.Seconds,
				Description: "How often the access key is replaced by a new one of the same IAM user, in seconds; at " +
					"least 7200. The default is 0: only when rotate/NAME is written."},
			Place: func(c *Connection) any { return &c.RotationPeriod },
		},
		{
			Row: field.Row{Name: "rotation_grace", Group: "Access key", BelongsTo: AuthAccessKey, Type: field.Seconds,
				Description: "How long the access key before still works after a rotation, in seconds: at least " +
					"3600, because SDKs come back within an hour, and less than rotation_period. The default is " +
					"7200, " +
					"or half of rotation_period where that is less."},
			Place: func(c *Connection) any { return &c.RotationGrace },
		},
	}
}

func rolesAnywhereRows() []field.Field[Connection] {
	return []field.Field[Connection]{
		{
			Row: field.Row{Name: "profile_arn", Group: "Roles Anywhere", BelongsTo: AuthRolesAnywhere, Limit: limitText,
				Description: "ARN of the Roles Anywhere profile, in the connection's region. Required for auth_type " +
					"roles_anywhere."},
			Place: func(c *Connection) any { return &c.ProfileARN },
		},
		{
			Row: field.Row{Name: "role_arn", Group: "Roles Anywhere", BelongsTo: AuthRolesAnywhere, Limit: limitText,
				Description: "ARN of the IAM role to assume. Required for auth_type roles_anywhere."},
			Place: func(c *Connection) any { return &c.RoleARN },
		},
		{
			Row: field.Row{Name: "trust_anchor_arn", Group: "Roles Anywhere", BelongsTo: AuthRolesAnywhere,
				Limit: limitText,
				Description: "ARN of the trust anchor, in the connection's region. Required for auth_type " +
					"roles_anywhere."},
			Place: func(c *Connection) any { return &c.TrustAnchorARN },
		},
		{
			Row: field.Row{Name: "session_name", Group: "Session", BelongsTo: AuthRolesAnywhere, Limit: limitText,
				Verbatim: true,
				Description: "Role session name, seen in CloudTrail. Required for auth_type roles_anywhere. " +
					"Characters that AWS refuses are sent as \"-\" and what is over 64 characters is cut."},
			Place: func(c *Connection) any { return &c.SessionName },
		},
		{
			Row: field.Row{Name: "send_session_name", Group: "Session", BelongsTo: AuthRolesAnywhere,
				Type: field.Bool, Default: true,
				Description: "Whether the session name is sent. Set it to false for a profile that does not accept a " +
					"custom role session name."},
			Place: func(c *Connection) any { return &c.SendSessionName },
		},
		{
			Row: field.Row{Name: "duration", Group: "Session", BelongsTo: AuthRolesAnywhere,
				Type: field.Seconds, Default: int64(defaultDuration),
				Description: "Requested lifetime of a session: seconds or a Go duration, 900 s to 3600 s, or to " +
					"43200 s with extended_duration. A profile or role with a lower limit shortens it."},
			Place: func(c *Connection) any { return &c.Duration },
		},
		{
			Row: field.Row{Name: "extended_duration", Group: "Session", BelongsTo: AuthRolesAnywhere,
				Type: field.Bool, Default: false,
				Description: "Raises the limit of duration from 3600 s to 43200 s, for roles whose maximum session " +
					"duration allows it."},
			Place: func(c *Connection) any { return &c.ExtendedDuration },
		},
		{
			Row: field.Row{Name: "generate_lease", Group: "Session", BelongsTo: AuthRolesAnywhere,
				Type: field.Bool, Default: true,
				Description: "Whether creds/NAME returns session credentials with a lease. Without one nothing is " +
					"written to storage for a read."},
			Place: func(c *Connection) any { return &c.GenerateLease },
		},
	}
}

func identityRows() []field.Field[Connection] {
	return []field.Field[Connection]{
		{
			Row: field.Row{Name: "certificate", Group: "Identity", BelongsTo: AuthRolesAnywhere, Limit: limitPEM,
				Textarea: true,
				Show:     field.Replaced, Instead: CertificateRows(),
				Description: "X.509 certificate in PEM, leaf first, then up to 5 intermediates. Required for " +
					"auth_type roles_anywhere. A read shows what it says, not the PEM."},
			Place:  func(c *Connection) any { return &c.Certificate },
			Derive: describeCertificate,
		},
		{
			Row: field.Row{Name: "private_key", Group: "Identity", BelongsTo: AuthRolesAnywhere, Limit: limitPEM,
				Textarea: true,
				Type:     field.Secret, Sensitive: true, Show: field.Never,
				Description: "The certificate's private key in PEM: PKCS#8, PKCS#1 or SEC 1; RSA of 2048 bits or " +
					"more, P-256, P-384 or P-521, or ML-DSA with its seed. Never returned."},
			Place: func(c *Connection) any { return &c.PrivateKey },
		},
		{
			Row: field.Row{Name: "private_key_passphrase", Group: "Identity", BelongsTo: AuthRolesAnywhere,
				Limit:    limitText,
				Verbatim: true, Type: field.Secret, Sensitive: true, Show: field.Never,
				Description: "Decrypts an encrypted PKCS#8 private_key, or the pkcs12, of the same write. Never " +
					"stored."},
			Place: func(c *Connection) any { return &c.Passphrase },
		},
		{
			Row: field.Row{Name: "pkcs12", Group: "Identity", BelongsTo: AuthRolesAnywhere, Limit: limitPKCS12,
				Textarea: true,
				Type:     field.Secret, Sensitive: true, Show: field.Never,
				Description: "Base64 of a PKCS#12 file (.p12, .pfx) with a certificate, its intermediates and its " +
					"private key, instead of certificate and private_key. What it holds is stored, the file itself " +
					"is not. Never returned."},
			Place: func(c *Connection) any { return &c.PKCS12 },
		},
	}
}

func s3Rows() []field.Field[Connection] {
	return []field.Field[Connection]{
		{
			Row: field.Row{Name: "s3_endpoint", Group: "S3", Limit: limitText,
				Description: "Address of an S3-compatible store; the default is AWS's S3. Returned with the " +
					"credentials. https, unless the host is loopback or s3_allow_http is set."},
			Place: func(c *Connection) any { return &c.S3Endpoint },
		},
		{
			Row: field.Row{Name: "s3_region", Group: "S3", Limit: limitText,
				Description: "Region that S3 requests are signed for; the default is the connection's region."},
			Place: func(c *Connection) any { return &c.S3Region },
		},
		{
			Row: field.Row{Name: "s3_path_style", Group: "S3", Type: field.Bool, Default: false,
				Description: "Whether the bucket is named in the path instead of the host: in presigned URLs, and by " +
					"those who configure an S3 client from a read of the config."},
			Place: func(c *Connection) any { return &c.S3PathStyle },
		},
		{
			Row: field.Row{Name: "s3_allow_http", Group: "S3", Type: field.Bool, Default: false,
				Description: "Accepts a plain http s3_endpoint or sts_endpoint that is not loopback, for a store " +
					"inside a private network. Session tokens, the secret keys of scopes' sessions and data then " +
					"cross that network unencrypted."},
			Place: func(c *Connection) any { return &c.S3AllowHTTP },
		},
	}
}

func networkRows() []field.Field[Connection] {
	return []field.Field[Connection]{
		{
			Row: field.Row{Name: "rolesanywhere_endpoint", Group: "Network", BelongsTo: AuthRolesAnywhere,
				Limit: limitText,
				Description: "Address of the Roles Anywhere service, such as a VPC or FIPS endpoint; the default " +
					"follows the region. https, unless the host is loopback."},
			Place: func(c *Connection) any { return &c.RolesAnywhereEndpoint },
		},
		{
			Row: field.Row{Name: "sts_endpoint", Group: "Network", Limit: limitText,
				Description: "Address of the STS that AssumeRole is called at for scopes; the default is AWS's STS " +
					"of the region, or s3_endpoint where that is not AWS's own. https, unless the host is loopback " +
					"or s3_allow_http is set."},
			Place: func(c *Connection) any { return &c.STSEndpoint },
		},
		{
			Row: field.Row{Name: "iam_endpoint", Group: "Network", BelongsTo: AuthAccessKey, Limit: limitText,
				Description: "Address of the IAM that rotates the access key; the default is AWS's IAM of the " +
					"region's partition. Required for rotation where s3_endpoint is not AWS's own. https, unless the " +
					"host is loopback, because new secret keys come from there."},
			Place: func(c *Connection) any { return &c.IAMEndpoint },
		},
		{
			Row: field.Row{Name: "ca_cert", Group: "Network", Limit: limitPEM, Textarea: true,
				Description: "CA certificates in PEM, trusted for this connection's calls beside the system's."},
			Place: func(c *Connection) any { return &c.CACert },
		},
		{
			Row: field.Row{Name: "proxy_url", Group: "Network", Limit: limitText,
				Type: field.Secret, Sensitive: true, Redact: network.RedactProxy,
				Description: "Proxy for this connection's calls: http, https or socks5. None is taken from the " +
					"environment. A password in it is never returned."},
			Place: func(c *Connection) any { return &c.ProxyURL },
		},
	}
}
