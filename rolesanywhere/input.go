package rolesanywhere

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

// Session durations of CreateSession:
// https://docs.aws.amazon.com/rolesanywhere/latest/userguide/authentication-create-session.html
const (
	minDuration     = 15 * time.Minute
	maxDuration     = 12 * time.Hour
	defaultDuration = time.Hour
)

const (
	minSessionName = 2
	maxSessionName = 64
)

// CreateSessionInput says which role to assume, through which profile and trust anchor.
type CreateSessionInput struct {
	ProfileARN     string // required
	RoleARN        string // required
	TrustAnchorARN string // required
	// RoleSessionName is sent as [SessionName] makes it. Empty sends none, which is what a profile
	// needs that does not accept one ("Not authorized to set roleSessionName").
	RoleSessionName string
	// Duration is 900 s to 43200 s in whole seconds (a fraction is dropped); 0 means 3600 s. A profile
	// may shorten it in silence: only the credentials' Expires tells their lifetime.
	Duration time.Duration
}

// requestBody is the JSON that CreateSession takes.
type requestBody struct {
	DurationSeconds int64  `json:"durationSeconds"`
	ProfileARN      string `json:"profileArn"`
	RoleARN         string `json:"roleArn"`
	RoleSessionName string `json:"roleSessionName,omitempty"`
	TrustAnchorARN  string `json:"trustAnchorArn"`
}

func (in CreateSessionInput) encode() ([]byte, error) {
	for _, field := range []struct{ name, value string }{
		{"ProfileARN", in.ProfileARN}, {"RoleARN", in.RoleARN}, {"TrustAnchorARN", in.TrustAnchorARN},
	} {
		if !arn.IsARN(field.value) {
			return nil, fmt.Errorf("%w: %s is %.100q; want an ARN (arn:aws:...)", ErrInvalidInput, field.name, field.value)
		}
	}
	if in.Duration == 0 {
		in.Duration = defaultDuration
	}
	if in.Duration < minDuration || in.Duration > maxDuration {
		return nil, fmt.Errorf("%w: Duration is %s; want %s to %s",
			ErrInvalidInput, in.Duration, minDuration, maxDuration)
	}
	return json.Marshal(requestBody{
		DurationSeconds: int64(in.Duration / time.Second),
		ProfileARN:      in.ProfileARN,
		RoleARN:         in.RoleARN,
		RoleSessionName: SessionName(in.RoleSessionName),
		TrustAnchorARN:  in.TrustAnchorARN,
	})
}

// SessionName makes any text acceptable as a role session name: each character other than ASCII
// letters, digits and _+=,.@- becomes '-', what is over 64 characters is cut, and a single character
// gets a '-' after it. Empty stays empty. Applying it twice changes nothing more.
//
// The rule: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
func SessionName(s string) string {
	var b strings.Builder
	for _, r := range s {
		if b.Len() == maxSessionName {
			break
		}
		switch {
		case 'A' <= r && r <= 'Z', 'a' <= r && r <= 'z', '0' <= r && r <= '9', strings.ContainsRune("_+=,.@-", r):
			b.WriteByte(byte(r))
		default:
			b.WriteByte('-')
		}
	}
	if 0 < b.Len() && b.Len() < minSessionName {
		b.WriteByte('-')
	}
	return b.String()
}
