// Package rolesanywheretest is a stand-in for IAM Roles Anywhere's CreateSession, as net/http/httptest
// is for HTTP. It verifies what the service verifies (the signature, the certificate, its chain to a
// trust anchor, the parameters) with code of its own, written from the service's documentation, and
// grants and refuses in the service's form. It counts, throttles, and fails on demand.
//
// An Authority makes the certificates; NewServer serves on loopback; a Service can be served by any
// http.Server. The package uses the standard library, and filippo.io/mldsa for ML-DSA, and can test any client, in
// any language.
//
// What is not public is chosen and may differ from the service: the order of the checks, the status and
// message of refusals other than those that users have reported, and how requests are counted
// against the quota. A refusal's exact rule is in Recorded.Reason; tests should rely on that, and on
// the HTTP status, rather than on the message.
//
// The protocol is documented at
// https://docs.aws.amazon.com/rolesanywhere/latest/userguide/authentication.html.
package rolesanywheretest
