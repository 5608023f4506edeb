package awscall

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Refusal is a service's response that says why it did not do what was asked. Its fields are what the service sent and
// are neither shortened nor cleaned here.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
// https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
type Refusal struct {
	Service string // "s3", "sts" or "iam"
	Status  int    // HTTP
	Code    string // empty where the response is not an error of the service, such as another server's page
	Message string
	ID      string // the request's, for AWS's support
}

// Error returns code, message and status alone.
func (e *Refusal) Error() string {
	if e.Code == "" {
		return fmt.Sprintf("HTTP %d without an error of the service in it", e.Status)
	}
	return fmt.Sprintf("%s: %s (HTTP %d)", e.Code, e.Message, e.Status)
}

// HTTPStatus returns the response's status.
func (e *Refusal) HTTPStatus() int { return e.Status }

// ErrorCode returns the service's code, or "" where the response has none.
func (e *Refusal) ErrorCode() string { return e.Code }

// ErrorMessage returns the service's words.
func (e *Refusal) ErrorMessage() string { return e.Message }

// RequestID returns the service's name for the request, or "".
func (e *Refusal) RequestID() string { return e.ID }

// MalformedResponse is a successful response that is not the operation's: most often another server is at the address.
// Problem is in words of this package alone.
type MalformedResponse struct {
	Service string
	Status  int
	Problem string
}

// Error says what the response is not, and why.
func (e *MalformedResponse) Error() string {
	api := map[string]string{serviceS3: "S3", serviceSTS: "STS", serviceIAM: "IAM"}[e.Service]
	return fmt.Sprintf("the response is not one of %s: %s; is this the address of the %s API?", api, e.Problem, api)
}

// MalformedResponse marks the error for packages that describe errors without importing this one.
func (e *MalformedResponse) MalformedResponse() {}

// IsAccessDenied says whether err is a service's refusal for want of a permission. A response to HEAD has a status
// alone.
func IsAccessDenied(err error) bool {
	var refusal *Refusal
	return errors.As(err, &refusal) && refusal.Status == http.StatusForbidden &&
		(refusal.Code == "AccessDenied" || refusal.Code == codeHeadForbidden)
}

// IsNotFound says whether err is S3's word that an object or a bucket does not exist, which it has only for those who
// may know.
func IsNotFound(err error) bool {
	var refusal *Refusal
	return errors.As(err, &refusal) && refusal.Status == http.StatusNotFound && refusal.Code != ""
}

const (
	// S3 sends no body, and so no code, with an error that responds to HEAD. These are the SDK's names for them.
	codeHeadForbidden = "Forbidden"
	codeHeadNotFound  = "NotFound"
)

// readRefusal reads an error in either of AWS's XML forms: S3's <Error> and the query protocol's <ErrorResponse>.
func readRefusal(service string, response *http.Response, body io.Reader) error {
	refusal := &Refusal{Service: service, Status: response.StatusCode}
	root, err := walkXML(body, func(path, text string) error {
		switch path {
		case "Error/Code", "ErrorResponse/Error/Code":
			refusal.Code = strings.TrimSpace(text)
		case "Error/Message", "ErrorResponse/Error/Message":
			refusal.Message = strings.TrimSpace(text)
		case "Error/RequestId", "ErrorResponse/RequestId", "ErrorResponse/RequestID":
			refusal.ID = strings.TrimSpace(text)
		}
		return nil
	})
	if err != nil || (root != "Error" && root != "ErrorResponse") || refusal.Code == "" {
		refusal.Code, refusal.Message, refusal.ID = "", "", ""
	}
	if refusal.Code == "" && response.Request != nil && response.Request.Method == http.MethodHead {
		refusal.Code = headCode(response.StatusCode)
	}
	if refusal.Code == "" {
		return refusal
	}
	for _, name := range []string{"X-Amz-Request-Id", "X-Amzn-Requestid"} {
		if refusal.ID == "" {
			refusal.ID = response.Header.Get(name)
		}
	}
	return refusal
}

func headCode(status int) string {
	switch status {
	case http.StatusForbidden:
		return codeHeadForbidden
	case http.StatusNotFound:
		return codeHeadNotFound
	}
	return ""
}
