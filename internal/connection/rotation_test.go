package connection

import (
	"strings"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

func TestRotation_GraceHasADefaultThatFitsThePeriod(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ period, grace, want int64 }{
		{0, 0, 7200}, {0, 3600, 3600}, {7200, 0, 3600}, {10000, 0, 5000}, {86400, 0, 7200}, {86400, 43200, 43200},
	} {
		c := Connection{Settings: Settings{RotationPeriod: row.period, RotationGrace: row.grace}}
		period, grace := c.Rotation()
		if period != time.Duration(row.period)*time.Second || grace != time.Duration(row.want)*time.Second {
			t.Errorf(
				"period %d, grace %d: %s, %s; want a grace of %d s",
				row.period,
				row.grace,
				period,
				grace,
				row.want,
			)
		}
	}
}

func TestValidate_RotationHasLimitsAndNeedsAnIAM(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		change func(c *Connection)
		says   string // empty: nothing is wrong
	}{
		{"off", func(*Connection) {}, ""},
		{"the shortest", func(c *Connection) { c.RotationPeriod = 7200 }, ""},
		{"too often", func(c *Connection) { c.RotationPeriod = 7199 }, "rotation_period: 7199 s is less than 7200 s"},
		{"a short grace", func(c *Connection) { c.RotationGrace = 3599 }, "rotation_grace: 3599 s is less than 3600 s"},
		{"a long grace", func(c *Connection) { c.RotationPeriod, c.RotationGrace = 7200, 7200 },
			"rotation_grace: 7200 s is not less than rotation_period, 7200 s"},
		{"a long grace without a period", func(c *Connection) { c.RotationGrace = 86400 }, ""},
		{"a store", func(c *Connection) { c.RotationPeriod, c.S3Endpoint = 7200, "https://minio.example" },
			"iam_endpoint: is required for rotation_period"},
		{"a store with an IAM", func(c *Connection) {
			c.RotationPeriod, c.S3Endpoint, c.IAMEndpoint = 7200, "https://ceph.example", "https://ceph.example"
		}, ""},
		{"an address that is none", func(c *Connection) { c.IAMEndpoint = "iam.amazonaws.com" },
			"iam_endpoint: is not an http(s) address"},
		{"plain http", func(c *Connection) { c.IAMEndpoint = "http://iam.example" }, "iam_endpoint: "},
		{"plain http, which is for stores", func(c *Connection) {
			c.IAMEndpoint, c.S3AllowHTTP = "http://iam.example", true
		}, "iam_endpoint: "},
	} {
		c := New()
		c.AccessKey, c.SecretKey = "AKIA", fullConnection().SecretKey
		row.change(&c)
		problems := &problem.List{}
		c.Validate(time.Now(), problems)
		err := problems.Err("checking", "")
		if (err == nil) != (row.says == "") || err != nil && !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: %v, want %q", row.name, err, row.says)
		}
	}
}

func TestNoteKey_CountsFromTheWriteOfTheKey(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	key := func(id string, since int64) *Connection {
		return &Connection{Settings: Settings{AccessKey: id, KeySince: since, RotationPeriod: 7200}}
	}
	for _, row := range []struct {
		name   string
		before *Connection
		id     string
		want   int64
	}{
		{"new", nil, "A", now.Unix()},
		{"unchanged", key("A", 1), "A", 1},
		{"unchanged, of version 0.1.0", key("A", 0), "A", now.Unix()},
		{"another key", key("B", 1), "A", now.Unix()},
	} {
		c := key(row.id, 7)
		c.NoteKey(row.before, now)
		last, next := c.LastRotation()
		if c.KeySince != row.want || last.Unix() != row.want || next.Sub(last) != 2*time.Hour {
			t.Errorf("%s: since %d, %s, next %s; want %d", row.name, c.KeySince, last, next, row.want)
		}
	}
	c := key("A", 7)
	c.AuthType = AuthRolesAnywhere
	if c.NoteKey(nil, now); c.KeySince != 0 {
		t.Error("a session's connection has a time of its key")
	}
}
