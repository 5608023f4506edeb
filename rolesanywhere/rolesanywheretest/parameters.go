package rolesanywheretest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	sessionsPath = "/sessions"
	maxBodyBytes = 64 << 10

	minDurationSeconds = 900
	maxDurationSeconds = 43200

	maxProperties     = 50
	maxPropertyLength = 200
)

var (
	anchorPattern = regexp.MustCompile(
		`^arn:(aws(?:-[a-z]+)*):rolesanywhere:([a-z0-9-]+):([0-9]{12}):trust-anchor/[A-Za-z0-9-]+$`,
	)
	profilePattern = regexp.MustCompile(
		`^arn:(aws(?:-[a-z]+)*):rolesanywhere:([a-z0-9-]+):([0-9]{12}):profile/[A-Za-z0-9-]+$`,
	)
	rolePattern = regexp.MustCompile(
		`^arn:(aws(?:-[a-z]+)*):iam:():([0-9]{12}):role/(?:[\x21-\x7e]+/)?[A-Za-z0-9_+=,.@-]{1,64}$`,
	)

	// As for sts:AssumeRole's RoleSessionName,
	// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html.
	sessionNamePattern = regexp.MustCompile(`^[A-Za-z0-9_+=,.@-]{2,64}$`)
)

// parameters are CreateSession's, as they stand in the request.
type parameters struct {
	profileARN, roleARN, trustAnchorARN, roleSessionName string
	durationSeconds                                      int // 0: not sent
	instanceProperties                                   map[string]string
	query                                                []queryPair
}

// account is the profile's, of parameters that were checked: quotas count by it.
func (p parameters) account() string { return strings.Split(p.profileARN, ":")[4] }

func (p parameters) partition() string { return strings.Split(p.profileARN, ":")[1] }

// checkRoute refuses everything that is not CreateSession's method, path and content type.
func checkRoute(r *http.Request) *Error {
	// The escaped path is compared so that another spelling of it cannot pass unsigned.
	if r.Method != http.MethodPost || r.URL.EscapedPath() != sessionsPath {
		text := "no operation at this method and path: CreateSession is POST " + sessionsPath
		return &Error{Status: http.StatusNotFound, Code: "UnknownOperationException", Message: text, reason: text}
	}
	values := r.Header.Values("Content-Type")
	mediaType := ""
	if len(values) == 1 {
		mediaType, _, _ = mime.ParseMediaType(values[0])
	}
	if mediaType != "application/json" {
		text := "Content-Type must be application/json, once"
		return &Error{
			Status:  http.StatusUnsupportedMediaType,
			Code:    "UnsupportedMediaTypeException",
			Message: text,
			reason:  text,
		}
	}
	return nil
}

// readBody reads at most maxBodyBytes.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, *Error) {
	if r.Body == nil {
		return nil, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		text := "the body is larger than 65536 bytes"
		return nil, &Error{
			Status:  http.StatusRequestEntityTooLarge,
			Code:    "RequestEntityTooLargeException",
			Message: text,
			reason:  text,
		}
	case err != nil:
		return nil, malformed("the body ended early")
	}
	return body, nil
}

// parseParameters takes the parameters from the body and the three ARNs also from the query string,
// where AWS's credential helper puts them. A parameter that says one thing here and another there is refused.
func parseParameters(rawQuery string, body []byte) (parameters, *Error) {
	var p parameters
	members, refusal := parseMembers(body)
	if refusal != nil {
		return p, refusal
	}
	query, err := parseQuery(rawQuery)
	if err != nil {
		return p, malformed("the query string is not percent-encoded: %v", err)
	}
	for _, field := range []struct {
		name    string
		to      *string
		inQuery bool
	}{
		{"profileArn", &p.profileARN, true},
		{"roleArn", &p.roleARN, true},
		{"trustAnchorArn", &p.trustAnchorARN, true},
		{"roleSessionName", &p.roleSessionName, false},
	} {
		value, sent, refusal := stringMember(members, field.name)
		if refusal != nil {
			return parameters{}, refusal
		}
		for _, pair := range query {
			if !field.inQuery || pair.name != field.name {
				continue
			}
			if sent && value != pair.value {
				return parameters{}, invalid("%s is given twice, with different values", field.name)
			}
			value, sent = pair.value, true
		}
		if sent && value == "" {
			return parameters{}, invalid("%s must not be empty", field.name)
		}
		*field.to = value
	}
	p.query = query
	if p.durationSeconds, refusal = durationMember(members); refusal != nil {
		return parameters{}, refusal
	}
	if p.instanceProperties, refusal = propertiesMember(members); refusal != nil {
		return parameters{}, refusal
	}
	return p, nil
}

