package field

import (
	"fmt"
	"strings"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

// textsOf returns the texts of a list as JSON or Go has it; ok is false for anything else.
func textsOf(raw any) (texts []string, ok bool) {
	switch v := raw.(type) {
	case []string:
		return v, true
	case []any:
		texts = make([]string, len(v))
		for i, one := range v {
			if texts[i], ok = one.(string); !ok {
				return nil, false
			}
		}
		return texts, true
	}
	return nil, false
}

func (r *Row) decodeStrings(raw any) (value any, fault string) {
	const want = "has to be a list of strings or a string with commas between the items"
	if raw == nil || raw == "" {
		return nil, ""
	}
	items, ok := textsOf(raw)
	trim := !r.Verbatim
	if text, isText := raw.(string); isText {
		items, ok, trim = strings.Split(text, ","), true, true
	}
	switch {
	case !ok:
		return nil, want
	case len(items) == 0:
		return nil, ""
	case r.MaxItems > 0 && len(items) > r.MaxItems:
		return nil, fmt.Sprintf("has %d items; at most %d are accepted", len(items), r.MaxItems)
	}
	decoded := make([]string, len(items))
	for i, item := range items {
		if trim {
			item = strings.TrimSpace(item)
		}
		if r.Limit > 0 && len(item) > r.Limit {
			return nil, fmt.Sprintf("has an item of %d bytes; at most %d are accepted", len(item), r.Limit)
		}
		if !r.allows(item) {
			return nil, "has the unknown item " + problem.Quote(item) + "; each has to be " + alternatives(r.Allowed)
		}
		decoded[i] = item
	}
	return decoded, ""
}

func (r *Row) decodeMap(raw any) (value any, fault string) {
	if raw == nil || raw == "" {
		return nil, ""
	}
	pairs, fault := pairsOf(raw)
	switch {
	case fault != "":
		return nil, fault
	case len(pairs) == 0:
		return nil, ""
	case r.MaxItems > 0 && len(pairs) > r.MaxItems:
		return nil, fmt.Sprintf("has %d entries; at most %d are accepted", len(pairs), r.MaxItems)
	}
	decoded := make(map[string]string, len(pairs))
	for _, one := range pairs {
		key, text := strings.TrimSpace(one.key), one.value
		if !r.Verbatim {
			text = strings.TrimSpace(text)
		}
		_, twice := decoded[key]
		switch {
		case key == "":
			return nil, "has an entry without a key"
		case twice:
			return nil, "has a key more than once"
		case r.Limit > 0 && max(len(key), len(text)) > r.Limit:
			return nil, fmt.Sprintf("has a key or value of %d bytes; at most %d are accepted", max(len(key), len(text)),
				r.Limit)
		}
		decoded[key] = text
	}
	return decoded, ""
}

type pair struct{ key, value string }

// pairsOf reads the entries of an object, of a text key=value, or of a list of such texts.
func pairsOf(raw any) (pairs []pair, fault string) {
	const want = "has to be an object of strings, key=value, or a list of key=value"
	switch v := raw.(type) {
	case map[string]string:
		for key, text := range v {
			pairs = append(pairs, pair{key, text})
		}
		return pairs, ""
	case map[string]any:
		for key, one := range v {
			text, ok := one.(string)
			if !ok {
				return nil, want
			}
			pairs = append(pairs, pair{key, text})
		}
		return pairs, ""
	}
	texts, ok := textsOf(raw)
	if text, isText := raw.(string); isText {
		texts, ok = []string{text}, true
	}
	if !ok {
		return nil, want
	}
	for _, text := range texts {
		key, rest, found := strings.Cut(text, "=")
		if !found {
			return nil, want
		}
		pairs = append(pairs, pair{key, rest})
	}
	return pairs, ""
}
