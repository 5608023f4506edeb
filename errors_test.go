package s3conn

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/plugin/pb"

	"github.com/s3conn/vault-plugin-s3conn/internal/awscall"
	"github.com/s3conn/vault-plugin-s3conn/internal/network"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/rotation"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
	"github.com/s3conn/vault-plugin-s3conn/internal/source"
	"github.com/s3conn/vault-plugin-s3conn/internal/upstream"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

func TestErrorResponse_KeepsItsStatusAndWordsOnTheWayToVault(t *testing.T) {
	t.Parallel()
	api := func(status int, code, message string) error {
		return upstream.Describe(source.CreateSession,
			&rolesanywhere.APIError{StatusCode: status, Code: code, Message: message, RequestID: "req-1"})
	}
	onTheWay := func(err error) error {
		return upstream.Describe(source.CreateSession,
			&url.Error{Op: "Post", URL: "https://service.example/sessions", Err: err})
	}
	wrongField := &problem.List{}
	wrongField.Add("duration", "is wrong")

	for name, test := range map[string]struct {
		err    error
		status int
		says   []string
	}{
		"invalid field": {wrongField.Err("writing", "unchanged"), 400,
			[]string{"duration: is wrong", "unchanged"}},
		"missing connection": {&missingError{"orders"}, 400, []string{`"orders"`}},
		"a rotation within its grace": {&rotation.GraceError{Old: "AKIAOLD", Until: testTime}, 400,
			[]string{"AKIAOLD"}},
		"two keys in IAM": {&rotation.TwoKeysError{}, 400, []string{"two access keys"}},
		"a key that AWS does not take": {&rotation.NotAcceptedError{}, 502,
			[]string{"is given up; the key before stays"}},
		"two writers":              {&conflictError{"orders", "others changed it"}, 409, []string{`"orders"`}},
		"a session that is slow":   {session.ErrPending, 503, []string{"try again"}},
		"a reader that has gone":   {session.ErrGone, 503, nil},
		"settings that change":     {session.ErrUnsettled, 503, []string{"try again"}},
		"a mount that closes":      {session.ErrClosing, 503, nil},
		"a key that is to be made": {errMakingKey, 503, []string{"no key was made"}},
		"refused for good": {api(403, "AccessDeniedException", "Untrusted signing certificate"), 400,
			[]string{"AccessDeniedException: Untrusted signing certificate", "HTTP 403", "req-1", "trust anchor"}},
		"session name": {api(403, "AccessDeniedException", "Not authorized to set roleSessionName"), 400,
			[]string{"send_session_name=false"}},
		"trust policy": {api(403, "AccessDeniedException", "Unable to assume role for arn:aws:iam::1:role/x"),
			400, []string{"sts:SetSourceIdentity"}},
		"no such profile":   {api(404, "ResourceNotFoundException", "not found"), 400, []string{"HTTP 404"}},
		"throttled":         {api(429, "ThrottlingException", "Rate exceeded"), 429, []string{"Rate exceeded"}},
		"throttled by code": {api(400, "ThrottlingException", "Rate exceeded"), 429, []string{"HTTP 400"}},
		"broken service":    {api(500, "InternalFailure", "x"), 502, []string{"HTTP 500"}},
		"busy service":      {api(503, "ServiceUnavailable", "x"), 503, []string{"HTTP 503"}},
		"slow service":      {api(504, "", ""), 504, []string{"HTTP 504"}},
		"no answer": {onTheWay(context.DeadlineExceeded), 504,
			[]string{"service.example did not answer within 10s"}},
		"connection refused": {onTheWay(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), 502,
			[]string{"service.example refused"}},
		"no such host": {onTheWay(&net.OpError{Op: "dial",
			Err: &net.DNSError{IsNotFound: true, Name: "CANARY"}}), 502, []string{"does not resolve"}},
		"untrusted CA": {onTheWay(x509.UnknownAuthorityError{}), 502, []string{"ca_cert"}},
		"forbidden address": {onTheWay(&net.OpError{Op: "dial", Err: network.ErrForbiddenAddress}), 400,
			[]string{"link-local"}},
		"broken connection": {onTheWay(errors.New("CANARY")), 502, []string{"broke"}},
		"invalid response": {upstream.Describe(source.CreateSession,
			fmt.Errorf("%w: no credentials", rolesanywhere.ErrInvalidResponse)), 502, []string{"no credentials"}},
		"S3 refuses": {upstream.Describe(opListBuckets, &awscall.Refusal{Status: 403,
			Code: "InvalidAccessKeyId", Message: "no such key", ID: "s3-req"}), 400,
			[]string{"ListBuckets: InvalidAccessKeyId: no such key", "HTTP 403", "s3-req", "does not know"}},
		"S3 slow down": {upstream.Describe(opListBuckets,
			&awscall.Refusal{Status: 503, Code: "SlowDown", Message: "x"}), 429, []string{"SlowDown"}},
		"while testing": {fmt.Errorf("writing: %w; unchanged", api(503, "ServiceUnavailable", "x")), 503,
			[]string{"writing: ", "unchanged"}},
		"storage": {fmt.Errorf("storing: %w", errStorage), 500, []string{errStorage.Error()}},
		"read-only node": {fmt.Errorf("storing: %w", logical.ErrReadOnly), 500,
			[]string{logical.ErrReadOnly.Error()}},
		"the caller has gone": {context.Canceled, 500, []string{"context canceled"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resp, err := errorResponse(test.err)
			status, text := asVaultSeesIt(t, resp, err)
			if status != test.status {
				t.Errorf("status = %d, want %d (%s)", status, test.status, text)
			}
			for _, part := range test.says {
				if !strings.Contains(text, part) {
					t.Errorf("%q does not say %q", text, part)
				}
			}
			if strings.Contains(text, "CANARY") {
				t.Errorf("%q quotes what came from outside", text)
			}
		})
	}
}

// asVaultSeesIt sends the answer through the plugin protocol's translation.
func asVaultSeesIt(t *testing.T, resp *logical.Response, err error) (status int, text string) {
	t.Helper()
	if resp.IsError() {
		return http.StatusBadRequest, resp.Error().Error()
	}
	received := pb.ProtoErrToErr(pb.ErrToProtoErr(err))
	if received == nil {
		t.Fatalf("no error: %+v", resp)
	}
	var coded logical.HTTPCodedError
	if errors.As(received, &coded) {
		return coded.Code(), received.Error()
	}
	return http.StatusInternalServerError, received.Error()
}
