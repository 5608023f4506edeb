package rolesanywhere

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

// ProviderName is the Source of the credentials that this package returns.
const ProviderName = "RolesAnywhereCreateSession"

// CreateSessionOutput is a session. It prints as a redaction; its Credentials field does not, nor does an
// output that is an unexported field of another struct, of which fmt calls no methods.
type CreateSessionOutput struct {
	// Credentials always have a key, a secret, a token and an expiry ahead of the client's clock, in
	// UTC. AccountID is that of the assumed role.
	Credentials      aws.Credentials
	AssumedRoleARN   string // arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION
	AssumedRoleID    string // AROA...:SESSION
	SubjectARN       string // the subject that the service keeps for the certificate
	SourceIdentity   string // as CloudTrail shows it: the certificate's common name
	RequestID        string // X-Amzn-RequestId
	PackedPolicySize int    // percent of the limit on session policies and tags
}

const redactedOutput = "rolesanywhere.CreateSessionOutput(redacted)"

// String returns a redaction.
func (o CreateSessionOutput) String() string { return redactedOutput }

// GoString returns a redaction.
func (o CreateSessionOutput) GoString() string { return redactedOutput }

// Format writes a redaction for every verb.
func (o CreateSessionOutput) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redactedOutput) }

// MarshalJSON returns a redaction as a JSON string.
func (o CreateSessionOutput) MarshalJSON() ([]byte, error) {
	return []byte(`"` + redactedOutput + `"`), nil
}

// LogValue returns a redaction.
func (o CreateSessionOutput) LogValue() slog.Value { return slog.StringValue(redactedOutput) }

// responseBody is CreateSession's response:
// https://docs.aws.amazon.com/rolesanywhere/latest/userguide/authentication-create-session.html
type responseBody struct {
	CredentialSet []struct {
		AssumedRoleUser struct {
			ARN           string `json:"arn"`
			AssumedRoleID string `json:"assumedRoleId"`
		} `json:"assumedRoleUser"`
		Credentials struct {
			AccessKeyID     string `json:"accessKeyId"`
			SecretAccessKey string `json:"secretAccessKey"`
			SessionToken    string `json:"sessionToken"`
			Expiration      string `json:"expiration"`
		} `json:"credentials"`
		PackedPolicySize int    `json:"packedPolicySize"`
		RoleARN          string `json:"roleArn"`
		SourceIdentity   string `json:"sourceIdentity"`
	} `json:"credentialSet"`
	SubjectARN string `json:"subjectArn"`
}

// decodeResponse turns a response into a session or an error, and never into a session that lacks a
// part: an empty credentialSet with status 201 has been seen, and empty credentials would make an SDK
// report something unrelated much later. received is our clock's time.
func decodeResponse(status int, header http.Header, body []byte, received time.Time) (*CreateSessionOutput, error) {
	if status < 200 || status > 299 {
		return nil, decodeError(status, header, body, received)
	}
	invalid := func(fault string) (*CreateSessionOutput, error) {
		return nil, fmt.Errorf("%w: %s (status %d, request id %q)",
			ErrInvalidResponse, fault, status, requestID(header))
	}
	var parsed responseBody
	// The decoder's error is dropped: it quotes the body, which may hold a secret.
	if json.Unmarshal(body, &parsed) != nil {
		return invalid("the body is " + contentType(header) + " and cannot be read as the operation's JSON")
	}
	if len(parsed.CredentialSet) == 0 {
		return invalid("credentialSet is empty")
	}
	set := parsed.CredentialSet[0]
	c := set.Credentials
	if c.AccessKeyID == "" || c.SecretAccessKey == "" || c.SessionToken == "" {
		return invalid("accessKeyId, secretAccessKey or sessionToken is missing")
	}
	expires, err := time.Parse(time.RFC3339, c.Expiration)
	if err != nil {
		return invalid("expiration is missing or not RFC 3339")
	}
	expires = expires.UTC()
	if !expires.After(received) {
		return invalid(fmt.Sprintf("the credentials expired at %s and this machine's clock says %s",
			expires.Format(time.RFC3339), received.UTC().Format(time.RFC3339)))
	}
	return &CreateSessionOutput{
		Credentials: aws.Credentials{
			AccessKeyID:     c.AccessKeyID,
			SecretAccessKey: c.SecretAccessKey,
			SessionToken:    c.SessionToken,
			Source:          ProviderName,
			CanExpire:       true,
			Expires:         expires,
			AccountID:       accountID(set.AssumedRoleUser.ARN, set.RoleARN),
		},
		AssumedRoleARN:   set.AssumedRoleUser.ARN,
		AssumedRoleID:    set.AssumedRoleUser.AssumedRoleID,
		SubjectARN:       parsed.SubjectARN,
		SourceIdentity:   set.SourceIdentity,
		RequestID:        requestID(header),
		PackedPolicySize: set.PackedPolicySize,
	}, nil
}

func accountID(arns ...string) string {
	for _, s := range arns {
		if a, err := arn.Parse(s); err == nil && a.AccountID != "" {
			return a.AccountID
		}
	}
	return ""
}
