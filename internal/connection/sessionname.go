package connection

import "strings"

// Bounds of a role session name: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
const (
	minSessionName = 2
	maxSessionName = 64
)

// sentSessionName makes any text acceptable as a role session name: each character other than ASCII letters, digits
// and _+=,.@- becomes '-', what is over 64 characters is cut, and a single character gets a '-' after it. Empty
// stays empty. Applying it twice changes nothing more.
func sentSessionName(text string) string {
	var b strings.Builder
	for _, r := range text {
		if b.Len() == maxSessionName {
			break
		}
		switch {
		case 'A' <= r && r <= 'Z', 'a' <= r && r <= 'z', '0' <= r && r <= '9', strings.ContainsRune("_+=,.@-", r):
			b.WriteByte(byte(r))
		default:
			b.WriteByte('-')
		}
	}
	if 0 < b.Len() && b.Len() < minSessionName {
		b.WriteByte('-')
	}
	return b.String()
}
