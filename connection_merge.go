package s3conn

import (
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

// mergeConnection lays the fields of a write over a connection: omitted means unchanged, empty clears. It returns a
// new connection, still to be validated, and leaves the given one alone.
func mergeConnection(c connection, data map[string]any, p *problem.List) connection {
	before := c.AuthType
	fields := connectionFields()
	for i := range fields {
		if f := &fields[i]; f.name == "auth_type" {
			f.merge(&c, data)
		}
	}
	if c.AuthType != authAccessKey && c.AuthType != authRolesAnywhere {
		p.Add("auth_type", "%s is unknown; it is %q or %q", problem.Quote(c.AuthType), authAccessKey, authRolesAnywhere)
		c.AuthType = before
	}
	for i := range fields {
		f := &fields[i]
		if f.name == "auth_type" {
			continue
		}
		if f.belongsTo(c.AuthType) {
			f.merge(&c, data)
			continue
		}
		f.reset(&c)
		if data[f.name] != nil && !p.Has("auth_type") {
			p.Add(f.name, "belongs to auth_type %s, and this connection's is %s; leave it out or change auth_type",
				f.authType, c.AuthType)
		}
	}
	if data["private_key_passphrase"] != nil && data["private_key"] == nil && !p.Has("private_key_passphrase") {
		p.Add("private_key_passphrase", "opens a private_key given in the same write, and there is none; give both")
	}
	return c
}

// merge puts the decoded value into its place, if the write has one.
func (f *field) merge(c *connection, data map[string]any) {
	raw, given := data[f.name]
	if !given {
		return
	}
	if raw == nil {
		f.reset(c)
		return
	}
	switch place := f.in(c).(type) {
	case *string:
		*place = raw.(string)
	case *bool:
		*place = raw.(bool)
	case *int64:
		*place = raw.(int64)
	case *secret.Text:
		*place = secret.New(raw.(string))
	}
}

// reset puts the field's default into its place.
func (f *field) reset(c *connection) {
	initial := newConnection()
	switch place := f.in(c).(type) {
	case *string:
		*place = *f.in(&initial).(*string)
	case *bool:
		*place = *f.in(&initial).(*bool)
	case *int64:
		*place = *f.in(&initial).(*int64)
	case *secret.Text:
		*place = *f.in(&initial).(*secret.Text)
	}
}
