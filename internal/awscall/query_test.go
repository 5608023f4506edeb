package awscall

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// Responses are those of AWS's API references, with what is not needed left out.
const (
	assumeRoleResponse = `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleResult>
  <SourceIdentity>Alice</SourceIdentity>
    <AssumedRoleUser>
      <Arn>arn:aws:sts::123456789012:assumed-role/demo/TestAR</Arn>
      <AssumedRoleId>ARO123EXAMPLE123:TestAR</AssumedRoleId>
    </AssumedRoleUser>
    <Credentials>
      <AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId>
      <SecretAccessKey>wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY</SecretAccessKey>
      <SessionToken>
       AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQW
      </SessionToken>
      <Expiration>2019-11-09T13:34:41Z</Expiration>
    </Credentials>
    <PackedPolicySize>6</PackedPolicySize>
  </AssumeRoleResult>
  <ResponseMetadata><RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId></ResponseMetadata>
</AssumeRoleResponse>`
	createResponse = `<CreateAccessKeyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">
  <CreateAccessKeyResult><AccessKey><UserName>Bob</UserName><AccessKeyId>AKIAIOSFODNN7EXAMPLE</AccessKeyId>
    <Status>Active</Status><SecretAccessKey>wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY</SecretAccessKey>
    <CreateDate>2026-11-23T12:00:00Z</CreateDate></AccessKey></CreateAccessKeyResult>
</CreateAccessKeyResponse>`
	listResponse = `<ListAccessKeysResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">
  <ListAccessKeysResult><UserName>Susan</UserName><AccessKeyMetadata>
    <member><UserName>Susan</UserName><AccessKeyId>AKIAIOSFODNN7EXAMPLE</AccessKeyId><Status>Active</Status>
      <CreateDate>2016-12-01T22:19:58Z</CreateDate></member>
    <member><UserName>Susan</UserName><AccessKeyId>AKIAI44QH8DHBEXAMPLE</AccessKeyId><Status>Inactive</Status></member>
  </AccessKeyMetadata><IsTruncated>false</IsTruncated></ListAccessKeysResult>
</ListAccessKeysResponse>`
	identityResponse = `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/Alice</Arn><UserId>AIDACKCEVSQ6C2EXAMPLE</UserId>
    <Account>123456789012</Account></GetCallerIdentityResult>
</GetCallerIdentityResponse>`
)

func wantForm(t *testing.T, service *service, want url.Values, scope string) {
	t.Helper()
	request := service.last.Load()
	form, err := url.ParseQuery(request.body)
	if err != nil || request.Method != "POST" || request.RequestURI != "/" {
		t.Fatalf("%s %s with %q: %v", request.Method, request.RequestURI, request.body, err)
	}
	for name := range want {
		if !slices.Equal(form[name], want[name]) {
			t.Errorf("%s = %q, want %q", name, form[name], want[name])
		}
		delete(form, name)
	}
	if len(form) > 0 {
		t.Errorf("parameters that nobody asked for: %v", form)
	}
	if got := request.Header.Get("Content-Type"); got != "application/x-www-form-urlencoded; charset=utf-8" {
		t.Errorf("Content-Type = %q", got)
	}
	if got := request.Header.Get("Authorization"); !strings.Contains(got, scope) {
		t.Errorf("Authorization = %q, want the scope %s", got, scope)
	}
}

