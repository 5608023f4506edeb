package s3conn

import (
	"maps"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
)

// shown is the connection as a read returns it.
func (c *connection) shown(now time.Time) (data map[string]any, warnings []string, err error) {
	data = map[string]any{}
	for _, f := range connectionFields() {
		if !f.belongsTo(c.AuthType) || f.name == "certificate" {
			continue
		}
		switch place := f.in(c).(type) {
		case *string:
			data[f.name] = *place
		case *bool:
			data[f.name] = *place
		case *int64:
			data[f.name] = *place
		}
	}
	data["proxy_url"] = c.shownProxy()
	if !c.usesRolesAnywhere() {
		return data, nil, nil
	}
	leaf, err := c.leaf()
	if err != nil {
		return nil, nil, err
	}
	maps.Copy(data, describeCertificate(leaf))
	return data, certificateWarnings(c.certificateEnd(), now), nil
}

// connectionResponseSchema is what shown returns.
func connectionResponseSchema() map[string]*framework.FieldSchema {
	schema := connectionSchema(map[string]*framework.FieldSchema{"name": connectionNameSchema()})
	for _, hidden := range []string{"secret_key", "private_key", "private_key_passphrase", "certificate"} {
		delete(schema, hidden)
	}
	for name, description := range map[string]string{
		"certificate_subject":       "Subject of the certificate.",
		"certificate_issuer":        "Issuer of the certificate.",
		"certificate_serial_number": "Serial number, in hexadecimal.",
		"certificate_sha256":        "SHA-256 fingerprint, in hexadecimal.",
		"certificate_key_type":      "Type and size of the key.",
		"certificate_not_before":    "Start of validity, RFC 3339, UTC.",
		"certificate_not_after":     "End of validity, RFC 3339, UTC.",
	} {
		schema[name] = &framework.FieldSchema{Type: framework.TypeString, Description: description}
	}
	return schema
}
