package connection

import (
	"encoding/json"
	"strings"
	"testing"
)

// severalWrong has how many things are wrong with the bad writes that have more than one.
var severalWrong = map[string]int{
	"trust_anchor_arn in another region and account": 2,
	"trust_anchor_arn of China":                      2,
	"three accounts":                                 2,
}

// badWrites is every kind of input that has to be refused: the field its error names, and a part of what it says.
func badWrites(t *testing.T) map[string]struct {
	fields map[string]any
	field  string
	says   string
} {
	type bad = struct {
		fields map[string]any
		field  string
		says   string
	}
	ra := func(changes ...map[string]any) map[string]any { return rolesAnywhereFields(t, changes...) }
	return map[string]bad{
		"auth_type unknown": {accessKeyFields(with("auth_type", "iam")), "auth_type",
			`"access_key" or "roles_anywhere"`},
		"auth_type misspelt": {ra(with("auth_type", "rolesanywhere")), "auth_type",
			`"access_key" or "roles_anywhere"`},
		"auth_type is a list": {ra(with("auth_type", []any{"CANARY"})), "auth_type", "is a list"},
		"access_key missing":  {accessKeyFields(with("access_key", absent)), "access_key", "is required"},
		"secret_key missing":  {accessKeyFields(with("secret_key", absent)), "secret_key", "is required"},
		"secret_key with a line break": {accessKeyFields(with("secret_key", "a\nb")), "secret_key",
			"spaces or control characters"},
		"profile_arn missing":      {ra(with("profile_arn", absent)), "profile_arn", "is required"},
		"role_arn missing":         {ra(with("role_arn", absent)), "role_arn", "is required"},
		"trust_anchor_arn missing": {ra(with("trust_anchor_arn", absent)), "trust_anchor_arn", "is required"},
		"profile_arn not an ARN":   {ra(with("profile_arn", "profile/x")), "profile_arn", "is not an ARN"},
		"profile_arn of a trust anchor": {ra(with("profile_arn",
			"arn:aws:rolesanywhere:us-east-1:123456789012:trust-anchor/"+testUUID)),
			"profile_arn", "another kind of resource"},
		"role_arn of a user": {ra(with("role_arn", "arn:aws:iam::123456789012:user/app")), "role_arn",
			"another kind of resource"},
		"role_arn of sts": {ra(with("role_arn", "arn:aws:sts::123456789012:assumed-role/app/x")), "role_arn",
			"another kind of resource"},
		"role_arn with region": {ra(with("role_arn", "arn:aws:iam:us-east-1:123456789012:role/app")), "role_arn",
			`has the region "us-east-1"`},
		"role_arn short": {ra(with("role_arn", "arn:aws:iam::12345:role/app")), "role_arn", "12-digit account"},
		"role_arn without name": {ra(with("role_arn", "arn:aws:iam::123456789012:role/")), "role_arn",
			"another kind of resource"},
		"trust_anchor_arn in another region": {ra(with("trust_anchor_arn",
			"arn:aws:rolesanywhere:eu-west-1:123456789012:trust-anchor/"+testUUID)),
			"trust_anchor_arn", `"eu-west-1"`},
		"trust_anchor_arn in another partition": {ra(with("trust_anchor_arn",
			"arn:aws-cn:rolesanywhere:us-east-1:123456789012:trust-anchor/"+testUUID)),
			"trust_anchor_arn", "partition"},
		"role_arn in another partition": {ra(with("role_arn", "arn:aws-us-gov:iam::123456789012:role/app")), "role_arn",
			"partition"},
		"role_arn in another account": {ra(with("role_arn", "arn:aws:iam::210987654321:role/app")), "role_arn",
			"account"},
		"trust_anchor_arn in another account": {ra(with("trust_anchor_arn",
			"arn:aws:rolesanywhere:us-east-1:210987654321:trust-anchor/"+testUUID)),
			"trust_anchor_arn", "account"},
		"profile_arn in another account": {ra(with("profile_arn",
			"arn:aws:rolesanywhere:us-east-1:210987654321:profile/"+testUUID)),
			"profile_arn", `and role_arn in "123456789012"`},
		"three accounts": {ra(with("profile_arn", "arn:aws:rolesanywhere:us-east-1:210987654321:profile/"+testUUID),
			with("role_arn", "arn:aws:iam::345678901234:role/app")), "role_arn", `and profile_arn in "210987654321"`},
		"trust_anchor_arn in another region and account": {ra(with("trust_anchor_arn",
			"arn:aws:rolesanywhere:eu-west-1:210987654321:trust-anchor/"+testUUID)),
			"trust_anchor_arn", `is in account "210987654321"`},
		"trust_anchor_arn of China": {ra(with("trust_anchor_arn",
			"arn:aws-cn:rolesanywhere:cn-north-1:123456789012:trust-anchor/"+testUUID)),
			"trust_anchor_arn", "is in partition"},
		"role_arn in another partition of a custom region": {ra(with("custom_region", "x-1"),
			with("profile_arn", "arn:aws-x:rolesanywhere:x-1:123456789012:profile/"+testUUID),
			with("trust_anchor_arn", "arn:aws-x:rolesanywhere:x-1:123456789012:trust-anchor/"+testUUID)), "role_arn",
			"is in partition"},
		"region with capitals":        {accessKeyFields(with("region", "EU-West-1")), "region", `"eu-west-1"`},
		"region unknown":              {accessKeyFields(with("region", "mars-north-1")), "region", "custom_region"},
		"custom_region with capitals": {accessKeyFields(with("custom_region", "XX-1")), "custom_region", "lower-case"},
		"custom_region with a dot": {accessKeyFields(with("custom_region", "x.evil.example")), "custom_region",
			"lower-case"},
		"duration 899":  {ra(with("duration", 899)), "duration", "900 s to 3600 s"},
		"duration 3601": {ra(with("duration", 3601)), "duration", "extended_duration=true"},
		"duration 43201 extended": {ra(with("duration", "43201"), with("extended_duration", true)), "duration",
			"43200"},
		"duration not a number": {ra(with("duration", "soon")), "duration", "positive number of seconds"},
		"duration fractional":   {ra(with("duration", 900.5)), "duration", "positive number of seconds"},
		"duration negative":     {ra(with("duration", -900)), "duration", "positive number"},
		"session_name missing":  {ra(with("session_name", absent)), "session_name", "is required"},
		"certificate missing":   {ra(with("certificate", absent)), "certificate", "is required"},
		"certificate garbage":   {ra(with("certificate", "garbage")), "certificate", "PEM"},
		"private_key missing":   {ra(with("private_key", absent)), "private_key", "is required"},
		"private_key garbage":   {ra(with("private_key", "garbage")), "private_key", "PEM"},
		"private_key of another": {ra(with("private_key", vector(t, "p384.key"))), "private_key",
			"not the key of the certificate"},
		"private_key is the certificate": {ra(with("private_key", vector(t, "p256.pem"))),
			"private_key", "certificate"},
		"certificate of a CA": {ra(with("certificate", vector(t, "root.pem"))), "certificate", "CA"},
		"passphrase without a key": {ra(with("private_key_passphrase", "x"), with("private_key", absent)),
			"private_key_passphrase", "same write"},
		"field of the other type": {accessKeyFields(with("role_arn", "arn:aws:iam::123456789012:role/app")),
			"role_arn", "belongs to auth_type roles_anywhere"},
		"secret of the other type": {ra(with("secret_key", "CANARY")), "secret_key",
			"belongs to auth_type access_key"},
		"unknown field": {accessKeyFields(with("regoin", "eu-west-1")), "regoin",
			"did you mean region?"},
		"1 MiB field": {accessKeyFields(with("secret_key", strings.Repeat("x", 1<<20))),
			"secret_key", "1048576 bytes"},
		"1 MiB certificate": {ra(with("certificate", strings.Repeat("x", 1<<20))), "certificate",
			"1048576 bytes"},
		"secret_key is an object": {accessKeyFields(with("secret_key", map[string]any{"a": "CANARY"})),
			"secret_key", "is an object"},
		"private_key is a list": {ra(with("private_key", []any{"CANARY"})), "private_key", "is a list"},
		"region is a number": {accessKeyFields(with("region", json.Number("1"))), "region",
			"is a number"},
		"flag is text": {accessKeyFields(with("s3_path_style", "CANARY")), "s3_path_style",
			"true or false"},
		"s3_endpoint plain http": {accessKeyFields(with("s3_endpoint", "http://store.example")),
			"s3_endpoint", "use https"},
		"rolesanywhere_endpoint plain http": {ra(with("rolesanywhere_endpoint", "http://aws.example"),
			with("s3_allow_http", true)), "rolesanywhere_endpoint", "use https"},
		"s3_endpoint not a URL": {accessKeyFields(with("s3_endpoint", "store.example:9000")), "s3_endpoint",
			"https://host:port"},
		"s3_endpoint with user info": {accessKeyFields(with("s3_endpoint", "https://u:CANARY@store.example")),
			"s3_endpoint", "user name or password"},
		"s3_endpoint presigned": {accessKeyFields(with("s3_endpoint",
			"https://s/?X-Amz-Security-Token=CANARYTOKEN")), "s3_endpoint", "query or fragment"},
		"rolesanywhere_endpoint fragment": {ra(with("rolesanywhere_endpoint", "https://s/#CANARY")),
			"rolesanywhere_endpoint", "query or fragment"},
		"s3_endpoint metadata": {accessKeyFields(with("s3_endpoint", "https://169.254.169.254")),
			"s3_endpoint", "link-local"},
		"s3_endpoint metadata v6": {accessKeyFields(with("s3_endpoint", "https://[fd00:ec2::254]/")),
			"s3_endpoint", "link-local"},
		"s3_endpoint mapped address": {accessKeyFields(with("s3_endpoint", "https://[::ffff:169.254.169.254]")),
			"s3_endpoint", "link-local"},
		"rolesanywhere_endpoint": {ra(with("rolesanywhere_endpoint", "ftp://x")), "rolesanywhere_endpoint",
			"https://host:port"},
		"s3_region": {accessKeyFields(with("s3_region", "a/b")), "s3_region",
			"is not a region's name"},
		"ca_cert garbage": {accessKeyFields(with("ca_cert", "garbage")), "ca_cert", "is not PEM"},
		"ca_cert is a key": {accessKeyFields(with("ca_cert", vector(t, "p256.key"))), "ca_cert",
			"not a CERTIFICATE"},
		"proxy_url garbage": {accessKeyFields(with("proxy_url", "ftp://CANARY@x")), "proxy_url",
			"http://host:port"},
		"proxy_url as it was shown": {accessKeyFields(with("proxy_url", "http://u:xxxxx@proxy.example")),
			"proxy_url", "real password"},
	}
}

func TestWrite_RefusesBadInputAndChangesNothing(t *testing.T) {
	t.Parallel()
	for name, bad := range badWrites(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newDesk(t)
			wrong := max(severalWrong[name], 1)
			text := m.refused("x", bad.fields)
			assertRefused(t, text, bad.field, bad.says)
			assertProblems(t, text, wrong)
			if bad.says == "is required" || bad.says == "same write" {
				return
			}
			m.write("x", accessKeyFields())
			if bad.fields["auth_type"] == AuthRolesAnywhere {
				m.write("x", rolesAnywhereFields(t))
			}
			text = m.refused("x", bad.fields)
			assertRefused(t, text, bad.field, bad.says)
			assertProblems(t, text, wrong)
		})
	}
}

func TestWrite_RequiredFieldsCannotBeCleared(t *testing.T) {
	t.Parallel()
	for _, fields := range []map[string]any{accessKeyFields(), rolesAnywhereFields(t)} {
		m := newDesk(t)
		m.write("x", fields)
		for name := range fields {
			if name != "auth_type" {
				assertRefused(t, m.refused("x", with(name, "")), name+": ", "is required")
			}
		}
	}
}
