package awstest

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestVerify_AcceptsAWSsExamples has requests that AWS has published with their signatures:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html (ListUsers) and
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html (GET Bucket).
func TestVerify_AcceptsAWSsExamples(t *testing.T) {
	t.Parallel()
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for _, tt := range []struct {
		url, secret, authorization string
		headers                    map[string]string
	}{
		{"https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
			"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, " +
				"SignedHeaders=content-type;host;x-amz-date, " +
				"Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
			map[string]string{"Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
				"X-Amz-Date": "20150830T123600Z"}},
		{"https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
			"AWS4-HMAC-SHA256 " +
				"Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request," +
				"SignedHeaders=host;x-amz-content-sha256;x-amz-date," +
				"Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
			map[string]string{"X-Amz-Content-Sha256": empty, "X-Amz-Date": "20130524T000000Z"}},
	} {
		newRequest := func() *http.Request {
			request, err := http.NewRequest(http.MethodGet, tt.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Authorization", tt.authorization)
			for name, value := range tt.headers {
				request.Header.Set(name, value)
			}
			return request
		}
		request := newRequest()
		signed, refusal := parseSignature(request)
		if refusal != nil {
			t.Fatalf("%s: %v", tt.url, refusal)
		}
		if refusal := signed.verify(request, nil, tt.secret); refusal != nil {
			t.Errorf("%s: %v", tt.url, refusal)
		}
		for name, change := range map[string]func(*http.Request){
			"the method": func(r *http.Request) { r.Method = http.MethodPost },
			"the path":   func(r *http.Request) { r.URL.Path = "/x" },
			"the query":  func(r *http.Request) { r.URL.RawQuery += "1" },
			"the host":   func(r *http.Request) { r.Host = "other.amazonaws.com" },
			"the date":   func(r *http.Request) { r.Header.Set("X-Amz-Date", "20150830T123601Z") },
		} {
			forged := newRequest()
			change(forged)
			signed, refusal := parseSignature(forged)
			if refusal != nil {
				t.Fatal(refusal)
			}
			if signed.verify(forged, nil, tt.secret) == nil {
				t.Errorf("%s with another %s is accepted", tt.url, name)
			}
		}
		if signed.verify(request, []byte("body"), tt.secret) == nil || signed.verify(request, nil, "other") == nil {
			t.Errorf("%s with another body or secret is accepted", tt.url)
		}
	}
}

func TestParseSignature_RefusesWhatIsIncomplete(t *testing.T) {
	t.Parallel()
	const good = "AWS4-HMAC-SHA256 Credential=A/20150830/us-east-1/iam/aws4_request, SignedHeaders=host;x-amz-date, " +
		"Signature=00"
	for name, tt := range map[string]struct {
		authorization, code string
		headers             map[string]string
	}{
		"none":              {"", "MissingAuthenticationToken", nil},
		"another algorithm": {strings.Replace(good, "SHA256", "SHA1", 1), "IncompleteSignature", nil},
		"no signature":      {strings.Replace(good, "Signature=00", "", 1), "IncompleteSignature", nil},
		"half a scope":      {strings.Replace(good, "/iam", "", 1), "IncompleteSignature", nil},
		"host not signed":   {strings.Replace(good, "host;", "", 1), "SignatureDoesNotMatch", nil},
		"date not signed":   {strings.Replace(good, ";x-amz-date", "", 1), "SignatureDoesNotMatch", nil},
		"token not signed":  {good, "SignatureDoesNotMatch", map[string]string{"X-Amz-Security-Token": "t"}},
		"type not signed":   {good, "SignatureDoesNotMatch", map[string]string{"Content-Type": "a/b"}},
		"headers not sorted": {strings.Replace(good, "host;x-amz-date", "x-amz-date;host", 1), "IncompleteSignature",
			nil},
	} {
		request, err := http.NewRequest(http.MethodPost, "https://iam.amazonaws.com/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if tt.authorization != "" {
			request.Header.Set("Authorization", tt.authorization)
		}
		request.Header.Set("X-Amz-Date", "20150830T123600Z")
		for header, value := range tt.headers {
			request.Header.Set(header, value)
		}
		if _, refusal := parseSignature(request); refusal == nil || refusal.Code != tt.code {
			t.Errorf("%s: %v, want %s", name, refusal, tt.code)
		}
	}
}

func TestCheckTime_AllowsTheSkewAndNoMore(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		service, sent, code string
	}{
		{"sts", "20261123T120000Z", ""}, {"sts", "20261123T115500Z", ""},
		{"sts", "20261123T115459Z", "SignatureDoesNotMatch"},
		{"sts", "20261123T120501Z", "SignatureDoesNotMatch"}, {"s3", "20261123T120501Z", "RequestTimeTooSkewed"},
		{"sts", "20261122T120000Z", "SignatureDoesNotMatch"}, {"sts", "now", "SignatureDoesNotMatch"},
	} {
		s := signature{service: tt.service, day: "20261123", amzDate: tt.sent}
		code := ""
		if refusal := s.checkTime(now, 5*time.Minute); refusal != nil {
			code = refusal.Code
		}
		if code != tt.code {
			t.Errorf("%s at %s: %q, want %q", tt.service, tt.sent, code, tt.code)
		}
	}
}
