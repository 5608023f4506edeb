package s3conn

import (
	"net/http"
	"testing"

	"github.com/hashicorp/vault/sdk/framework"
)

// TestOpenAPI_EveryOperationIsDescribed holds what clients' generators and user interfaces read.
func TestOpenAPI_EveryOperationIsDescribed(t *testing.T) {
	t.Parallel()
	operations := 0
	for _, path := range newMount(t).Paths {
		if path.DisplayAttrs == nil || path.DisplayAttrs.OperationPrefix != "s3conn" || path.HelpSynopsis == "" {
			t.Errorf("%s has no name for its operations, or no synopsis", path.Pattern)
		}
		for name, field := range path.Fields {
			if field.Description == "" {
				t.Errorf("field %s of %s has no description", name, path.Pattern)
			}
		}
		for operation, handler := range path.Operations {
			operations++
			properties := handler.Properties()
			what := string(operation) + " " + path.Pattern
			if properties.Summary == "" {
				t.Errorf("%s has no summary", what)
			}
			if len(properties.Responses) == 0 {
				t.Errorf("%s declares no response", what)
			}
			for status, responses := range properties.Responses {
				assertTyped(t, what, status, properties.Responses, responses)
			}
		}
	}
	if operations < 30 {
		t.Errorf("only %d operations were found", operations)
	}
}

// assertTyped fails for a response whose content is not declared: by fields, by another type than JSON, or as none. A
// 200 beside a 204 is the same with warnings.
func assertTyped(t *testing.T, what string, status int, all map[int][]framework.Response,
	responses []framework.Response) {
	t.Helper()
	_, mayBeEmpty := all[http.StatusNoContent]
	for _, response := range responses {
		typed := len(response.Fields) > 0 || response.MediaType == "text/plain" || mayBeEmpty
		if response.Description == "" || !typed {
			t.Errorf("response %d of %s has no description, or its content is not declared", status, what)
		}
		for name, field := range response.Fields {
			if field.Description == "" || field.Type == framework.TypeInvalid {
				t.Errorf("field %s of response %d of %s has no type or description", name, status, what)
			}
			if field.Type == framework.TypeDurationSecond {
				t.Errorf("field %s of response %d of %s is a number, and OpenAPI has durations as texts", name, status,
					what)
			}
		}
	}
}

// The framework places the allowed values at the field itself, and a list is none of them.
func TestOpenAPI_ListsHaveNoAllowedValues(t *testing.T) {
	t.Parallel()
	lists := 0
	for _, path := range newMount(t).Paths {
		for name, one := range path.Fields {
			if one.Type != framework.TypeCommaStringSlice {
				continue
			}
			lists++
			if len(one.AllowedValues) > 0 {
				t.Errorf("field %s of %s is a list that has to be one of %v", name, path.Pattern, one.AllowedValues)
			}
		}
	}
	if lists == 0 {
		t.Error("no field is a list")
	}
}