func TestAssumeRole_SendsEveryParameterAndReadsTheSession(t *testing.T) {
	t.Parallel()
	service := newService(t, 200, assumeRoleResponse)
	out, err := testClient().AssumeRole(t.Context(), STS{Endpoint: service.url, Region: "eu-west-1"}, testCredentials(),
		AssumeRoleInput{
			RoleARN:           "arn:aws:iam::123456789012:role/demo",
			SessionName:       "orders-read",
			Policy:            `{"Version":"2012-10-17","Statement":[]} + &=%ü`,
			Duration:          30 * time.Minute,
			ExternalID:        "a:b/c",
			Tags:              []Tag{{"team", "a b"}, {"empty", ""}},
			TransitiveTagKeys: []string{"team"},
			SourceIdentity:    "Alice",
		})
	if err != nil {
		t.Fatal(err)
	}
	wantForm(t, service, url.Values{
		"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "RoleArn": {"arn:aws:iam::123456789012:role/demo"},
		"RoleSessionName": {"orders-read"}, "Policy": {`{"Version":"2012-10-17","Statement":[]} + &=%ü`},
		"DurationSeconds": {
			"1800",
		}, "ExternalId": {"a:b/c"}, "Tags.member.1.Key": {"team"}, "Tags.member.1.Value": {"a b"},
		"Tags.member.2.Key": {"empty"}, "Tags.member.2.Value": {""}, "TransitiveTagKeys.member.1": {"team"},
		"SourceIdentity": {"Alice"},
	}, "/20261123/eu-west-1/sts/aws4_request")
	if out.Credentials.AccessKeyID != "ASIAIOSFODNN7EXAMPLE" ||
		out.Credentials.SecretAccessKey.Reveal() != "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY" ||
		out.Credentials.SessionToken.Reveal() != "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQW" {
		t.Error("the credentials are not those of the response")
	}
	if want := time.Date(2019, 11, 9, 13, 34, 41, 0, time.UTC); !out.Expiration.Equal(want) ||
		out.PackedPolicySize != 6 ||
		out.ARN != "arn:aws:sts::123456789012:assumed-role/demo/TestAR" ||
		out.SourceIdentity != "Alice" {
		t.Errorf("the session is %+v", out)
	}
}

func TestAssumeRole_LeavesOutWhatIsEmpty(t *testing.T) {
	t.Parallel()
	service := newService(t, 200, assumeRoleResponse)
	_, err := testClient().AssumeRole(t.Context(), STS{Endpoint: service.url, Region: "eu-west-1"}, testCredentials(),
		AssumeRoleInput{})
	if err != nil {
		t.Fatal(err)
	}
	wantForm(t, service, url.Values{"Action": {"AssumeRole"}, "Version": {"2011-06-15"}}, "/sts/")
}

func TestAssumeRole_NeverReturnsHalfASession(t *testing.T) {
	t.Parallel()
	for _, lost := range []string{"AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration", "AssumeRoleResult"} {
		body := strings.ReplaceAll(assumeRoleResponse, lost+">", "Other>")
		service := newService(t, 200, body)
		out, err := testClient().AssumeRole(t.Context(), STS{Endpoint: service.url, Region: "eu-west-1"},
			testCredentials(), AssumeRoleInput{})
		wantMalformed(t, err)
		if out != nil || strings.Contains(err.Error(), "EXAMPLE") {
			t.Errorf("without %s: %v, %v", lost, out, err)
		}
	}
	for _, wrong := range []string{"soon", "2019-11-09", ""} {
		service := newService(t, 200, strings.Replace(assumeRoleResponse, "2019-11-09T13:34:41Z", wrong, 1))
		_, err := testClient().AssumeRole(t.Context(), STS{Endpoint: service.url, Region: "eu-west-1"},
			testCredentials(), AssumeRoleInput{})
		wantMalformed(t, err)
	}
}

func TestGetCallerIdentity_ReadsTheIdentity(t *testing.T) {
	t.Parallel()
	service := newService(t, 200, identityResponse)
	got, err := testClient().GetCallerIdentity(t.Context(), STS{Endpoint: service.url, Region: "cn-north-1"},
		testCredentials())
	if err != nil {
		t.Fatal(err)
	}
	wantForm(t, service, url.Values{"Action": {"GetCallerIdentity"}, "Version": {"2011-06-15"}}, "/cn-north-1/sts/")
	if want := (CallerIdentity{"123456789012", "arn:aws:iam::123456789012:user/Alice",
		"AIDACKCEVSQ6C2EXAMPLE"}); *got != want {
		t.Errorf("the identity is %+v", got)
	}
}

