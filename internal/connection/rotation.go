package connection

import (
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

// Limits of rotations, in seconds.
const (
	minRotationPeriod = 7200
	// minRotationGrace is how long an SDK that has got a key may use it before it asks again.
	minRotationGrace     = 3600
	defaultRotationGrace = 7200
)

// Rotation returns how often the access key is replaced, 0 for only when asked to, and how long the key before still
// works then.
func (c *Connection) Rotation() (period, grace time.Duration) {
	period, grace = time.Duration(c.RotationPeriod)*time.Second, time.Duration(c.RotationGrace)*time.Second
	if grace == 0 {
		grace = defaultRotationGrace * time.Second
		if period > 0 {
			grace = min(grace, period/2)
		}
	}
	return period, grace
}

// NoteKey notes since when the connection has its access key: now, unless before had the same one.
func (c *Connection) NoteKey(before *Connection, now time.Time) {
	same := before != nil && before.AccessKey == c.AccessKey && before.SecretKey.Reveal() == c.SecretKey.Reveal()
	switch {
	case c.UsesRolesAnywhere():
		c.KeySince = 0
	case same && before.KeySince != 0:
		c.KeySince = before.KeySince
	default:
		c.KeySince = now.Unix()
	}
}

// LastRotation returns when the access key was written or rotated, and when it is to be rotated next; the latter is
// zero where only a request rotates it.
func (c *Connection) LastRotation() (last, next time.Time) {
	last = time.Unix(c.KeySince, 0).UTC()
	if period, _ := c.Rotation(); period > 0 {
		next = last.Add(period)
	}
	return last, next
}

// CanRotate reports whether an IAM is known that could replace the access key: AWS's, or the one of iam_endpoint.
func (c *Connection) CanRotate() bool {
	return !c.UsesRolesAnywhere() && (c.IAMEndpoint != "" || !c.OwnStore())
}

func checkRotation(problems *problem.List, c *Connection) {
	rotates := c.RotationPeriod != 0 && !problems.Has("rotation_period")
	if rotates && c.RotationPeriod < minRotationPeriod {
		problems.Add(
			"rotation_period",
			"%d s is less than %d s; 0 turns rotation off",
			c.RotationPeriod,
			minRotationPeriod,
		)
	}
	if rotates && !c.CanRotate() && !problems.Has("iam_endpoint") {
		problems.Add("iam_endpoint", "is required for rotation_period, because s3_endpoint is not AWS's; give the "+
			"address of the store's IAM API where it has one")
	}
	if c.RotationGrace == 0 || problems.Has("rotation_grace") {
		return
	}
	switch {
	case c.RotationGrace < minRotationGrace:
		problems.Add("rotation_grace", "%d s is less than %d s, for which SDKs may use a key that they have got; "+
			"an empty value restores the default", c.RotationGrace, minRotationGrace)
	case rotates && c.RotationGrace >= c.RotationPeriod:
		problems.Add("rotation_grace", "%d s is not less than rotation_period, %d s", c.RotationGrace, c.RotationPeriod)
	}
}
