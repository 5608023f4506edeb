package s3conn

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
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
		"auth_type unknown":            {accessKeyFields(with("auth_type", "iam")), "auth_type", `"access_key" or "roles_anywhere"`},
		"auth_type misspelt":           {ra(with("auth_type", "rolesanywhere")), "auth_type", `"access_key" or "roles_anywhere"`},
		"auth_type is a list":          {ra(with("auth_type", []any{"CANARY"})), "auth_type", "is a list"},
		"access_key missing":           {accessKeyFields(with("access_key", absent)), "access_key", "is required"},
		"secret_key missing":           {accessKeyFields(with("secret_key", absent)), "secret_key", "is required"},
		"secret_key with a line break": {accessKeyFields(with("secret_key", "a\nb")), "secret_key", "spaces or control characters"},
		"profile_arn missing":          {ra(with("profile_arn", absent)), "profile_arn", "is required"},
		"role_arn missing":             {ra(with("role_arn", absent)), "role_arn", "is required"},
		"trust_anchor_arn missing":     {ra(with("trust_anchor_arn", absent)), "trust_anchor_arn", "is required"},
		"profile_arn not an ARN":       {ra(with("profile_arn", "profile/x")), "profile_arn", "is not an ARN"},
		"profile_arn of a trust anchor": {ra(with("profile_arn", "arn:aws:rolesanywhere:us-east-1:123456789012:trust-anchor/"+testUUID)),
			"profile_arn", "another kind of resource"},
		"role_arn of a user":    {ra(with("role_arn", "arn:aws:iam::123456789012:user/app")), "role_arn", "another kind of resource"},
		"role_arn of sts":       {ra(with("role_arn", "arn:aws:sts::123456789012:assumed-role/app/x")), "role_arn", "another kind of resource"},
		"role_arn with region":  {ra(with("role_arn", "arn:aws:iam:us-east-1:123456789012:role/app")), "role_arn", `has the region "us-east-1"`},
		"role_arn short":        {ra(with("role_arn", "arn:aws:iam::12345:role/app")), "role_arn", "12-digit account"},
		"role_arn without name": {ra(with("role_arn", "arn:aws:iam::123456789012:role/")), "role_arn", "another kind of resource"},
		"trust_anchor_arn in another region": {ra(with("trust_anchor_arn", "arn:aws:rolesanywhere:eu-west-1:123456789012:trust-anchor/"+testUUID)),
			"trust_anchor_arn", `"eu-west-1"`},
		"trust_anchor_arn in another partition": {ra(with("trust_anchor_arn", "arn:aws-cn:rolesanywhere:us-east-1:123456789012:trust-anchor/"+testUUID)),
			"trust_anchor_arn", "partition"},
		"role_arn in another partition": {ra(with("role_arn", "arn:aws-us-gov:iam::123456789012:role/app")), "role_arn", "partition"},
		"role_arn in another account":   {ra(with("role_arn", "arn:aws:iam::210987654321:role/app")), "role_arn", "account"},
		"trust_anchor_arn in another account": {ra(with("trust_anchor_arn", "arn:aws:rolesanywhere:us-east-1:210987654321:trust-anchor/"+testUUID)),
			"trust_anchor_arn", "account"},
		"profile_arn in another account": {ra(with("profile_arn", "arn:aws:rolesanywhere:us-east-1:210987654321:profile/"+testUUID)),
			"profile_arn", `and role_arn in "123456789012"`},
		"three accounts": {ra(with("profile_arn", "arn:aws:rolesanywhere:us-east-1:210987654321:profile/"+testUUID),
			with("role_arn", "arn:aws:iam::345678901234:role/app")), "role_arn", `and profile_arn in "210987654321"`},
		"trust_anchor_arn in another region and account": {ra(with("trust_anchor_arn", "arn:aws:rolesanywhere:eu-west-1:210987654321:trust-anchor/"+testUUID)),
			"trust_anchor_arn", `is in account "210987654321"`},
		"trust_anchor_arn of China": {ra(with("trust_anchor_arn", "arn:aws-cn:rolesanywhere:cn-north-1:123456789012:trust-anchor/"+testUUID)),
			"trust_anchor_arn", "is in partition"},
		"role_arn in another partition of a custom region": {ra(with("custom_region", "x-1"),
			with("profile_arn", "arn:aws-x:rolesanywhere:x-1:123456789012:profile/"+testUUID),
			with("trust_anchor_arn", "arn:aws-x:rolesanywhere:x-1:123456789012:trust-anchor/"+testUUID)), "role_arn", "is in partition"},
		"region with capitals":        {accessKeyFields(with("region", "EU-West-1")), "region", `"eu-west-1"`},
		"region unknown":              {accessKeyFields(with("region", "mars-north-1")), "region", "custom_region"},
		"custom_region with capitals": {accessKeyFields(with("custom_region", "XX-1")), "custom_region", "lower-case"},
		"custom_region with a dot":    {accessKeyFields(with("custom_region", "x.evil.example")), "custom_region", "lower-case"},
		"duration 899":                {ra(with("duration", 899)), "duration", "900 s to 3600 s"},
		"duration 3601":               {ra(with("duration", 3601)), "duration", "extended_duration=true"},
		"duration 43201 extended":     {ra(with("duration", "43201"), with("extended_duration", true)), "duration", "43200"},
		"duration not a number":       {ra(with("duration", "soon")), "duration", "positive number of seconds"},
		"duration fractional":         {ra(with("duration", 900.5)), "duration", "positive number of seconds"},
		"duration negative":           {ra(with("duration", -900)), "duration", "positive number"},
		"session_name missing":        {ra(with("session_name", absent)), "session_name", "is required"},
		"certificate missing":         {ra(with("certificate", absent)), "certificate", "is required"},
		"certificate garbage":         {ra(with("certificate", "garbage")), "certificate", "PEM"},
		"private_key missing":         {ra(with("private_key", absent)), "private_key", "is required"},
		"private_key garbage":         {ra(with("private_key", "garbage")), "private_key", "PEM"},
		"private_key of another":      {ra(with("private_key", vector(t, "p384.key"))), "private_key", "not the key of the certificate"},
		"private_key is the certificate": {ra(with("private_key", vector(t, "p256.pem"))),
			"private_key", "certificate"},
		"certificate of a CA":               {ra(with("certificate", vector(t, "root.pem"))), "certificate", "CA"},
		"passphrase without a key":          {ra(with("private_key_passphrase", "x"), with("private_key", absent)), "private_key_passphrase", "same write"},
		"field of the other type":           {accessKeyFields(with("role_arn", "arn:aws:iam::123456789012:role/app")), "role_arn", "belongs to auth_type roles_anywhere"},
		"secret of the other type":          {ra(with("secret_key", "CANARY")), "secret_key", "belongs to auth_type access_key"},
		"unknown field":                     {accessKeyFields(with("regoin", "eu-west-1")), "regoin", "did you mean region?"},
		"1 MiB field":                       {accessKeyFields(with("secret_key", strings.Repeat("x", 1<<20))), "secret_key", "1048576 bytes"},
		"1 MiB certificate":                 {ra(with("certificate", strings.Repeat("x", 1<<20))), "certificate", "1048576 bytes"},
		"secret_key is an object":           {accessKeyFields(with("secret_key", map[string]any{"a": "CANARY"})), "secret_key", "is an object"},
		"private_key is a list":             {ra(with("private_key", []any{"CANARY"})), "private_key", "is a list"},
		"region is a number":                {accessKeyFields(with("region", json.Number("1"))), "region", "is a number"},
		"flag is text":                      {accessKeyFields(with("s3_path_style", "CANARY")), "s3_path_style", "true or false"},
		"s3_endpoint plain http":            {accessKeyFields(with("s3_endpoint", "http://store.example")), "s3_endpoint", "use https"},
		"rolesanywhere_endpoint plain http": {ra(with("rolesanywhere_endpoint", "http://aws.example"), with("s3_allow_http", true)), "rolesanywhere_endpoint", "use https"},
		"s3_endpoint not a URL":             {accessKeyFields(with("s3_endpoint", "store.example:9000")), "s3_endpoint", "https://host:port"},
		"s3_endpoint with user info":        {accessKeyFields(with("s3_endpoint", "https://u:CANARY@store.example")), "s3_endpoint", "user name or password"},
		"s3_endpoint presigned":             {accessKeyFields(with("s3_endpoint", "https://s/?X-Amz-Security-Token=CANARYTOKEN")), "s3_endpoint", "query or fragment"},
		"rolesanywhere_endpoint fragment":   {ra(with("rolesanywhere_endpoint", "https://s/#CANARY")), "rolesanywhere_endpoint", "query or fragment"},
		"s3_endpoint metadata":              {accessKeyFields(with("s3_endpoint", "https://169.254.169.254")), "s3_endpoint", "link-local"},
		"s3_endpoint metadata v6":           {accessKeyFields(with("s3_endpoint", "https://[fd00:ec2::254]/")), "s3_endpoint", "link-local"},
		"s3_endpoint mapped address":        {accessKeyFields(with("s3_endpoint", "https://[::ffff:169.254.169.254]")), "s3_endpoint", "link-local"},
		"rolesanywhere_endpoint":            {ra(with("rolesanywhere_endpoint", "ftp://x")), "rolesanywhere_endpoint", "https://host:port"},
		"s3_region":                         {accessKeyFields(with("s3_region", "a/b")), "s3_region", "is not a region's name"},
		"ca_cert garbage":                   {accessKeyFields(with("ca_cert", "garbage")), "ca_cert", "is not PEM"},
		"ca_cert is a key":                  {accessKeyFields(with("ca_cert", vector(t, "p256.key"))), "ca_cert", "not a CERTIFICATE"},
		"proxy_url garbage":                 {accessKeyFields(with("proxy_url", "ftp://CANARY@x")), "proxy_url", "http://host:port"},
		"proxy_url as it was shown":         {accessKeyFields(with("proxy_url", "http://u:xxxxx@proxy.example")), "proxy_url", "real password"},
	}
}

