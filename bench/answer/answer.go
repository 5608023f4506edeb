// Package answer holds what all sides of the benchmark answer with, so that none has less to carry: credentials of the
// sizes that AWS issues.
package answer

import (
	"strings"
	"time"
)

const (
	Account        = "123456789012"
	Region         = "us-east-1"
	RoleARN        = "arn:aws:iam::" + Account + ":role/orders"
	ProfileARN     = "arn:aws:rolesanywhere:" + Region + ":" + Account + ":profile/11111111-2222-3333-4444-555555555555"
	TrustAnchorARN = "arn:aws:rolesanywhere:" + Region + ":" + Account +
		":trust-anchor/66666666-7777-8888-9999-aaaaaaaaaaaa"
	SessionName    = "orders-api"
	AssumedRoleARN = "arn:aws:sts::" + Account + ":assumed-role/orders/" + SessionName

	AccessKeyID     = "ASIAIOSFODNN7EXAMPLE"
	SecretAccessKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

	// Lifetime is longer than any run of the benchmark, so that no session is renewed under load.
	Lifetime = time.Hour
)

// SessionToken returns a token of 912 characters. AWS does not state a length, and says that it varies; tokens of
// AssumeRole are of this order.
//
// https://docs.aws.amazon.com/STS/latest/APIReference/API_Credentials.html
func SessionToken() string { return strings.Repeat("IQoJb3JpZ2luX2VjEXAMPLE/", 38) }
