package awstest

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Role is one that can be assumed, with what its trust policy says.
type Role struct {
	ARN string
	// MaxDuration is the role's own limit; 0 means one hour, AWS's default.
	MaxDuration time.Duration
	// ExternalID is the one that the trust policy asks for; empty asks for none.
	ExternalID string
	// DenyTagSession and DenySetSourceIdentity are trust policies without sts:TagSession or sts:SetSourceIdentity.
	DenyTagSession, DenySetSourceIdentity bool
	// Trusts is the ARN that the trust policy names; empty trusts whoever is authenticated.
	Trusts string
}

// AssumeRoleRequest is a request that was granted.
type AssumeRoleRequest struct {
	Caller         string // ARN
	RoleARN        string
	SessionName    string
	Policy         string
	Duration       time.Duration
	ExternalID     string
	Tags           map[string]string
	Transitive     []string
	SourceIdentity string
}

const (
	maxPolicy     = 2048 // characters
	maxTags       = 50
	maxExternalID = 1224
	maxChained    = time.Hour
	minDuration   = 900
	maxDuration   = 43200
	defaultLength = 3600
)

var (
	sessionNamePattern = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
	externalIDPattern  = regexp.MustCompile(`^[\w+=,.@:/-]{2,}$`)
	roleARNPattern     = regexp.MustCompile(`^arn:aws[a-z-]*:iam::\d{12}:role/[\x21-\x7e]{1,1000}$`)
	policyPattern      = regexp.MustCompile(`^[\x{9}\x{A}\x{D}\x{20}-\x{FF}]+$`)
	tagKeyPattern      = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$`)
	tagValuePattern    = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$`)
)

// assumeRole judges in the order: the parameters, the trust policy, the durations, the packed size.
//
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
func (s *Server) assumeRole(caller principal, p url.Values, now time.Time) (string, *Refusal) {
	request, refusal := parseAssumeRole(p)
	if refusal != nil {
		return "", refusal
	}
	request.Caller = caller.arn
	if refusal := s.trust(caller, &request); refusal != nil {
		return "", refusal
	}
	packed := s.options.PackedSize(request)
	if packed > 100 {
		return "", refuse(http.StatusBadRequest, "PackedPolicyTooLarge",
			"Packed policy consumes "+strconv.Itoa(packed)+"% of allotted space, please use smaller policy.")
	}
	session, refusal := s.issue(request, now)
	if refusal != nil {
		return "", refusal
	}
	result := "<AssumedRoleUser>" + element(
		"Arn",
		session.ARN,
	) + element(
		"AssumedRoleId",
		"AROAEXAMPLE:"+request.SessionName,
	) +
		"</AssumedRoleUser><Credentials>" + element(
		"AccessKeyId",
		session.AccessKey,
	) + element(
		"SecretAccessKey",
		session.SecretKey,
	) +
		element(
			"SessionToken",
			session.SessionToken,
		) + element(
		"Expiration",
		session.Expiration.UTC().Format(time.RFC3339),
	) + "</Credentials>"
	if packed > 0 {
		result += element("PackedPolicySize", strconv.Itoa(packed))
	}
	if session.SourceIdentity != "" {
		result += element("SourceIdentity", session.SourceIdentity)
	}
	return result, nil
}

func parseAssumeRole(p url.Values) (AssumeRoleRequest, *Refusal) {
	r := AssumeRoleRequest{RoleARN: p.Get("RoleArn"), SessionName: p.Get("RoleSessionName"), Policy: p.Get("Policy"),
		ExternalID: p.Get("ExternalId"), SourceIdentity: p.Get("SourceIdentity")}
	seconds := defaultLength
	if text := p.Get("DurationSeconds"); text != "" {
		var err error
		if seconds, err = strconv.Atoi(text); err != nil || seconds < minDuration || seconds > maxDuration {
			return r, constraint("durationSeconds", "Member must have value between 900 and 43200")
		}
	}
	r.Duration = time.Duration(seconds) * time.Second
	switch {
	case !roleARNPattern.MatchString(r.RoleARN):
		return r, invalid(r.RoleARN + " is invalid")
	case !sessionNamePattern.MatchString(r.SessionName):
		return r, constraint("roleSessionName", `Member must satisfy regular expression pattern: [\w+=,.@-]*`)
	case r.ExternalID != "" && (len(r.ExternalID) > maxExternalID || !externalIDPattern.MatchString(r.ExternalID)):
		return r, constraint("externalId", `Member must satisfy regular expression pattern: [\w+=,.@:\/-]*`)
	case r.SourceIdentity != "" && !sessionNamePattern.MatchString(r.SourceIdentity):
		return r, constraint("sourceIdentity", `Member must satisfy regular expression pattern: [\w+=,.@-]*`)
	case utf8.RuneCountInString(r.Policy) > maxPolicy:
		return r, constraint("policy", "Member must have length less than or equal to 2048")
	case r.Policy != "" && !policyPattern.MatchString(r.Policy):
		return r, constraint(
			"policy",
			`Member must satisfy regular expression pattern: [\u0009\u000A\u000D\u0020-\u00FF]+`,
		)
	}
	var document struct {
		Version   string
		Statement json.RawMessage
	}
	if r.Policy != "" && (json.Unmarshal([]byte(r.Policy), &document) != nil || len(document.Statement) == 0) {
		return r, refuse(http.StatusBadRequest, "MalformedPolicyDocument", "This policy contains invalid Json")
	}
	return r, r.parseTags(p)
}