func TestConfigWrite_RefusesBadInputAndChangesNothing(t *testing.T) {
	t.Parallel()
	for name, bad := range badWrites(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMount(t)
			wrong := max(severalWrong[name], 1)
			text := m.refused(logical.UpdateOperation, "config/x", bad.fields)
			assertRefused(t, text, bad.field, bad.says)
			assertProblems(t, text, wrong)
			if m.stored("x") != "" {
				t.Error("the refused connection was stored")
			}

			m.write("x", accessKeyFields())
			if bad.fields["auth_type"] == connection.AuthRolesAnywhere {
				m.write("x", rolesAnywhereFields(t))
			}
			before := m.stored("x")
			change := changed(map[string]any{}, []map[string]any{bad.fields})
			if strings.HasSuffix(bad.says, "is required") || strings.Contains(bad.says, "same write") {
				change[bad.field] = "" // what is omitted stays; what is required cannot be cleared
				delete(change, "private_key_passphrase")
				bad.says = "is required"
				if bad.field == "private_key_passphrase" {
					return
				}
			}
			text = m.refused(logical.PatchOperation, "config/x", change)
			assertRefused(t, text, bad.field, bad.says)
			assertProblems(t, text, wrong)
			if !strings.Contains(text, "the stored connection is unchanged") {
				t.Errorf("the error does not say that nothing changed: %s", text)
			}
			if m.stored("x") != before {
				t.Error("a refused patch changed what is stored")
			}
			text = m.refused(logical.UpdateOperation, "test", bad.fields)
			if !strings.Contains(text, bad.field) {
				t.Errorf("test with the same settings: %s", text)
			}
			assertProblems(t, text, wrong)
		})
	}
}

