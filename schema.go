package s3conn

import (
	"strconv"

	"github.com/hashicorp/vault/sdk/framework"

	"github.com/s3conn/vault-plugin-s3conn/internal/field"
)

// takes gives a path the fields of the rows, beside those that its pattern captures. Requests to the path are decoded
// by these rows.
func (b *backend) takes(rows []field.Row, path *framework.Path) *framework.Path {
	fields := requestSchema(rows)
	for name, captured := range path.Fields {
		fields[name] = captured
	}
	path.Fields = fields
	b.rows[path] = rows
	return path
}

// requestSchema is the framework's form of the fields that a request has.
func requestSchema(rows []field.Row) map[string]*framework.FieldSchema {
	schema := make(map[string]*framework.FieldSchema, len(rows))
	for i := range rows {
		schema[rows[i].Name] = fieldSchema(&rows[i])
	}
	return schema
}

// responseSchema is the framework's form of the fields that a response has. Seconds come back as numbers, none has a
// default, and one that nobody has chosen is empty.
func responseSchema(rows []field.Row) map[string]*framework.FieldSchema {
	schema := requestSchema(rows)
	for _, one := range schema {
		if len(one.AllowedValues) > 0 && one.Default == nil {
			one.AllowedValues = append(one.AllowedValues, "")
		}
		one.Default, one.Required = nil, false
		if one.Type == framework.TypeDurationSecond {
			one.Type = framework.TypeInt64
		}
	}
	return schema
}

func fieldSchema(row *field.Row) *framework.FieldSchema {
	schema := &framework.FieldSchema{
		Type:         schemaType(row.Type),
		Description:  row.Description,
		Default:      row.Default,
		Required:     row.Required,
		DisplayAttrs: &framework.DisplayAttributes{Group: row.Group, Sensitive: row.Sensitive},
	}
	if row.Textarea {
		schema.DisplayAttrs.EditType = "textarea"
	}
	if seconds, ok := row.Default.(int64); ok && row.Type == field.Seconds {
		schema.Default = strconv.FormatInt(seconds, 10) // OpenAPI has durations as texts
	}
	if row.Type == field.Strings {
		return schema // allowed values would be those of the list, not of its items
	}
	for _, one := range row.Allowed {
		schema.AllowedValues = append(schema.AllowedValues, one)
	}
	return schema
}

func schemaType(kind field.Type) framework.FieldType {
	switch kind {
	case field.Bool:
		return framework.TypeBool
	case field.Int:
		return framework.TypeInt64
	case field.Seconds:
		return framework.TypeDurationSecond
	case field.Strings:
		return framework.TypeCommaStringSlice
	case field.Map:
		return framework.TypeKVPairs
	default:
		return framework.TypeString
	}
}

// connectionNameSchema describes the name that a path's pattern captures.
func connectionNameSchema() *framework.FieldSchema {
	return &framework.FieldSchema{Type: framework.TypeString, Required: true,
		Description: "Name of the connection: letters, digits and underscores, and inside also dots and dashes; " +
			"at most 128.",
		DisplayAttrs: &framework.DisplayAttributes{Name: "Connection name", Identifier: true}}
}

// displayAttrs names a path's operations in OpenAPI.
func displayAttrs(suffix string) *framework.DisplayAttributes {
	return &framework.DisplayAttributes{OperationPrefix: "s3conn", OperationSuffix: suffix}
}
