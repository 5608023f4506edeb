package field

import (
	"maps"
	"slices"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

// New returns settings in which every field has its default.
func (t Table[T]) New() T {
	var settings T
	for i := range t.Fields {
		if f := &t.Fields[i]; !f.Instruction {
			f.reset(&settings)
		}
	}
	return settings
}

// Merge returns base with the decoded fields of a write laid over it: a field that data lacks stays as it is, one
// that is nil goes back to its default. Fields that do not belong to the selector's new value go back to their
// defaults too, and one of them that was given is added to problems. base itself is not changed, apart from what its
// slices and maps share.
func (t Table[T]) Merge(base T, data map[string]any, problems *problem.List) T {
	merged := base
	selector := t.selector()
	if selector != nil {
		selector.merge(&merged, data) // it decides about the others
	}
	selected := t.selected(&merged)
	for i := range t.Fields {
		f := &t.Fields[i]
		switch {
		case f.Instruction || f.Name == t.Selector:
		case f.applies(selected):
			f.merge(&merged, data)
		default:
			f.reset(&merged)
			if data[f.Name] != nil && !problems.Has(t.Selector) {
				problems.Add(f.Name, "belongs to %s %s, and this %s's is %s; leave it out or change %[1]s",
					t.Selector, f.BelongsTo, t.Subject, selected)
			}
		}
	}
	return merged
}

// selector returns the field that decides which others apply, or nil.
func (t Table[T]) selector() *Field[T] {
	for i := range t.Fields {
		if t.Selector != "" && t.Fields[i].Name == t.Selector {
			return &t.Fields[i]
		}
	}
	return nil
}

// selected returns the selector's value in the settings.
func (t Table[T]) selected(settings *T) string {
	if selector := t.selector(); selector != nil {
		return *selector.Place(settings).(*string)
	}
	return ""
}

// Show returns the settings as a read shows them: the fields that apply, each as its row says. Its error is that of a
// field's Derive.
func (t Table[T]) Show(settings *T) (map[string]any, error) {
	shown := map[string]any{}
	selected := t.selected(settings)
	for i := range t.Fields {
		f := &t.Fields[i]
		if f.Instruction || f.Show == Never || !f.applies(selected) {
			continue
		}
		if f.Show == Replaced {
			derived, err := f.Derive(settings)
			if err != nil {
				return nil, err
			}
			maps.Copy(shown, derived)
			continue
		}
		shown[f.Name] = f.shown(settings)
	}
	return shown, nil
}

func (f *Field[T]) applies(selected string) bool { return f.BelongsTo == "" || f.BelongsTo == selected }

// merge puts the decoded value into its place, if the write has one.
func (f *Field[T]) merge(settings *T, data map[string]any) {
	value, given := data[f.Name]
	switch {
	case !given:
	case value == nil:
		f.reset(settings)
	default:
		f.set(settings, value)
	}
}

func (f *Field[T]) reset(settings *T) { f.set(settings, f.Default) }

// set puts a decoded value, or the type's zero value for nil, into its place. Slices and maps are copied, so that
// settings share none with a request or with the table.
func (f *Field[T]) set(settings *T, value any) {
	switch place := f.Place(settings).(type) {
	case *string:
		*place, _ = value.(string)
	case *bool:
		*place, _ = value.(bool)
	case *int64:
		*place, _ = value.(int64)
	case *secret.Text:
		text, _ := value.(string)
		*place = secret.New(text)
	case *[]string:
		items, _ := value.([]string)
		*place = slices.Clone(items)
	case *map[string]string:
		entries, _ := value.(map[string]string)
		*place = maps.Clone(entries)
	}
}

// shown is the value that a read shows, never nil: clients expect a list where a field is one.
func (f *Field[T]) shown(settings *T) any {
	switch place := f.Place(settings).(type) {
	case *string:
		return *place
	case *bool:
		return *place
	case *int64:
		return *place
	case *secret.Text:
		return f.Redact(*place)
	case *[]string:
		return append([]string{}, *place...)
	case *map[string]string:
		entries := map[string]string{}
		maps.Copy(entries, *place)
		return entries
	}
	return nil
}
