package docs

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	s3conn "github.com/s3conn/vault-plugin-s3conn"
)

// openAPI is what the test reads of the mount's OpenAPI document.
type openAPI struct {
	Paths map[string]struct {
		Post *struct {
			RequestBody struct {
				Content map[string]struct {
					Schema struct {
						Ref string `json:"$ref"`
					} `json:"schema"`
				} `json:"content"`
			} `json:"requestBody"`
		} `json:"post"`
	} `json:"paths"`
	Components struct {
		Schemas map[string]struct {
			Properties map[string]any `json:"properties"`
		} `json:"schemas"`
	} `json:"components"`
}

// TestReference_NamesEveryPathAndField compares docs/reference.md with what the plugin says of itself to Vault.
func TestReference_NamesEveryPathAndField(t *testing.T) {
	t.Parallel()
	text := read(t, "docs/reference.md")
	document := describe(t)
	fields := 0
	for path := range document.Paths {
		name := pathName(path)
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("docs/reference.md does not name the path `%s`", name)
		}
		for field := range document.fieldsOf(name) {
			fields++
			if !strings.Contains(text, "`"+field+"`") {
				t.Errorf("docs/reference.md does not name the field `%s` of `%s`", field, name)
			}
		}
	}
	if len(document.Paths) < 8 || fields < 40 {
		t.Errorf("the plugin says that it has %d paths and %d fields", len(document.Paths), fields)
	}
}

// TestReference_NamesEveryResponseField does the same with what the responses hold.
func TestReference_NamesEveryResponseField(t *testing.T) {
	t.Parallel()
	text := read(t, "docs/reference.md")
	fields := 0
	for schema, described := range describe(t).Components.Schemas {
		for field := range described.Properties {
			fields++
			if !strings.Contains(text, "`"+field+"`") {
				t.Errorf("docs/reference.md does not name the field `%s` of %s", field, schema)
			}
		}
	}
	if fields < 150 {
		t.Errorf("the plugin says that it has %d fields", fields)
	}
}

// TestReference_FieldsExist finds fields in the reference's tables that their path does not take.
func TestReference_FieldsExist(t *testing.T) {
	t.Parallel()
	document := describe(t)
	heading := regexp.MustCompile("^\\| field of `([^`]+)` \\|")
	var taken map[string]bool // by the path of the present table
	var path string
	checked := 0
	for _, line := range proseLines(read(t, "docs/reference.md")) {
		if found := heading.FindStringSubmatch(line); found != nil {
			path, taken = found[1], document.fieldsOf(found[1])
			continue
		}
		if !strings.HasPrefix(line, "|") {
			taken = nil
		}
		first, _, _ := strings.Cut(strings.TrimPrefix(line, "|"), "|")
		for _, field := range regexp.MustCompile("`([a-z0-9_]+)`").FindAllStringSubmatch(first, -1) {
			if taken == nil {
				continue
			}
			checked++
			if !taken[field[1]] {
				t.Errorf("docs/reference.md has the field `%s` of `%s`, which takes none of that name", field[1], path)
			}
		}
	}
	if checked < 40 {
		t.Errorf("only %d fields were found in tables", checked)
	}
}

// fieldsOf are those that a write of the path takes; nil where there is no such path.
func (d openAPI) fieldsOf(name string) map[string]bool {
	for path, operations := range d.Paths {
		if pathName(path) != name || operations.Post == nil {
			continue
		}
		taken := map[string]bool{}
		for _, content := range operations.Post.RequestBody.Content {
			schema := content.Schema.Ref[strings.LastIndex(content.Schema.Ref, "/")+1:]
			for field := range d.Components.Schemas[schema].Properties {
				taken[field] = true
			}
		}
		return taken
	}
	return nil
}

// pathName is how the documents write a path of OpenAPI.
func pathName(path string) string {
	return strings.NewReplacer("{name}", "NAME", "{scope}", "SCOPE").Replace(strings.TrimPrefix(path, "/"))
}

// describe asks the plugin for its OpenAPI document, as Vault does.
func describe(t *testing.T) openAPI {
	t.Helper()
	config := logical.TestBackendConfig()
	config.System = &logical.StaticSystemView{PluginEnvironment: &logical.PluginEnvironment{VaultVersion: "1.21.1"}}
	backend, err := s3conn.NewFactory()(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { backend.Cleanup(t.Context()) })
	response, err := backend.HandleRequest(t.Context(), &logical.Request{
		Operation: logical.HelpOperation, Path: "", Storage: &logical.InmemStorage{},
	})
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(response.Data["openapi"])
	if err != nil {
		t.Fatal(err)
	}
	var document openAPI
	if err := json.Unmarshal(encoded, &document); err != nil {
		t.Fatal(err)
	}
	return document
}
