package awstest

import (
	"encoding/xml"
	"net/http"
	"strconv"
)

// Refusal is an error as a service sends it.
type Refusal struct {
	Status        int
	Code, Message string
}

// Error returns code and message.
func (r *Refusal) Error() string { return r.Code + ": " + r.Message }

func refuse(status int, code, message string) *Refusal { return &Refusal{status, code, message} }

func incomplete(message string) *Refusal {
	return refuse(http.StatusBadRequest, "IncompleteSignature", message)
}

func mismatch(message string) *Refusal {
	return refuse(http.StatusForbidden, "SignatureDoesNotMatch", message)
}

func invalidToken() *Refusal {
	return refuse(
		http.StatusForbidden,
		"InvalidClientTokenId",
		"The security token included in the request is invalid.",
	)
}

func expiredToken() *Refusal {
	return refuse(http.StatusForbidden, "ExpiredToken", "The security token included in the request is expired")
}

func denied(caller, action, resource string) *Refusal {
	return refuse(
		http.StatusForbidden,
		"AccessDenied",
		"User: "+caller+" is not authorized to perform: "+action+" on resource: "+resource,
	)
}

func invalid(message string) *Refusal {
	return refuse(http.StatusBadRequest, "ValidationError", message)
}

// reply is a response before it is sent, so that a request is on record when its client learns of it.
type reply struct {
	status int
	body   string
}

// reply puts the error into the form of the service.
func (r *Refusal) reply(service, requestID string) *reply {
	fault := element("Code", r.Code) + element("Message", r.Message)
	if service == serviceS3 {
		return &reply{r.Status, "<Error>" + fault + element("RequestId", requestID) + "</Error>"}
	}
	return &reply{
		r.Status,
		"<ErrorResponse><Error><Type>Sender</Type>" + fault + "</Error>" + element(
			"RequestId",
			requestID,
		) + "</ErrorResponse>",
	}
}

func element(name, text string) string {
	var escaped xmlText
	_ = xml.EscapeText(&escaped, []byte(text)) // it never fails on a buffer
	return "<" + name + ">" + string(escaped) + "</" + name + ">"
}

type xmlText []byte

func (t *xmlText) Write(p []byte) (int, error) {
	*t = append(*t, p...)
	return len(p), nil
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
