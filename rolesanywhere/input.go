package rolesanywhere

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

// Session durations of CreateSession:
// https://docs.aws.amazon.com/rolesanywhere/latest/userguide/authentication-create-session.html
const (
	minDuration     = 15 * time.Minute
	maxDuration     = 12 * time.Hour
	defaultDuration = time.Hour
)

// The rule for role session names: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
const (
	minSessionName = 2
	maxSessionName = 64
)

// Bounds of https://docs.aws.amazon.com/rolesanywhere/latest/APIReference/API_InstanceProperty.html
const (
	maxInstanceProperties = 50
	maxInstanceProperty   = 200 // characters of a name and of a value
)

// CreateSessionInput says which role to assume, through which profile and trust anchor. All three ARNs must be of one
// partition, and profile and trust anchor of the client's region.
type CreateSessionInput struct {
	ProfileARN     string // required: arn:aws:rolesanywhere:REGION:ACCOUNT:profile/ID
	RoleARN        string // required: arn:aws:iam::ACCOUNT:role/NAME
	TrustAnchorARN string // required: arn:aws:rolesanywhere:REGION:ACCOUNT:trust-anchor/ID
	// RoleSessionName is 2 to 64 of ASCII letters, digits and _+=,.@-; anything else is an error, since the name
	// stands in policies and in CloudTrail. Empty sends none, which is what a profile needs that does not accept one
	// ("Not authorized to set roleSessionName"); the session then has the certificate's serial number for a name.
	RoleSessionName string
	// Duration is 900 s to 43200 s in whole seconds (a fraction is dropped); 0 means 3600 s. A profile
	// may shorten it in silence: only the credentials' Expires says when they end.
	Duration time.Duration
	// InstanceProperties describe the machine that asks; the service shows them with the certificate's subject. At
	// most 50, with names and values of 1 to 200 characters.
	InstanceProperties map[string]string
}

// requestBody is the JSON that CreateSession takes.
type requestBody struct {
	DurationSeconds    int64             `json:"durationSeconds"`
	InstanceProperties map[string]string `json:"instanceProperties,omitempty"`
	ProfileARN         string            `json:"profileArn"`
	RoleARN            string            `json:"roleArn"`
	RoleSessionName    string            `json:"roleSessionName,omitempty"`
	TrustAnchorARN     string            `json:"trustAnchorArn"`
}

// check judges everything that would be sent, and returns the region of the trust anchor. region is the client's,
// which may be empty.
func (in CreateSessionInput) check(region string) (string, error) {
	anchor, err := parseARN("TrustAnchorARN", in.TrustAnchorARN, "rolesanywhere", "trust-anchor")
	if err != nil {
		return "", err
	}
	profile, err := parseARN("ProfileARN", in.ProfileARN, "rolesanywhere", "profile")
	if err != nil {
		return "", err
	}
	role, err := parseARN("RoleARN", in.RoleARN, "iam", "role")
	switch {
	case err != nil:
		return "", err
	case region != "" && anchor.Region != region:
		return "", fmt.Errorf(
			"%w: TrustAnchorARN is of region %q and the client of %q; want one region",
			ErrInvalidInput,
			anchor.Region,
			region,
		)
	case profile.Region != anchor.Region:
		return "", fmt.Errorf(
			"%w: ProfileARN is of region %q and TrustAnchorARN of %q; want one region",
			ErrInvalidInput,
			profile.Region,
			anchor.Region,
		)
	case profile.Partition != anchor.Partition || role.Partition != anchor.Partition:
		return "", fmt.Errorf(
			"%w: TrustAnchorARN, ProfileARN and RoleARN are of partitions %q, %q and %q; want one partition",
			ErrInvalidInput,
			anchor.Partition,
			profile.Partition,
			role.Partition,
		)
	}
	return anchor.Region, in.checkRest()
}

// parseARN refuses another kind of resource, above all one that stands in a field beside its own.
func parseARN(field, value, service, kind string) (arn.ARN, error) {
	want := "arn:aws:" + service + ":REGION:ACCOUNT:" + kind + "/ID"
	if service == "iam" {
		want = "arn:aws:iam::ACCOUNT:role/NAME"
	}
	a, err := arn.Parse(value)
	if err != nil {
		return arn.ARN{}, fmt.Errorf("%w: %s is %.200q; want an ARN (%s)", ErrInvalidInput, field, value, want)
	}
	name, isKind := strings.CutPrefix(a.Resource, kind+"/")
	if a.Service != service || !isKind || name == "" {
		return arn.ARN{}, fmt.Errorf(
			"%w: %s is %.200q, of another kind of resource; want %s",
			ErrInvalidInput,
			field,
			value,
			want,
		)
	}
	if (a.Region == "") != (service == "iam") || len(a.AccountID) != 12 ||
		strings.Trim(a.AccountID, "0123456789") != "" {
		return arn.ARN{}, fmt.Errorf(
			"%w: %s is %.200q; want %s, with an account of 12 digits",
			ErrInvalidInput,
			field,
			value,
			want,
		)
	}
	return a, nil
}

func (in CreateSessionInput) checkRest() error {
	if in.Duration != 0 && (in.Duration < minDuration || in.Duration > maxDuration) {
		return fmt.Errorf("%w: Duration is %s; want %s to %s", ErrInvalidInput, in.Duration, minDuration, maxDuration)
	}
	if name := in.RoleSessionName; name != "" && (len(name) < minSessionName || len(name) > maxSessionName ||
		strings.ContainsFunc(name, func(r rune) bool { return !isSessionNameRune(r) })) {
		return fmt.Errorf("%w: RoleSessionName is %.200q; want %d to %d of ASCII letters, digits and _+=,.@-",
			ErrInvalidInput, name, minSessionName, maxSessionName)
	}
	if n := len(in.InstanceProperties); n > maxInstanceProperties {
		return fmt.Errorf("%w: InstanceProperties are %d; want at most %d", ErrInvalidInput, n, maxInstanceProperties)
	}
	for name, value := range in.InstanceProperties {
		for _, text := range []string{name, value} {
			if n := utf8.RuneCountInString(text); n < 1 || n > maxInstanceProperty || !utf8.ValidString(text) {
				return fmt.Errorf(
					"%w: InstanceProperties has the name %.200q; want names and values of 1 to %d characters in UTF-8",
					ErrInvalidInput,
					name,
					maxInstanceProperty,
				)
			}
		}
	}
	return nil
}

func (in CreateSessionInput) encode() ([]byte, error) {
	if in.Duration == 0 {
		in.Duration = defaultDuration
	}
	return json.Marshal(requestBody{
		DurationSeconds:    int64(in.Duration / time.Second),
		InstanceProperties: in.InstanceProperties,
		ProfileARN:         in.ProfileARN,
		RoleARN:            in.RoleARN,
		RoleSessionName:    in.RoleSessionName,
		TrustAnchorARN:     in.TrustAnchorARN,
	})
}

func isSessionNameRune(r rune) bool {
	return 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || strings.ContainsRune("_+=,.@-", r)
}
