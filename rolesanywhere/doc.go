// Package rolesanywhere gets temporary AWS credentials from IAM Roles Anywhere: a workload outside
// AWS proves who it is with an X.509 certificate and its private key instead of an access key.
//
// An [Identity] is the certificate, its intermediates and the key: from PEM, from files that are renewed
// ([NewFileIdentity]), or with any crypto.Signer ([NewIdentity]). A [Client], made as the SDK's are, calls
// CreateSession with it, and a [CredentialsProvider] gives the result to every client of the AWS SDK for Go v2 and
// keeps live credentials in use through an outage. [Identity.SignHTTP] alone signs a request, for those who send their
// own.
//
// With [New] nothing comes from the environment; no package variable changes, the clock can be given, and every
// wait and every body is bounded. Private keys, passphrases and credentials never stand in an error,
// and identities and sessions print as redactions.
//
// The service: https://docs.aws.amazon.com/rolesanywhere/latest/userguide/introduction.html
package rolesanywhere
