package rolesanywhere

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"
)

func TestDecodeResponse_NeverReturnsHalfASession(t *testing.T) {
	t.Parallel()
	good := sessionJSON(vectorTime.Add(time.Hour))
	replaced := func(old, replacement string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("the answer has no %s", old)
		}
		return strings.Replace(good, old, replacement, 1)
	}
	for name, tt := range map[string]struct{ body, says string }{
		"no body":             {"", "cannot be read as the operation's JSON"},
		"not JSON":            {"<html>SECRET</html>", "text/html and cannot be read"},
		"a list":              {"[]", "cannot be read"},
		"wrong type":          {replaced(`"SECRET"`, `["SECRET"]`), "cannot be read"},
		"trailing garbage":    {good + "SECRET", "cannot be read"},
		"null":                {"null", "credentialSet is empty"},
		"empty set":           {`{"credentialSet":[],"subjectArn":"x"}`, "credentialSet is empty"},
		"empty entry":         {`{"credentialSet":[{}]}`, "is missing"},
		"no access key":       {replaced(`"ASIAEXAMPLE"`, `""`), "accessKeyId"},
		"no secret key":       {replaced(`"SECRET"`, `null`), "secretAccessKey"},
		"no token":            {replaced(`"TOKEN"`, `""`), "sessionToken"},
		"no expiration":       {replaced(`"2026-11-23T10:33:06Z"`, `""`), "expiration is missing"},
		"unreadable expiry":   {replaced("2026-11-23T10:33:06Z", "tomorrow SECRET"), "not RFC 3339"},
		"expired":             {sessionJSON(vectorTime.Add(-time.Second)), "expired at 2026-11-23T09:33:05Z"},
		"expires this second": {sessionJSON(vectorTime), "expired at 2026-11-23T09:33:06Z"},
	} {
		header := http.Header{"Content-Type": {"text/html; charset=utf-8"}, "X-Amzn-Requestid": {"req-2"}}
		out, err := decodeResponse(http.StatusCreated, header, []byte(tt.body), vectorTime)
		if out != nil || !errors.Is(err, ErrInvalidResponse) || !strings.Contains(err.Error(), tt.says) ||
			!strings.Contains(err.Error(), "req-2") || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: error = %v; want ErrInvalidResponse saying %q", name, err, tt.says)
		}
	}
}

func TestDecodeResponse_TakesAnySuccess(t *testing.T) {
	t.Parallel()
	body := strings.Replace(sessionJSON(vectorTime.Add(time.Hour)), "10:33:06Z", "12:33:06+02:00", 1)
	for _, status := range []int{200, 201, 299} {
		out, err := decodeResponse(status, http.Header{}, []byte(body), vectorTime)
		if err != nil || out.Credentials.Expires != vectorTime.Add(time.Hour) {
			t.Errorf("%d: error = %v", status, err)
		}
	}
}

func TestDecodeResponse_AccountFallsBackToTheRole(t *testing.T) {
	t.Parallel()
	body := strings.Replace(
		sessionJSON(vectorTime.Add(time.Hour)),
		"arn:aws:sts::210987654321:assumed-role/app/orders-api",
		"",
		1,
	)
	out, err := decodeResponse(201, http.Header{}, []byte(body), vectorTime)
	if err != nil || out.Credentials.AccountID != "123456789012" {
		t.Errorf("account = %v, error = %v", out, err)
	}
}

