package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// contract holds the plugin to what it says of itself: every successful response of its mounts that comes through
// [Vault.Client] is validated against the mount's OpenAPI document, and what does not fit fails the test at its end.
// The nodes of a cluster share one.
type contract struct {
	mu       sync.Mutex
	mounts   map[string]*openapi3.T // by path, with a slash at its end
	judged   map[string]bool        // the operations of which a response was validated, as named by operations
	problems []string
}

// newContract reports at the end of the test what the responses did wrong.
func newContract(t testing.TB) *contract {
	c := &contract{mounts: map[string]*openapi3.T{}, judged: map[string]bool{}}
	t.Cleanup(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, problem := range c.problems {
			t.Errorf("a response is not what OpenAPI says: %s", problem)
		}
	})
	return c
}

// add has the responses of the mount validated from now on.
func (c *contract) add(ctx context.Context, v *Vault, mount string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.Address()+"/v1/"+mount+"/?help=1", nil)
	if err != nil {
		return err
	}
	req.Header.Set("X-Vault-Token", v.rootToken)
	resp, err := v.httpClient().Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var help struct {
		OpenAPI json.RawMessage `json:"openapi"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&help); err != nil {
		return fmt.Errorf("decoding the mount's help: %w", err)
	}
	document, err := openapi3.NewLoader().LoadFromData(help.OpenAPI)
	if err != nil {
		return fmt.Errorf("reading the mount's OpenAPI document: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mounts[mount+"/"] = document
	return nil
}

// watched sends requests on and looks at the responses.
type watched struct {
	next     http.RoundTripper
	contract *contract
}

// maxWatched is the longest response that is validated, in bytes.
const maxWatched = 32 << 20

func (w watched) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := w.next.RoundTrip(req)
	if err != nil || resp.StatusCode >= http.StatusMultipleChoices || req.URL.Query().Has("help") {
		return resp, err // errors have Vault's own form
	}
	mount, path, document := w.contract.find(strings.TrimPrefix(req.URL.Path, "/v1/"))
	if document == nil {
		return resp, nil
	}
	start, err := io.ReadAll(io.LimitReader(resp.Body, maxWatched))
	if err != nil {
		return resp, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(start), resp.Body), resp.Body}
	template, err := judge(document, operation(req), path, resp, start)
	w.contract.note(mount, operation(req), template)
	if err != nil {
		w.contract.report(fmt.Sprintf("%s %s%s, status %d: %v",
			req.Method, strings.TrimSuffix(mount, "/"), path, resp.StatusCode, err))
	}
	return resp, nil
}

// note keeps that a response of the operation was validated.
func (c *contract) note(mount, operation, template string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.judged[operation+" "+mount+strings.TrimPrefix(template, "/")] = true
}

// Unjudged returns the operations of the mounts' OpenAPI documents of which no successful response was validated in
// this test so far, sorted, such as "GET s3conn/config/{name}"; LIST is a GET of a path with a slash at its end.
func (v *Vault) Unjudged() (operations []string) {
	c := v.contract
	c.mu.Lock()
	defer c.mu.Unlock()
	for mount, document := range c.mounts {
		for template, item := range document.Paths.Map() {
			for operation := range item.Operations() {
				if operation == http.MethodGet && strings.HasSuffix(template, "/") {
					operation = "LIST"
				}
				name := operation + " " + mount + strings.TrimPrefix(template, "/")
				if !c.judged[name] {
					operations = append(operations, name)
				}
			}
		}
	}
	slices.Sort(operations)
	return operations
}

// CloseIdleConnections passes on what http.Client.CloseIdleConnections asks for.
func (w watched) CloseIdleConnections() {
	if closer, ok := w.next.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

func (c *contract) find(path string) (mount, rest string, document *openapi3.T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for mount, document := range c.mounts {
		if rest, found := strings.CutPrefix(path, mount); found {
			return mount, "/" + rest, document
		}
	}
	return "", "", nil
}

// report keeps a problem once, and not more of them than somebody reads.
func (c *contract) report(problem string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.problems) < 20 && !slices.Contains(c.problems, problem) {
		c.problems = append(c.problems, problem)
	}
}

// operation is the method under which OpenAPI has the request; "LIST" for a list, which is a GET of the path with
// a slash.
func operation(req *http.Request) string {
	switch {
	case req.Method == "LIST" || req.Method == http.MethodGet && req.URL.Query().Get("list") == "true":
		return "LIST"
	case req.Method == http.MethodPut:
		return http.MethodPost // Vault takes both for a write
	}
	return req.Method
}

// judge returns the document's path that the response is of, and in what the response differs from the document,
// without repeating the response's values.
func judge(document *openapi3.T, operation, path string, resp *http.Response, body []byte) (
	template string, err error,
) {
	if operation == "LIST" {
		operation, path = http.MethodGet, strings.TrimSuffix(path, "/")+"/"
	}
	template, item := lookUp(document, path)
	if item == nil || item.GetOperation(operation) == nil {
		return template, errors.New("no such operation")
	}
	declared := item.GetOperation(operation).Responses.Status(resp.StatusCode)
	if declared == nil {
		return template, errors.New("no such status")
	}
	return template, judgeContent(declared, resp, body)
}

func judgeContent(declared *openapi3.ResponseRef, resp *http.Response, body []byte) error {
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" || len(body) == 0 {
		if content := declared.Value.Content; len(content) > 0 {
			return fmt.Errorf("it is of type %q and %d bytes, where JSON is declared", kind, len(body))
		}
		return nil
	}
	data, err := dataOf(body)
	if err != nil {
		return err
	}
	media := declared.Value.Content.Get("application/json")
	switch {
	case media == nil && data != nil:
		return errors.New("it has data, where none are declared")
	case media == nil:
		return nil
	case data == nil:
		return errors.New("it has no data, where some are declared")
	}
	return fits(media.Schema.Value, data)
}

// dataOf returns the data of Vault's envelope, or a raw response as it is; nil for none, and for one that is wrapped.
func dataOf(body []byte) (map[string]any, error) {
	var envelope map[string]any
	if err := json.Unmarshal(body, &envelope); err != nil {
		return nil, errors.New("it is not a JSON object")
	}
	if _, enveloped := envelope["request_id"]; !enveloped {
		return envelope, nil
	}
	data, _ := envelope["data"].(map[string]any)
	return data, nil
}

// fits returns which fields are not declared or are of another type.
func fits(declared *openapi3.Schema, data map[string]any) error {
	var faults []error
	for name := range data {
		if declared.Properties[name] == nil {
			faults = append(faults, fmt.Errorf("the field %q is not declared", name))
		}
	}
	var schemaError *openapi3.SchemaError
	err := declared.VisitJSON(data, openapi3.VisitAsResponse(), openapi3.MultiErrors())
	if several, ok := err.(openapi3.MultiError); ok {
		for _, one := range several {
			if errors.As(one, &schemaError) { // its own text has the value
				one = fmt.Errorf("the field %s: %s", strings.Join(schemaError.JSONPointer(), "."), schemaError.Reason)
			}
			faults = append(faults, one)
		}
	} else if err != nil {
		faults = append(faults, errors.New("it is not what its schema says"))
	}
	slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(faults...)
}

// lookUp finds the document's path that a request's path is of; nil if there is none. A path with fewer parameters
// wins: /status/ is not /status/{name}.
func lookUp(document *openapi3.T, path string) (name string, found *openapi3.PathItem) {
	fewest := len(path) + 1
	segments := strings.Split(path, "/")
	for template, item := range document.Paths.Map() {
		parts := strings.Split(template, "/")
		parameters, same := 0, len(parts) == len(segments)
		for i := 0; same && i < len(parts); i++ {
			if strings.HasPrefix(parts[i], "{") && segments[i] != "" {
				parameters++
			} else if parts[i] != segments[i] {
				same = false
			}
		}
		if same && parameters < fewest {
			name, found, fewest = template, item, parameters
		}
	}
	return name, found
}
