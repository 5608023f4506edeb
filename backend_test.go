package s3conn

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

// panickyStorage stands for any defect: what is thrown is what was being handled.
type panickyStorage struct{ logical.Storage }

func (panickyStorage) Get(context.Context, string) (*logical.StorageEntry, error) { panic("CANARY") }

func (panickyStorage) List(context.Context, string) ([]string, error) {
	return []string{"reports"}, nil
}

// A panic would kill the process, with every mount in it, and Vault would send the request again.
func TestBackend_PanicIsAnErrorOfItsRequestAlone(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("reports", accessKeyFields())
	request := func(op logical.Operation, path string) *logical.Request {
		return &logical.Request{Operation: op, Path: path, Storage: panickyStorage{}, Data: accessKeyFields()}
	}
	assertDefect := func(what string, err error) {
		t.Helper()
		if status, text := asVaultSeesIt(t, nil, err); status != http.StatusInternalServerError ||
			!strings.Contains(text, "a defect of this plugin") ||
			strings.Contains(text, "CANARY") {
			t.Errorf("%s is answered with %d, %q", what, status, text)
		}
		if _, bare := err.(logical.HTTPCodedError); !bare {
			t.Errorf("%s is answered with %T, which has no status for Vault", what, err)
		}
	}
	for op, path := range map[logical.Operation]string{
		logical.ReadOperation: "config/reports", logical.UpdateOperation: "config/reports",
		logical.ListOperation: "config/",
	} {
		resp, err := m.HandleRequest(t.Context(), request(op, path))
		assertDefect(string(op), err)
		if resp != nil {
			t.Errorf("%s also returned %+v", op, resp)
		}
	}
	found, exists, err := m.HandleExistenceCheck(t.Context(), request(logical.CreateOperation, "config/reports"))
	assertDefect("the existence check", err)
	if found || exists {
		t.Error("an existence check that panicked found something")
	}
	log := m.log.String()
	if strings.Count(log, "a request panicked") != 4 || !strings.Contains(log, "connectionExists") ||
		!strings.Contains(log, "config/reports") {
		t.Errorf("the log does not show the places:\n%s", log)
	}
	if strings.Contains(log, "CANARY") {
		t.Error("the log quotes what was thrown")
	}
	if got := m.read("creds/reports").Data["access_key"]; got != "AKIAEXAMPLE" {
		t.Errorf("after the panics a reader gets %v", got)
	}
}

// Vault calls the factory without a configuration to ask for the type and version.
func TestNewFactory_WithAnEmptyConfigurationDoesNothing(t *testing.T) {
	t.Parallel()
	made, err := NewFactory()(t.Context(), &logical.BackendConfig{})
	if err != nil {
		t.Fatal(err)
	}
	b := made.(*backend)
	if b.Type() != logical.TypeLogical || b.PluginVersion().Version != Version {
		t.Errorf("type %v, version %q", b.Type(), b.PluginVersion().Version)
	}
	if err := errors.Join(b.Initialize(t.Context(), &logical.InitializationRequest{}),
		b.PeriodicFunc(t.Context(), &logical.Request{})); err != nil || b.search.done {
		t.Errorf("the backend starts work by itself: %v", err)
	}
	b.Cleanup(t.Context())
}

