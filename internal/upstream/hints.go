package upstream

import "strings"

// hint is what to change after a refusal. Its first three fields choose it: an empty one accepts anything, and the
// message accepts what contains it.
type hint struct{ operation, code, message, text string }

func hints() []hint {
	return []hint{
		{"CreateSession", "", "Untrusted signing certificate",
			"the trust anchor does not hold the CA that issued the certificate, or intermediates are missing in " +
				"certificate"},
		{"CreateSession", "", "Insufficient certificate", "the certificate needs the key usage digitalSignature"},
		{"CreateSession", "", "Not authorized to set roleSessionName",
			"set send_session_name=false, or let the profile accept a custom role session name"},
		{"CreateSession", "", "Unable to assume role",
			"the role's trust policy has to allow sts:AssumeRole, sts:TagSession and sts:SetSourceIdentity " +
				"to rolesanywhere.amazonaws.com, and the profile has to list the role"},
		{"AssumeRole", "PackedPolicyTooLarge", "",
			"AWS packs the session policy and the tags together; shorten prefixes, tags and names, or split the scope"},
		{"AssumeRole", "MalformedPolicyDocument", "", "STS does not understand the scope's policy"},
		{"AssumeRole", "AccessDenied", "sts:TagSession",
			"the role's trust policy has to allow sts:TagSession to the caller, because the scope has session_tags"},
		{"AssumeRole", "AccessDenied", "sts:SetSourceIdentity",
			"the role's trust policy has to allow sts:SetSourceIdentity to the caller; sessions of Roles Anywhere " +
				"always have a source identity"},
		{"AssumeRole", "AccessDenied", "", "the role's trust policy has to allow sts:AssumeRole to the caller, with " +
			"the scope's external_id where it asks for one, and so have the caller's own policies where the role is " +
			"of another account; a store may also refuse temporary credentials as the caller"},
		{"AssumeRole", "", "role chaining", "lower the scope's duration to 3600 s or less"},
		{"AssumeRole", "RegionDisabledException", "",
			"activate STS for the region in the account's settings, or name another address in sts_endpoint"},
		{"AssumeRole", "InvalidClientTokenId", "", "STS does not know the access key"},
		{"", "AccessDenied", "iam:", "the user's policies have to allow iam:CreateAccessKey, iam:ListAccessKeys, " +
			"iam:UpdateAccessKey and iam:DeleteAccessKey on the user itself"},
		{
			"CreateAccessKey",
			"LimitExceeded",
			"",
			"AWS allows two access keys for a user; delete the one that nobody uses",
		},
		{"CreateAccessKey", "NoSuchEntity", "", "the IAM user of the access key is gone; write a key of another user"},
		{"ListAccessKeys", "NoSuchEntity", "", "the IAM user of the access key is gone; write a key of another user"},
		{"ListAccessKeys", "InvalidClientTokenId", "", "IAM does not know the access key; write one that works"},
		{"ListAccessKeys", "NotImplemented", "", noIAM},
		{"ListAccessKeys", "MethodNotAllowed", "", noIAM},
		{"ListAccessKeys", "InvalidAction", "", noIAM},
		{"", "", "MaxSessionDuration", "lower duration, or raise the role's maximum session duration"},
		{"", "InvalidAccessKeyId", "", "the store does not know the access key"},
		{"", "SignatureDoesNotMatch", "", "the secret key or s3_region is not the right one"},
		{"", "InvalidTokenId", "", "the store does not accept the session token"},
		{"", "AuthorizationHeaderMalformed", "", "s3_region is not the store's region"},
		{"", "RequestTimeTooSkewed", "", "this host's clock and the store's differ by too much"},
		{"ListBuckets", "AccessDenied", "", "the credentials need s3:ListAllMyBuckets for the test"},
	}
}

const noIAM = "iam_endpoint is not an IAM that manages access keys; AWS and Ceph's object gateway have one, " +
	"MinIO and Garage have none"

func hintFor(operation, code, message string) string {
	if code == "" && message == "" {
		if operation == "ListBuckets" {
			return "is this the address of the S3 API?"
		}
		return "is this the address of the service?"
	}
	for _, one := range hints() {
		if (one.operation == "" || one.operation == operation) && (one.code == "" || one.code == code) &&
			strings.Contains(message, one.message) {
			return one.text
		}
	}
	return ""
}