// parseMembers keeps the raw members because encoding/json matches struct fields without regard to
// case, and the service does not: a client that sends profileARN must fail here too.
func parseMembers(body []byte) (map[string]json.RawMessage, *Error) {
	if !utf8.Valid(body) {
		return nil, malformed("the body is not UTF-8")
	}
	var members map[string]json.RawMessage
	decoder := json.NewDecoder(bytes.NewReader(body))
	if err := decoder.Decode(&members); err != nil || members == nil {
		return nil, malformed("the body is not a JSON object")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, malformed("the body goes on after its JSON object")
	}
	return members, nil
}

func stringMember(members map[string]json.RawMessage, name string) (string, bool, *Error) {
	raw, ok := members[name]
	if !ok || string(raw) == "null" {
		return "", false, nil
	}
	var value string
	if err := json.Unmarshal(raw, &value); err != nil {
		return "", false, malformed("%s must be a string", name)
	}
	return value, true, nil
}

func durationMember(members map[string]json.RawMessage) (int, *Error) {
	raw, ok := members["durationSeconds"]
	if !ok || string(raw) == "null" {
		return 0, nil
	}
	seconds, err := strconv.Atoi(string(raw))
	if err != nil {
		return 0, malformed("durationSeconds must be a whole number")
	}
	if seconds < minDurationSeconds || seconds > maxDurationSeconds {
		return 0, invalid("durationSeconds must be %d to %d", minDurationSeconds, maxDurationSeconds)
	}
	return seconds, nil
}

// propertiesMember has the limits of
// https://docs.aws.amazon.com/rolesanywhere/latest/APIReference/API_InstanceProperty.html.
func propertiesMember(members map[string]json.RawMessage) (map[string]string, *Error) {
	raw, ok := members["instanceProperties"]
	if !ok || string(raw) == "null" {
		return nil, nil
	}
	var properties map[string]*string
	if err := json.Unmarshal(raw, &properties); err != nil {
		return nil, malformed("instanceProperties must be an object of strings")
	}
	if len(properties) > maxProperties {
		return nil, invalid("instanceProperties must have at most %d members", maxProperties)
	}
	sent := make(map[string]string, len(properties))
	for key, value := range properties {
		if value == nil {
			return nil, malformed("instanceProperties must be an object of strings")
		}
		for _, text := range []string{key, *value} {
			if n := utf8.RuneCountInString(text); n < 1 || n > maxPropertyLength {
				return nil, invalid(
					"instanceProperties' names and values must have 1 to %d characters",
					maxPropertyLength,
				)
			}
		}
		sent[key] = *value
	}
	return sent, nil
}

// check applies the rules that need no state: shapes, and that the resources belong together.
func (p parameters) check(region string) *Error {
	var partition, account string
	for _, field := range []struct {
		name, value string
		pattern     *regexp.Regexp
		regional    bool
	}{
		{"profileArn", p.profileARN, profilePattern, true},
		{"trustAnchorArn", p.trustAnchorARN, anchorPattern, true},
		{"roleArn", p.roleARN, rolePattern, false},
	} {
		if field.value == "" {
			return invalid("%s is required", field.name)
		}
		m := field.pattern.FindStringSubmatch(field.value)
		switch {
		case m == nil:
			return invalid("%s is not such a resource's ARN", field.name)
		case field.regional && m[2] != region:
			return notFound("%s is of region %s, this is %s", field.name, m[2], region)
		case partition != "" && (m[1] != partition || m[3] != account):
			return accessDenied(
				"Unable to assume role for "+p.roleARN,
				"%s is of another partition or account than profileArn",
				field.name,
			)
		}
		partition, account = m[1], m[3]
	}
	if p.roleSessionName != "" && !sessionNamePattern.MatchString(p.roleSessionName) {
		return invalid("roleSessionName must match [\\w+=,.@-]{2,64}")
	}
	return nil
}

func (p parameters) duration() time.Duration {
	return time.Duration(p.durationSeconds) * time.Second
}
