package awscall

import "testing"

func TestRefusal_HasTheFieldsOfAFailedCall(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		refusal Refusal
		text    string
	}{
		{Refusal{"s3", 403, "AccessDenied", "no", "R1"}, "AccessDenied: no (HTTP 403)"},
		{Refusal{"s3", 502, "", "", ""}, "HTTP 502 without an error of the service in it"},
	} {
		r := &tt.refusal
		if r.HTTPStatus() != r.Status || r.ErrorCode() != r.Code || r.ErrorMessage() != r.Message ||
			r.RequestID() != r.ID || r.Error() != tt.text {
			t.Errorf("%+v reads as %d, %q, %q, %q: %s", tt.refusal, r.HTTPStatus(), r.ErrorCode(), r.ErrorMessage(),
				r.RequestID(), r)
		}
	}
}

func TestRefusals_AreReadInEveryForm(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		status  int
		body    string
		headers []string
		want    Refusal
	}{
		{"STS", 403, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
			<Error><Type>Sender</Type><Code>AccessDenied</Code>
			<Message>User: a is not authorized to perform: sts:AssumeRole on resource: b</Message></Error>
			<RequestId>R1</RequestId></ErrorResponse>`, nil,
			Refusal{"sts", 403, "AccessDenied", "User: a is not authorized to perform: sts:AssumeRole on resource: b",
				"R1"}},
		{"throttling", 400,
			`<ErrorResponse><Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>`,
			[]string{"X-Amzn-Requestid", "R2"}, Refusal{"sts", 400, "Throttling", "Rate exceeded", "R2"}},
		{"a store's S3 error", 400,
			`<Error><Code>InvalidRequest</Code><Message>no STS here</Message><RequestId>R3</RequestId></Error>`, nil,
			Refusal{"sts", 400, "InvalidRequest", "no STS here", "R3"}},
		{"a page", 404, "<html><Error/></html>", []string{"X-Amz-Request-Id", "R4"},
			Refusal{Service: "sts", Status: 404}},
		{"no code", 500, "<Error><Message>secret?</Message></Error>", nil, Refusal{Service: "sts", Status: 500}},
		{"a code in a page", 500, "<html>&nosuch;<Error><Code>A</Code></Error></html>", nil,
			Refusal{Service: "sts", Status: 500}},
		{"cut after the code", 503, "<Error><Code>SlowDown</Code><Mess", nil, Refusal{Service: "sts", Status: 503}},
		{"nothing", 502, "", nil, Refusal{Service: "sts", Status: 502}},
		{"a redirect", 301, "", nil, Refusal{Service: "sts", Status: 301}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			service := newService(t, tt.status, tt.body, tt.headers...)
			_, err := testClient().GetCallerIdentity(t.Context(), STS{Endpoint: service.url, Region: "eu-west-1"},
				testCredentials())
			wantRefusal(t, err, tt.want)
		})
	}
}