func TestAccessKeys_AreCreatedListedUpdatedAndDeleted(t *testing.T) {
	t.Parallel()
	iam := func(s *service) IAM { return IAM{Endpoint: s.url, Region: "eu-west-1"} }
	service := newService(t, 200, createResponse)
	key, err := testClient().CreateAccessKey(t.Context(), iam(service), testCredentials())
	if err != nil || key.ID != "AKIAIOSFODNN7EXAMPLE" ||
		key.Secret.Reveal() != "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" ||
		key.UserName != "Bob" || key.Status != StatusActive ||
		!key.Created.Equal(testTime()) {
		t.Errorf("the key is %+v, %v", key, err)
	}
	wantForm(t, service, url.Values{"Action": {"CreateAccessKey"}, "Version": {"2010-05-08"}}, "/eu-west-1/iam/")

	service = newService(t, 200, listResponse)
	keys, err := testClient().ListAccessKeys(t.Context(), iam(service), testCredentials())
	if err != nil || len(keys) != 2 || keys[0].ID != "AKIAIOSFODNN7EXAMPLE" || keys[0].Created.Year() != 2016 ||
		keys[1].ID != "AKIAI44QH8DHBEXAMPLE" || keys[1].Status != StatusInactive || !keys[1].Created.IsZero() {
		t.Errorf("the keys are %+v, %v", keys, err)
	}

	service = newService(t, 200, `<UpdateAccessKeyResponse><ResponseMetadata/></UpdateAccessKeyResponse>`)
	if err := testClient().UpdateAccessKey(t.Context(), iam(service), testCredentials(), "AKIA1",
		StatusInactive); err != nil {
		t.Error(err)
	}
	wantForm(t, service, url.Values{"Action": {"UpdateAccessKey"}, "Version": {"2010-05-08"}, "AccessKeyId": {"AKIA1"},
		"Status": {"Inactive"}}, "/iam/")

	service = newService(t, 200, `<DeleteAccessKeyResponse><ResponseMetadata/></DeleteAccessKeyResponse>`)
	if err := testClient().DeleteAccessKey(t.Context(), iam(service), testCredentials(), "AKIA1"); err != nil {
		t.Error(err)
	}
	wantForm(
		t,
		service,
		url.Values{"Action": {"DeleteAccessKey"}, "Version": {"2010-05-08"}, "AccessKeyId": {"AKIA1"}},
		"/iam/",
	)
}

func TestCreateAccessKey_NeverReturnsHalfAKey(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		strings.ReplaceAll(createResponse, "SecretAccessKey", "Other"),
		strings.ReplaceAll(createResponse, "AccessKeyId", "Other"),
		strings.ReplaceAll(createResponse, "CreateAccessKeyResponse", "Other"),
		strings.ReplaceAll(createResponse, "2026-11-23T12:00:00Z", "yesterday"),
	} {
		service := newService(t, 200, body)
		key, err := testClient().CreateAccessKey(t.Context(), IAM{Endpoint: service.url, Region: "eu-west-1"},
			testCredentials())
		wantMalformed(t, err)
		if key != nil {
			t.Errorf("a key beside the error: %+v", key)
		}
	}
}

func TestListAccessKeys_NeverReturnsWhatIsNoUsersKeys(t *testing.T) {
	t.Parallel()
	const member = "<member><AccessKeyId>AKIA</AccessKeyId></member>"
	for name, members := range map[string]string{
		"a key without an id": "<member><Status>Active</Status></member>",
		"endless":             strings.Repeat(member, maxAccessKeys+1),
	} {
		service := newService(t, 200, "<ListAccessKeysResponse><ListAccessKeysResult><AccessKeyMetadata>"+members+
			"</AccessKeyMetadata></ListAccessKeysResult></ListAccessKeysResponse>")
		keys, err := testClient().ListAccessKeys(t.Context(), IAM{Endpoint: service.url, Region: "eu-west-1"},
			testCredentials())
		wantMalformed(t, err)
		if keys != nil || !strings.Contains(err.Error(), "it lists what are not a user's access keys") {
			t.Errorf("%s: %d keys, %v", name, len(keys), err)
		}
	}
}

func TestSTS_ResponsesOfOtherServersAreMalformed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ body, want string }{
		"an identity without an ARN": {strings.ReplaceAll(identityResponse, "Arn>", "Other>"), "it holds no Arn"},
		"a size that is none": {strings.Replace(assumeRoleResponse, "</AssumedRoleUser>",
			"</AssumedRoleUser><PackedPolicySize>-1</PackedPolicySize>", 1), "its PackedPolicySize is not a number"},
	} {
		service := newService(t, 200, test.body)
		sts := STS{Endpoint: service.url, Region: "eu-west-1"}
		var err error
		if strings.Contains(test.body, "GetCallerIdentity") {
			_, err = testClient().GetCallerIdentity(t.Context(), sts, testCredentials())
		} else {
			_, err = testClient().AssumeRole(t.Context(), sts, testCredentials(), AssumeRoleInput{})
		}
		wantMalformed(t, err)
		if want := "the response is not one of STS: " + test.want; !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}