func assertRefused(t *testing.T, text, field, says string) {
	t.Helper()
	if !strings.Contains(text, field) || !strings.Contains(text, says) {
		t.Errorf("the error %q names not field %q or says not %q", text, field, says)
	}
	if strings.Contains(text, "CANARY") {
		t.Errorf("the error quotes a secret: %s", text)
	}
	if len(text) > 1000 {
		t.Errorf("the error is %d bytes long", len(text))
	}
}

func TestConfigWrite_WarnsOfTheSessionNameThatWillBeSent(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	for given, sent := range map[string]string{
		"orders api/ü":            "orders-api--",
		strings.Repeat("a", 65):   strings.Repeat("a", 64),
		"x":                       "x-",
		"fine.name_1@host=a,b+c-": "",
	} {
		resp := m.write("orders", rolesAnywhereFields(t, with("session_name", given)))
		warnings := ""
		if resp != nil {
			warnings = strings.Join(resp.Warnings, "\n")
		}
		if sent == "" && warnings != "" {
			t.Errorf("session_name %q: warned although it is sent as it is: %s", given, warnings)
		}
		if sent != "" && !strings.Contains(warnings, fmt.Sprintf("%q", sent)) {
			t.Errorf("session_name %q: warnings %q do not say that %q will be sent", given, warnings, sent)
		}
		if got := m.read("config/orders").Data["session_name"]; got != given {
			t.Errorf("session_name reads back as %q, want %q", got, given)
		}
	}
	if resp := m.write("orders", with("session_name", "a b")); resp == nil {
		t.Error("no warning for a session name with a space")
	}
	if resp := m.write("orders", with("send_session_name", false)); resp != nil {
		t.Errorf("a session name that is not sent is warned of: %v", resp.Warnings)
	}
}