// A bubble fails a test that leaves a goroutine behind.
func TestNewBackend_StartsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBackend(bubbleNow, nil, nil)
		if err := b.Setup(t.Context(), &logical.BackendConfig{}); err != nil {
			t.Fatal(err)
		}
		if err := b.Initialize(t.Context(), &logical.InitializationRequest{Storage: panickyStorage{}}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestBackend_SealWrapsWhatHoldsSecrets(t *testing.T) {
	t.Parallel()
	got := newMount(t).SpecialPaths()
	if got == nil || !slices.Equal(got.SealWrapStorage,
		[]string{"config/", "session/", "scope/", "identity/", "rotation/", "rotation-left/"}) {
		t.Errorf("special paths = %+v, want config/, session/, scope/, identity/, rotation/ and rotation-left/ to be "+
			"seal wrapped", got)
	}
	if len(got.Unauthenticated)+len(got.LocalStorage)+len(got.Root) != 0 {
		t.Errorf("special paths = %+v, want no others", got)
	}
}

func TestBackend_WritesGoToTheActiveNodeOfThePrimary(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	forwarded := 0
	for op, handler := range m.Route("config/x").Operations {
		operation := handler.(*framework.PathOperation)
		writes := op != logical.ReadOperation
		if operation.ForwardPerformanceStandby != writes || operation.ForwardPerformanceSecondary != writes {
			t.Errorf("%s of config/ is forwarded from standbys: %v, from secondaries: %v; want %v for both",
				op, operation.ForwardPerformanceStandby, operation.ForwardPerformanceSecondary, writes)
		}
		if writes {
			forwarded++
		}
	}
	if forwarded != 4 {
		t.Errorf("%d operations of config/ write, want create, update, patch and delete", forwarded)
	}
}

func TestBackend_EveryPathExplainsItself(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	if len(m.Paths) != 22 {
		t.Errorf("%d paths, want 22", len(m.Paths))
	}
	for _, path := range m.Paths {
		if path.HelpSynopsis == "" || path.HelpDescription == "" || path.DisplayAttrs == nil ||
			path.DisplayAttrs.OperationPrefix != "s3conn" {
			t.Errorf("%s has no help or no name in OpenAPI", path.Pattern)
		}
		for name, field := range path.Fields {
			if field.Description == "" || field.Type == framework.TypeInvalid {
				t.Errorf("%s: field %s has no description or type", path.Pattern, name)
			}
		}
		for op, handler := range path.Operations {
			properties := handler.Properties()
			if properties.Summary == "" || len(properties.Responses) == 0 {
				t.Errorf("%s: %s has no summary or no responses", path.Pattern, op)
			}
			for status, responses := range properties.Responses {
				for _, response := range responses {
					if response.Description == "" {
						t.Errorf("%s: the answer %d of %s has no description", path.Pattern, status, op)
					}
				}
			}
		}
		if path.Operations[logical.CreateOperation] != nil && path.ExistenceCheck == nil {
			t.Errorf("%s can create and has no existence check, at which Vault panics", path.Pattern)
		}
	}
}

func TestBackend_SensitiveFieldsAreMarked(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	for _, one := range []struct{ path, field string }{
		{"config/x", "secret_key"}, {"config/x", "private_key"}, {"config/x", "private_key_passphrase"},
		{"config/x", "pkcs12"}, {"config/x", "proxy_url"}, {"test", "secret_key"},
	} {
		if field := m.Route(one.path).Fields[one.field]; field == nil || field.DisplayAttrs == nil ||
			!field.DisplayAttrs.Sensitive {
			t.Errorf("%s: %s is not marked as sensitive", one.path, one.field)
		}
	}
}

func TestBackend_ConnectionNameIsOnePathSegment(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	for _, path := range []string{"config/a/b", "creds/a/b/c", "sdk/", "creds/", "creds/a/", "sdk/a/b/c", "scopes/",
		"scopes/a/b/c", "config/..", "test/a/b/c", "presign/a/b/c"} {
		if route := m.Route(path); route != nil {
			t.Errorf("%s is a path: %s", path, route.Pattern)
		}
	}
}

func TestSDK_AnswersAreNeverCached(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("reports", accessKeyFields())
	for _, name := range []string{"reports", "nothing"} {
		if resp := m.read("sdk/" + name); resp.Data[logical.HTTPCacheControlHeader] != "no-store" {
			t.Errorf("sdk/%s has Cache-Control %v, want no-store", name, resp.Data[logical.HTTPCacheControlHeader])
		}
	}
}
