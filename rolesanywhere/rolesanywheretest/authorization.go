package rolesanywheretest

import (
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	algorithmRSA   = "AWS4-X509-RSA-SHA256"
	algorithmECDSA = "AWS4-X509-ECDSA-SHA256"
	algorithmMLDSA = "AWS4-X509-MLDSA"

	amzDateLayout = "20060102T150405Z"
)

// authorization is the parsed Authorization header, with the X-Amz-Date that belongs to it.
type authorization struct {
	algorithm, serial, date, region string
	amzDate                         string
	signedHeaders                   []string
	signature                       []byte
}

func (a authorization) scope() string {
	return a.date + "/" + a.region + "/rolesanywhere/aws4_request"
}

// parseAuthorization accepts the two spellings that AWS documents and its own clients send: the fields stand in one
// order, with a comma between them or a comma and a space.
func parseAuthorization(r *http.Request) (authorization, *Error) {
	var a authorization
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		text := "Missing Authentication Token"
		return a, &Error{
			Status:  http.StatusForbidden,
			Code:    "MissingAuthenticationTokenException",
			Message: text,
			reason:  text,
		}
	}
	if len(values) > 1 {
		return a, incomplete("Authorization is sent more than once")
	}
	algorithm, rest, _ := strings.Cut(values[0], " ")
	if algorithm != algorithmRSA && algorithm != algorithmECDSA && algorithm != algorithmMLDSA {
		return a, incomplete("Unsupported algorithm: use %s, %s or %s", algorithmRSA, algorithmECDSA, algorithmMLDSA)
	}
	parts := strings.Split(rest, ",")
	if len(parts) != 3 {
		return a, incomplete("Authorization header requires Credential, SignedHeaders and Signature, in this order")
	}
	fields := make([]string, len(parts))
	for i, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		part := parts[i]
		if i > 0 {
			part = strings.TrimPrefix(part, " ")
		}
		value, ok := strings.CutPrefix(part, name+"=")
		if !ok || value == "" {
			return a, incomplete("Authorization header requires %s", name)
		}
		fields[i] = value
	}
	a.algorithm = algorithm
	for _, parse := range []func() *Error{
		func() *Error { return a.parseCredential(fields[0]) },
		func() *Error { return a.parseSignedHeaders(fields[1], r) },
		func() *Error { return a.parseSignature(fields[2]) },
	} {
		if refusal := parse(); refusal != nil {
			return authorization{}, refusal
		}
	}
	return a, nil
}

func (a *authorization) parseCredential(value string) *Error {
	parts := strings.Split(value, "/")
	if len(parts) != 5 || parts[3] != "rolesanywhere" || parts[4] != "aws4_request" {
		return incomplete("Credential must be serial/date/region/rolesanywhere/aws4_request")
	}
	if !isDecimal(parts[0]) || (len(parts[0]) > 1 && parts[0][0] == '0') {
		return incomplete("Credential must begin with the certificate's serial number in decimal")
	}
	if !isDecimal(parts[1]) || len(parts[1]) != 8 {
		return incomplete("Credential's date must be yyyymmdd")
	}
	a.serial, a.date, a.region = parts[0], parts[1], parts[2]
	return nil
}

// parseSignedHeaders requires every header that carries authority to be signed, as SigV4 does for
// host and x-amz-*: an unsigned one could be exchanged on the way.
func (a *authorization) parseSignedHeaders(value string, r *http.Request) *Error {
	names := strings.Split(value, ";")
	for i, name := range names {
		if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return incomplete("SignedHeaders must be lower-case names separated by semicolons")
		}
		if i > 0 && names[i-1] >= name {
			return incomplete("SignedHeaders must be sorted and name each header once")
		}
		if len(headerValues(r, name)) == 0 {
			return invalidSignature("SignedHeaders names %s, which was not sent", name)
		}
	}
	required := []string{"host", "x-amz-date", "x-amz-x509"}
	for name := range r.Header {
		lower := strings.ToLower(name)
		if lower == "content-type" || strings.HasPrefix(lower, "x-amz-") {
			required = append(required, lower)
		}
	}
	slices.Sort(required)
	for _, name := range required {
		if !slices.Contains(names, name) {
			return invalidSignature("%s must be a signed header", name)
		}
	}
	a.signedHeaders = names
	return nil
}

func (a *authorization) parseSignature(value string) *Error {
	signature, err := hex.DecodeString(value)
	if err != nil || hex.EncodeToString(signature) != value {
		return incomplete("Signature must be lower-case hexadecimal")
	}
	a.signature = signature
	return nil
}

// checkScope compares the credential's region and date with the service's and with X-Amz-Date.
func (a *authorization) checkScope(r *http.Request, region string, now time.Time, maxSkew time.Duration) *Error {
	values := r.Header.Values("X-Amz-Date")
	if len(values) != 1 {
		return incomplete("X-Amz-Date must be sent once")
	}
	sent, err := time.Parse(amzDateLayout, values[0])
	// time.Parse also takes fractions of a second that the layout does not have.
	if err != nil || sent.Format(amzDateLayout) != values[0] {
		return incomplete("X-Amz-Date must be in ISO 8601 basic format, yyyymmddThhmmssZ")
	}
	a.amzDate = values[0]
	if a.date != sent.Format("20060102") {
		return invalidSignature(
			"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP",
		)
	}
	if a.region != region {
		return invalidSignature("Credential should be scoped to a valid region, not '%s'", a.region)
	}
	now = now.UTC()
	if sent.Before(now.Add(-maxSkew)) {
		return invalidSignature(
			"Signature expired: %s is now earlier than %s",
			a.amzDate,
			now.Add(-maxSkew).Format(amzDateLayout),
		)
	}
	if sent.After(now.Add(maxSkew)) {
		return invalidSignature(
			"Signature not yet current: %s is still later than %s",
			a.amzDate,
			now.Add(maxSkew).Format(amzDateLayout),
		)
	}
	return nil
}

func isDecimal(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
