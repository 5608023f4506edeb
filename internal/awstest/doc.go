// Package awstest is a stand-in for those parts of AWS that the plugin calls besides Roles Anywhere, for tests: STS
// (AssumeRole, GetCallerIdentity), IAM (a user's own access keys) and S3 (ListBuckets alone). One server is all three;
// the service is the one that the request is signed for.
//
// It verifies Signature Version 4 and every limit with code of its own, written from AWS's documents, and shares none
// with the plugin. Where AWS's documents say nothing, what it does is a choice that the option's comment states.
package awstest
