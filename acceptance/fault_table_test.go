package acceptance

import (
	"time"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// upstreamFault is something to go wrong between the plugin and the service for faultLasts.
type upstreamFault struct {
	name       string
	fault      rolesanywheretest.Fault
	begin, end func(*faultCell) // in the place of fault
	says       string           // to cold readers
	slow       bool             // calls succeed all the same
	coldOnly   bool             // the fault is in the settings, which no warm connection survives
}

func upstreamFaults() []upstreamFault {
	refusal := func(status int, code, message string) rolesanywheretest.Fault {
		return rolesanywheretest.Fault{Status: status, Code: code, Message: message}
	}
	clock := func(ahead time.Duration) func(*faultCell) {
		return func(c *faultCell) { c.front.ahead.Store(int64(ahead)) }
	}
	nowhere := func(address string) func(*faultCell) {
		return func(c *faultCell) { c.rewrite(map[string]any{"rolesanywhere_endpoint": address}) }
	}
	back := func(c *faultCell) { c.rewrite(map[string]any{"rolesanywhere_endpoint": "https://" + c.front.address}) }
	const late = "did not answer within"
	return []upstreamFault{
		{name: "HTTP 400", fault: refusal(400, "ValidationException", "words of the service"),
			says: "ValidationException: words of the service"},
		{name: "HTTP 403", fault: refusal(403, "AccessDeniedException", "words of the service"),
			says: "AccessDeniedException: words of the service"},
		{name: "HTTP 404", fault: refusal(404, "ResourceNotFoundException", "words of the service"),
			says: "ResourceNotFoundException: words of the service"},
		{name: "HTTP 429", fault: refusal(429, "ThrottlingException", "Rate exceeded"),
			says: "ThrottlingException: Rate exceeded"},
		{name: "HTTP 500", fault: refusal(500, "InternalServerException", "words of the service"),
			says: "InternalServerException: words of the service"},
		{name: "HTTP 503", fault: refusal(503, "ServiceUnavailableException", "words of the service"),
			says: "ServiceUnavailableException: words of the service"},
		{name: "headers 3 s late", fault: rolesanywheretest.Fault{HeaderDelay: 3 * time.Second}, slow: true},
		{name: "headers 30 s late", fault: rolesanywheretest.Fault{HeaderDelay: 30 * time.Second}, says: late},
		{name: "body 3 s late", fault: rolesanywheretest.Fault{BodyDelay: 3 * time.Second}, slow: true},
		{name: "body 30 s late", fault: rolesanywheretest.Fault{BodyDelay: 30 * time.Second}, says: late},
		{name: "hang", fault: rolesanywheretest.Fault{Hang: true}, says: late},
		{name: "dropped connection", fault: rolesanywheretest.Fault{Drop: true}, says: "broke before it answered"},
		{name: "half a body", fault: rolesanywheretest.Fault{Body: []byte(`{"credentialSet":[{"credentials":{}}]}`),
			Truncate: true}, says: "CreateSession: "},
		{name: "garbage", fault: rolesanywheretest.Fault{Body: []byte("\x00\xff<html>garbage")},
			says: "CreateSession: "},
		{name: "empty credentialSet", fault: rolesanywheretest.Fault{EmptyCredentialSet: true}, says: "credentialSet"},
		{name: "64 MiB body", fault: rolesanywheretest.Fault{HugeBody: 64 << 20}, says: "CreateSession: "},
		{name: "expiration in the past", fault: rolesanywheretest.Fault{Expiration: time.Now().Add(-time.Hour)},
			says: "CreateSession: "},
		{name: "expiration missing", fault: rolesanywheretest.Fault{NoExpiration: true}, says: "expiration"},
		{name: "clock 10 min ahead", begin: clock(10 * time.Minute), end: clock(0),
			says: "clock and the service's differ by "},
		{name: "clock 10 min behind", begin: clock(-10 * time.Minute), end: clock(0),
			says: "clock and the service's differ by "},
		{name: "DNS failure", begin: nowhere("https://rolesanywhere.invalid"), end: back, says: "does not resolve",
			coldOnly: true},
		{name: "TLS of an unknown CA", begin: func(c *faultCell) { c.front.foreign.Store(true) },
			end: func(c *faultCell) { c.front.foreign.Store(false) }, says: "authority that is not trusted"},
		{name: "redirect", fault: rolesanywheretest.Fault{Redirect: "https://127.0.0.1:1/elsewhere"}, says: "redirect"},
		{name: "port closed", begin: func(c *faultCell) { c.front.close() },
			end: func(c *faultCell) { c.try(c.front.open()) }, says: "refused the connection"},
	}
}
