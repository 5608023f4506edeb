package s3conn

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
	"github.com/s3conn/vault-plugin-s3conn/internal/upstream"
)

const (
	sdkPrefix = "sdk/"

	scopedSDKSynopsis    = "Read credentials of a scope as AWS SDKs and credential_process take them."
	scopedSDKDescription = `
The same credentials as creds/NAME/SCOPE, in the form of sdk/NAME:

  AWS_CONTAINER_CREDENTIALS_FULL_URI=$VAULT_ADDR/v1/s3conn/sdk/orders/reports
`

	sdkSynopsis    = "Read credentials as AWS SDKs and credential_process take them."
	sdkDescription = `
The same credentials as creds/NAME, as one raw JSON object and without a lease. An unmodified AWS SDK or AWS CLI reads
them with two environment variables:

  AWS_CONTAINER_CREDENTIALS_FULL_URI=$VAULT_ADDR/v1/s3conn/sdk/orders
  AWS_CONTAINER_AUTHORIZATION_TOKEN="Bearer $VAULT_TOKEN"

or through an AWS configuration file:

  credential_process = vault read -format=raw s3conn/sdk/orders

Where sessions of the connection last for half an hour or more, one that is handed out has at least 15 minutes left, so
that an SDK does not find it about to end; it may have less only while the next one cannot be had. Access keys get an
Expiration an hour ahead, so that SDKs come back for a rotated key.
A failure is a status with {"code","message"}, which SDKs show.
`

	// sdkWant is the life before whose end SDKs begin to refresh: botocore 15 minutes, others less.
	sdkWant = 15 * time.Minute

	// keyRecheck is when an SDK asks again for access keys, which do not expire.
	keyRecheck = time.Hour

	// Codes of failures for which a service has given none.
	codeInternal       = "InternalError"
	codeInvalidRequest = "InvalidRequest"
	codeUnavailable    = "ServiceUnavailable"
)

func (b *backend) sdkPaths() []*framework.Path {
	read := func(summary string) map[logical.Operation]framework.OperationHandler {
		return map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation: &framework.PathOperation{Callback: byNames(b.readSDKCredentials), Summary: summary,
				Responses: map[int][]framework.Response{
					http.StatusOK: {{Description: "The credentials, as a raw JSON object.", Fields: sdkSchema()}},
				}},
		}
	}
	return []*framework.Path{
		{
			Pattern:         sdkPrefix + framework.GenericNameRegex("name"),
			DisplayAttrs:    displayAttrs("sdk-credentials"),
			HelpSynopsis:    sdkSynopsis,
			HelpDescription: sdkDescription,
			Fields:          b.nameOnly,
			Operations:      read(sdkSynopsis),
		},
		{
			Pattern:         sdkPrefix + framework.GenericNameRegex("name") + "/" + framework.GenericNameRegex("scope"),
			DisplayAttrs:    displayAttrs("scoped-sdk-credentials"),
			HelpSynopsis:    scopedSDKSynopsis,
			HelpDescription: scopedSDKDescription,
			Fields:          b.scopeNames,
			Operations:      read(scopedSDKSynopsis),
		},
	}
}

func sdkSchema() map[string]*framework.FieldSchema {
	required := func(description string) *framework.FieldSchema {
		return &framework.FieldSchema{Type: framework.TypeString, Required: true, Description: description}
	}
	schema := map[string]*framework.FieldSchema{
		"Version":         {Type: framework.TypeInt, Required: true, Description: "1."},
		"AccessKeyId":     required("Access key ID."),
		"SecretAccessKey": required("Secret access key."),
		"Token":           required("Session token; empty for access keys."),
		"SessionToken":    required("The same as Token, for credential_process."),
		"Expiration":      required("When to come back for the next ones, RFC 3339, UTC."),
		"AccountId":       required("Account of the assumed role. Sessions only."),
		"RoleArn":         required("ARN of the assumed role. Sessions only."),
	}
	schema["AccountId"].Required, schema["RoleArn"].Required = false, false
	return schema
}