func TestConfig_CertificateNearItsEndIsWarnedOfAndAnEndedOneRefused(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	end := time.Date(2027, 11, 23, 9, 26, 49, 0, time.UTC)
	fields := rolesAnywhereFields(t)
	m.clock.Advance(end.Add(-31 * 24 * time.Hour).Sub(m.clock.Now()))
	if resp := m.write("orders", fields); resp != nil {
		t.Errorf("31 days before the end: warnings %v, want none", resp.Warnings)
	}
	m.clock.Advance(2 * 24 * time.Hour)
	for _, resp := range []*logical.Response{m.write("orders", fields), m.read("config/orders")} {
		if resp == nil || !strings.Contains(strings.Join(resp.Warnings, ""), "2027-11-23T09:26:49Z") {
			t.Errorf("29 days before the end: %+v, want a warning with the date", resp)
		}
	}
	m.clock.Advance(30 * 24 * time.Hour)
	assertRefused(t, m.refused(logical.PatchOperation, "config/orders", with("duration", 1200)), "certificate", "2027-11-23")
	if resp := m.read("config/orders"); !strings.Contains(strings.Join(resp.Warnings, ""), "expired") {
		t.Errorf("after the end a read says %v", resp.Warnings)
	}

	early := newMount(t)
	early.clock.Advance(-24 * time.Hour)
	assertRefused(t, early.refused(logical.UpdateOperation, "config/orders", fields), "certificate", "2026-11-23")
}

func TestConfigWrite_AcceptsEveryPartitionAndItsOwnRegion(t *testing.T) {
	t.Parallel()
	for region, partition := range map[string]string{
		"us-east-1": "aws", "cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov",
	} {
		arns := rolesAnywhereFields(t, with("region", region))
		for _, field := range []string{"profile_arn", "role_arn", "trust_anchor_arn"} {
			changedARN := strings.Replace(arns[field].(string), "arn:aws:", "arn:"+partition+":", 1)
			arns[field] = strings.Replace(changedARN, "us-east-1", region, 1)
		}
		newMount(t).write("orders", arns)
	}
	arns := rolesAnywhereFields(t, with("custom_region", "us-iso-east-1"))
	for _, field := range []string{"profile_arn", "role_arn", "trust_anchor_arn"} {
		changedARN := strings.Replace(arns[field].(string), "arn:aws:", "arn:aws-iso:", 1)
		arns[field] = strings.Replace(changedARN, "us-east-1", "us-iso-east-1", 1)
	}
	newMount(t).write("orders", arns)
}

func TestConfigWrite_DurationTakesSecondsAndGoDurations(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("orders", rolesAnywhereFields(t))
	for _, given := range []any{1200, "1200", "20m", "1200s", json.Number("1200"), float64(1200)} {
		m.write("orders", with("duration", 900))
		m.write("orders", with("duration", given))
		if got := m.read("config/orders").Data["duration"]; got != int64(1200) {
			t.Errorf("duration %#v reads back as %v, want 1200", given, got)
		}
	}
}

func TestConfigWrite_PlainHTTPNeedsItsOwnField(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	plain := accessKeyFields(with("s3_endpoint", "http://store.example:9000"))
	if text := m.refused(logical.UpdateOperation, "config/reports", plain); !strings.Contains(text, "s3_allow_http=true") {
		t.Errorf("the refusal does not name the field: %s", text)
	}
	plain["s3_allow_http"] = true
	m.write("reports", plain)
	if text := m.refused(logical.PatchOperation, "config/reports", with("s3_allow_http", false)); !strings.Contains(text, "s3_endpoint") {
		t.Errorf("taking the exception back: %s", text)
	}
}