func TestAPIError_FindsCodeAndMessage(t *testing.T) {
	t.Parallel()
	const jsonType, codeKey = "application/json", "X-Amzn-Errortype"
	for name, tt := range map[string]struct {
		status        int
		header        http.Header
		body          string
		code, message string
	}{
		"header first": {403, http.Header{codeKey: {"AccessDeniedException:http://internal/"}},
			`{"code":"B","__type":"C","message":"m","Message":"M"}`, "AccessDeniedException", "m"},
		"code next":    {403, nil, `{"code":"aws.x#B","__type":"C","Message":"M"}`, "B", "M"},
		"type last":    {403, nil, `{"__type":"com.amazon#C:http://x","message":""}`, "C", ""},
		"code no text": {400, nil, `{"code":7,"message":{"a":1}}`, "UnknownError", ""},
		"nothing":      {500, nil, ``, "UnknownError", ""},
		"throttled":    {429, nil, ``, "TooManyRequestsException", ""},
		"page of a proxy": {502, http.Header{"Content-Type": {"text/html"}}, "<b>CANARY", "UnknownError",
			"the response is text/html, not the service's JSON"},
		"no content type": {502, nil, "CANARY", "UnknownError",
			"the response is of no known content type, not the service's JSON"},
		"redirect": {307, http.Header{"Location": {"https://CANARY"}}, "CANARY", "UnknownError",
			"the response is a redirect, which is not followed"},
		"control in text": {403, nil, `{"code":"A\u0007B","message":"a\r\nb\u001b[31m\u202ec"}`, "A B",
			"a  b [31m c"},
		"message too long": {403, nil, `{"code":"A","message":"` + strings.Repeat("é", 600) + `"}`, "A",
			strings.Repeat("é", 512) + "..."},
		"cut in a character": {403, nil, `{"code":"A","message":"a` + strings.Repeat("é", 600) + `"}`, "A", "a" +
			strings.Repeat("é", 511) + "..."},
	} {
		_, err := decodeResponse(tt.status, tt.header, []byte(tt.body), vectorTime)
		e, ok := errors.AsType[*APIError](err)
		if !ok || e.StatusCode != tt.status || e.Code != tt.code || e.Message != tt.message ||
			strings.Contains(e.Error(), "CANARY") {
			t.Errorf("%s: error = %#v; want code %q, message %q", name, err, tt.code, tt.message)
		}
	}
}

func TestAPIError_IsTheSDKsKindOfError(t *testing.T) {
	t.Parallel()
	header := http.Header{"X-Amzn-Requestid": {"req-3"}}
	_, err := decodeResponse(
		403,
		header,
		[]byte(`{"code":"AccessDeniedException","message":"Untrusted signing certificate"}`),
		vectorTime,
	)
	e, ok := errors.AsType[smithy.APIError](err)
	if !ok || e.ErrorCode() != "AccessDeniedException" || e.ErrorMessage() != "Untrusted signing certificate" ||
		e.ErrorFault() != smithy.FaultClient {
		t.Errorf("error = %#v", err)
	}
	const want = "AccessDeniedException: Untrusted signing certificate (status 403, request id req-3)"
	if err.Error() != want {
		t.Errorf("text = %q, want %q", err, want)
	}
	for status, fault := range map[int]smithy.ErrorFault{302: smithy.FaultUnknown, 400: smithy.FaultClient,
		500: smithy.FaultServer} {
		if got := (&APIError{StatusCode: status}).ErrorFault(); got != fault {
			t.Errorf("%d: fault = %s, want %s", status, got, fault)
		}
	}
}

func TestAPIError_ReportsClockSkew(t *testing.T) {
	t.Parallel()
	const expired = `{"code":"InvalidSignatureException","message":"Signature expired: x is now earlier than y"}`
	for name, tt := range map[string]struct {
		body  string
		ahead time.Duration // of the service's clock
		want  time.Duration
		says  string
	}{
		"we are behind":     {expired, 10 * time.Minute, 10 * time.Minute, "this machine's clock is 10m0s behind"},
		"we are ahead":      {expired, -time.Hour, -time.Hour, "this machine's clock is 1h0m0s ahead"},
		"within the limit":  {expired, 5 * time.Minute, 0, ""},
		"another complaint": {`{"code":"AccessDeniedException","message":"no"}`, time.Hour, 0, ""},
		"by its code":       {`{"code":"RequestTimeTooSkewed"}`, time.Hour, time.Hour, "1h0m0s behind"},
	} {
		header := http.Header{"Date": {vectorTime.Add(tt.ahead).Format(http.TimeFormat)}}
		e := decodeError(403, header, []byte(tt.body), vectorTime)
		if e.ClockSkew != tt.want || !strings.Contains(e.Error(), tt.says) {
			t.Errorf("%s: skew = %s, text = %s", name, e.ClockSkew, e)
		}
	}
	if e := decodeError(403, http.Header{"Date": {"nonsense"}}, []byte(expired), vectorTime); e.ClockSkew != 0 {
		t.Errorf("without a date: skew = %s", e.ClockSkew)
	}
}