// sdkCredentials is at once what SDKs read from a container credentials endpoint (Token) and from a
// credential_process (Version, SessionToken).
//
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
type sdkCredentials struct {
	Version         int
	AccessKeyId     string //nolint:revive // AWS's own spelling
	SecretAccessKey string
	Token           string
	SessionToken    string
	Expiration      string
	AccountId       string `json:",omitempty"` //nolint:revive // AWS's own spelling
	RoleArn         string `json:",omitempty"`
}

// sdkError carries its words three times: most SDKs read the documented names, the one for JavaScript the capitalized
// ones, and Vault's own clients, such as a credential_process, read errors.
type sdkError struct {
	Code         string   `json:"code"`
	Message      string   `json:"message"`
	CodeForJS    string   `json:"Code"`
	MessageForJS string   `json:"Message"`
	ForVault     []string `json:"errors"`
}

func (b *backend) readSDKCredentials(ctx context.Context, r reader) (*logical.Response, error) {
	used, _, creds, err := b.credentialsFor(ctx, r, sdkWant)
	if err != nil {
		return b.sdkFailure(b.forwarded(err))
	}
	if !expires(&creds) {
		return rawAnswer(http.StatusOK, encoded(newSDKCredentials(used, &creds, b.now().Add(keyRecheck)))), nil
	}
	return rawAnswer(http.StatusOK, used.sdk.Of(&creds, func() []byte {
		return encoded(newSDKCredentials(used, &creds, creds.Expiration))
	})), nil
}

func newSDKCredentials(used *inUse, creds *session.Session, expiration time.Time) sdkCredentials {
	body := sdkCredentials{
		Version:         1,
		AccessKeyId:     creds.AccessKey,
		SecretAccessKey: creds.SecretKey.Reveal(),
		Token:           creds.SessionToken.Reveal(),
		SessionToken:    creds.SessionToken.Reveal(),
		Expiration:      expiration.UTC().Format(time.RFC3339),
	}
	if role, err := arn.Parse(used.roleARN()); err == nil {
		body.RoleArn, body.AccountId = used.roleARN(), role.AccountID
	}
	return body
}

// sdkFailure puts an error into the form that SDKs show; Vault's own form they show badly.
func (b *backend) sdkFailure(err error) (*logical.Response, error) {
	status, known := statusOf(err)
	if strings.Contains(err.Error(), logical.ErrReadOnly.Error()) {
		return nil, err // Vault forwards the request to a node that can write
	}
	if !known {
		if b.monitor.unreadable.allows(b.clock().Uptime) {
			b.Logger().Error("reading credentials for an SDK", "error", err)
		}
		return sdkFailed(http.StatusInternalServerError, codeInternal, err), nil
	}
	code := codeInvalidRequest
	var missing *missingError
	var missingScope *missingScopeError
	var failed *upstream.Error
	switch {
	case errors.As(err, &missing):
		status, code = http.StatusNotFound, "NoSuchConnection"
	case errors.As(err, &missingScope):
		status, code = http.StatusNotFound, "NoSuchScope"
	case errors.As(err, &failed):
		code = sdkCode(failed)
	case temporary(err):
		code = codeUnavailable
	}
	return sdkFailed(status, code, err), nil
}

// sdkCode is the service's code, or what SDKs make of its absence.
func sdkCode(failed *upstream.Error) string {
	switch {
	case failed.Code != "":
		return failed.Code
	case failed.Kind == upstream.Permanent:
		return codeInvalidRequest
	}
	return codeUnavailable
}

func sdkFailed(status int, code string, err error) *logical.Response {
	return rawAnswer(status, encoded(sdkError{code, err.Error(), code, err.Error(), []string{err.Error()}}))
}

func encoded(body any) []byte {
	text, _ := json.Marshal(body) // texts and a number always encode
	return text
}

func rawAnswer(status int, body []byte) *logical.Response {
	return &logical.Response{Data: map[string]any{
		logical.HTTPContentType:        "application/json",
		logical.HTTPStatusCode:         status,
		logical.HTTPRawBody:            body,
		logical.HTTPCacheControlHeader: "no-store",
	}}
}
