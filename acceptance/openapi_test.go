package acceptance

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/hashicorp/vault/api"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
)

// TestOpenAPI_DocumentOfTheMountIsValid reads what Vault makes of the plugin's description, as generators of clients
// do.
// The harness holds the responses of every acceptance test against the same description.
func TestOpenAPI_DocumentOfTheMountIsValid(t *testing.T) {
	t.Parallel()
	vault := harness.StartVault(t, harness.VaultOptions{InMemory: true})
	vault.RegisterPlugin(pluginName)
	vault.Mount("s3conn", pluginName)
	document := openAPIOf(t, vault)
	if err := document.Validate(t.Context()); err != nil {
		t.Errorf("the document is not valid: %v", err)
	}
	operations := map[string]bool{}
	for path, item := range document.Paths.Map() {
		for method, operation := range item.Operations() {
			what := method + " " + path
			if operation.Summary == "" {
				t.Errorf("%s has no summary", what)
			}
			if operations[operation.OperationID] {
				t.Errorf("%s shares its id %s", what, operation.OperationID)
			}
			operations[operation.OperationID] = true
		}
	}
	if len(operations) < 25 {
		t.Errorf("the document has only %d operations: %v", len(operations), operations)
	}
}

// openAPIOf reads what the document says of the mount. A token that may use nothing else restricts it to the mount and
// to sys/, which is left out here.
func openAPIOf(t *testing.T, vault *harness.Vault) *openapi3.T {
	t.Helper()
	const document = "sys/internal/specs/openapi"
	policy := fmt.Sprintf("path %q { capabilities = [\"read\"] }\n", document) +
		`path "s3conn/*" { capabilities = ["create", "read", "update", "patch", "delete", "list"] }`
	client := vault.Client()
	if err := client.Sys().PutPolicyWithContext(t.Context(), "mount", policy); err != nil {
		t.Fatal(err)
	}
	token, err := client.Auth().Token().CreateWithContext(t.Context(), &api.TokenCreateRequest{
		Policies: []string{"mount"}, NoDefaultPolicy: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	client.SetToken(token.Auth.ClientToken)
	resp, err := client.Logical().ReadRawWithContext(t.Context(), document)
	if err != nil {
		t.Fatalf("reading the document: %v", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var envelope struct{ Data json.RawMessage }
	if json.Unmarshal(body, &envelope) == nil && len(envelope.Data) > 0 {
		body = envelope.Data
	}
	loaded, err := openapi3.NewLoader().LoadFromData(body)
	if err != nil {
		t.Fatalf("reading the document's JSON: %v", err)
	}
	for path := range loaded.Paths.Map() {
		if !strings.HasPrefix(path, "/s3conn/") {
			loaded.Paths.Delete(path)
		}
	}
	maps.DeleteFunc(loaded.Components.Schemas, func(name string, _ *openapi3.SchemaRef) bool {
		return !strings.HasPrefix(name, "S3conn")
	})
	return loaded
}