func constraint(name, words string) *Refusal {
	return invalid("1 validation error detected: Value at '" + name + "' failed to satisfy constraint: " + words)
}

func (r *AssumeRoleRequest) parseTags(p url.Values) *Refusal {
	r.Tags = map[string]string{}
	folded := map[string]bool{}
	for i := 1; p.Has("Tags.member." + strconv.Itoa(i) + ".Key"); i++ {
		member := "Tags.member." + strconv.Itoa(i)
		key, value := p.Get(member+".Key"), p.Get(member+".Value")
		switch {
		case i > maxTags:
			return constraint("tags", "Member must have length less than or equal to 50")
		case !tagKeyPattern.MatchString(key) || strings.HasPrefix(strings.ToLower(key), "aws:"):
			return constraint("tags."+strconv.Itoa(i)+".member.key", "Member must satisfy regular expression pattern")
		case !tagValuePattern.MatchString(value):
			return constraint("tags."+strconv.Itoa(i)+".member.value", "Member must satisfy regular expression pattern")
		case folded[strings.ToLower(key)]:
			return refuse(
				http.StatusBadRequest,
				"InvalidParameterValue",
				"Duplicate tag keys found. Please note that Tag keys are case insensitive.",
			)
		}
		folded[strings.ToLower(key)], r.Tags[key] = true, value
	}
	for i := 1; p.Has("TransitiveTagKeys.member." + strconv.Itoa(i)); i++ {
		key := p.Get("TransitiveTagKeys.member." + strconv.Itoa(i))
		if _, found := r.Tags[key]; !found {
			return refuse(
				http.StatusBadRequest,
				"InvalidParameterValue",
				"The specified transitive tag key must be included in the requested tags.",
			)
		}
		r.Transitive = append(r.Transitive, key)
	}
	return nil
}

// trust applies the role's trust policy and its limits. A chained session keeps its caller's source identity.
func (s *Server) trust(caller principal, r *AssumeRoleRequest) *Refusal {
	i := slices.IndexFunc(s.options.Roles, func(one Role) bool { return one.ARN == r.RoleARN })
	if i < 0 {
		return denied(caller.arn, "sts:AssumeRole", r.RoleARN)
	}
	role := s.options.Roles[i]
	identity := r.SourceIdentity
	if identity == "" {
		identity = caller.sourceIdentity
	}
	limit := role.MaxDuration
	if limit == 0 {
		limit = time.Hour
	}
	switch {
	case strings.HasSuffix(caller.arn, ":root"):
		return refuse(http.StatusForbidden, "AccessDenied", "Roles may not be assumed by root accounts.")
	case role.Trusts != "" && role.Trusts != caller.arn, role.ExternalID != "" && role.ExternalID != r.ExternalID:
		return denied(caller.arn, "sts:AssumeRole", r.RoleARN)
	case len(r.Tags) > 0 && role.DenyTagSession:
		return denied(caller.arn, "sts:TagSession", r.RoleARN)
	case identity != "" && role.DenySetSourceIdentity, caller.sourceIdentity != "" && identity != caller.sourceIdentity:
		return denied(caller.arn, "sts:SetSourceIdentity", r.RoleARN)
	case caller.isSession() && r.Duration > maxChained:
		return invalid(
			"The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
		)
	case r.Duration > limit:
		return invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	r.SourceIdentity = identity
	return nil
}

// issue makes the credentials, and knows them from then on.
func (s *Server) issue(r AssumeRoleRequest, now time.Time) (Session, *Refusal) {
	session := Session{AccessKey: "ASIA" + rand.Text()[:16], SecretKey: rand.Text(), SessionToken: rand.Text()}
	if s.options.HandOff != nil {
		var err error
		if session, err = s.options.HandOff(r); err != nil {
			var refusal *Refusal
			if errors.As(err, &refusal) {
				return Session{}, refusal
			}
			return Session{}, refuse(
				http.StatusInternalServerError,
				"InternalFailure",
				"Options.HandOff returned an error",
			)
		}
	}
	parts := strings.Split(r.RoleARN, ":")
	role := parts[5][strings.LastIndexByte(parts[5], '/')+1:]
	session.ARN = strings.Join(
		[]string{"arn", parts[1], "sts", "", parts[4], "assumed-role/" + role + "/" + r.SessionName},
		":",
	)
	session.SourceIdentity = r.SourceIdentity
	if session.Expiration.IsZero() {
		session.Expiration = now.Add(r.Duration).Truncate(time.Second)
	}
	s.AddSession(session)
	return session, nil
}

func countPacked(r AssumeRoleRequest) int {
	characters := len(r.Policy)
	for _, key := range slices.Sorted(maps.Keys(r.Tags)) {
		characters += len(key) + len(r.Tags[key])
	}
	return (characters*100 + maxPolicy - 1) / maxPolicy
}
