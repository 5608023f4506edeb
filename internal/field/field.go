// Package field describes the fields of a request and of what is stored of it as rows of a table: their types,
// defaults, limits, secrecy and how a read shows them. One table serves a request's schema, its decoding, merging and
// reading.
package field

import "github.com/s3conn/vault-plugin-s3conn/internal/secret"

// Type is the type of a field's value. The comment of each has the Go type of a decoded value, then that of its place
// in the settings.
type Type int

const (
	String  Type = iota // string, *string
	Bool                // bool, *bool
	Seconds             // int64, *int64: whole seconds, never negative
	Int                 // int64, *int64: a whole number
	Secret              // string, *secret.Text
	Strings             // []string, *[]string
	Map                 // map[string]string, *map[string]string
)

// Show is how a read shows a field.
type Show int

const (
	// AsIs shows the stored value; of a Secret it shows what Row.Redact makes of it.
	AsIs Show = iota
	// Never leaves the field out.
	Never
	// Replaced shows the fields of Row.Instead in the field's place.
	Replaced
)

// Row is what is known of a field apart from its place in the settings. Its zero values are a plain, optional,
// unlimited text field that a read shows.
type Row struct {
	Name        string
	Group       string // the heading under which user interfaces put the field
	Description string // type, unit, range and default in words, for help and OpenAPI
	Type        Type

	// Default is the value of a field that was never given or was cleared: nil for the type's zero value, else a
	// decoded value of the field's type.
	Default any
	// Allowed lists the values that a String, or each item of Strings, may have; empty: any.
	Allowed []string
	// Limit is the most bytes of a text, or of each item of Strings, or of each key and each value of a Map; 0: no
	// limit.
	Limit int
	// MaxItems is the most items of Strings or entries of a Map; 0: no limit.
	MaxItems int
	// Verbatim keeps the spaces around a text or around the items of a JSON list. Without it they are removed, and a
	// text of spaces alone counts as empty.
	Verbatim bool
	// ClearRefused says why the field cannot be cleared by an empty value; empty: an empty value restores the default.
	ClearRefused string

	// BelongsTo is the value of the table's selector with which the field applies; empty: it always does.
	BelongsTo string
	// Instruction marks a field that says how to carry out a write. It has no place in the settings, is neither stored
	// nor shown, and does not exist for paths that store nothing.
	Instruction bool

	Required  bool
	Sensitive bool // user interfaces hide what is typed
	Textarea  bool // user interfaces offer several lines

	Show Show
	// Redact returns what a read shows of a Secret whose Show is AsIs. Required there.
	Redact func(secret.Text) string
	// Instead describes the fields that a read shows in the place of one whose Show is Replaced.
	Instead []Row
}

// Field is a row with its place in settings of type T.
type Field[T any] struct {
	Row
	// Place returns a pointer to the field's value, of the type that goes with Row.Type; nil for an Instruction.
	Place func(*T) any
	// Derive returns the values of Row.Instead by name. Required where Show is Replaced.
	Derive func(*T) (map[string]any, error)
}

// Table is all fields of settings of type T, in the order in which they are documented.
type Table[T any] struct {
	Fields []Field[T]
	// Selector names the String field whose value decides which others apply; empty: all always do.
	Selector string
	// Subject is what the settings are, as errors name it, such as "connection".
	Subject string
}

// Rows returns the rows of all fields.
func (t Table[T]) Rows() []Row {
	rows := make([]Row, len(t.Fields))
	for i := range t.Fields {
		rows[i] = t.Fields[i].Row
	}
	return rows
}

// Settings returns the rows of all fields but instructions.
func (t Table[T]) Settings() []Row {
	var rows []Row
	for i := range t.Fields {
		if !t.Fields[i].Instruction {
			rows = append(rows, t.Fields[i].Row)
		}
	}
	return rows
}

// Shown returns the rows of the fields that a read shows, those of replacements included.
func (t Table[T]) Shown() []Row {
	var rows []Row
	for i := range t.Fields {
		row := &t.Fields[i].Row
		switch {
		case row.Instruction || row.Show == Never:
		case row.Show == Replaced:
			rows = append(rows, row.Instead...)
		default:
			rows = append(rows, *row)
		}
	}
	return rows
}

// Names returns the rows' names.
func Names(rows []Row) []string {
	names := make([]string, len(rows))
	for i := range rows {
		names[i] = rows[i].Name
	}
	return names
}
