package scope

import (
	"net/http"
	"slices"
	"strings"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

// CheckRequest adds to problems what puts a request on an object outside the scope: its bucket, key or method. The
// session policy allows exactly the requests that it finds nothing wrong with. With a policy of the operator's own it
// finds nothing: only the store can judge that policy, with all that the store knows of the request, and refuses what
// it does not allow.
//
// method is GET, HEAD, PUT or DELETE.
func (r *Rendered) CheckRequest(method, bucket, key string, problems *problem.List) {
	if r.OwnPolicy {
		return
	}
	if !slices.Contains(r.Buckets, bucket) {
		problems.Add("bucket", "%s is outside the scope, which opens %s", problem.Quote(bucket), quoteAll(r.Buckets))
		return
	}
	if !r.opensKey(key) {
		problems.Add("key", "%s is outside the scope, which opens keys that begin "+
			"with %s", problem.Quote(key), quoteAll(r.Prefixes))
	}
	if level := accessOf(method); !slices.Contains(r.Access, level) {
		problems.Add("method", "%s needs the access level %q, and the "+
			"scope has %s", problem.Quote(method), level, quoteAll(r.Access))
	}
}

// opensKey says whether a key begins with one of the prefixes.
func (r *Rendered) opensKey(key string) bool {
	return len(r.Prefixes) == 0 ||
		slices.ContainsFunc(r.Prefixes, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
}

func accessOf(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead:
		return AccessRead
	case http.MethodPut:
		return AccessWrite
	case http.MethodDelete:
		return AccessDelete
	}
	return "none"
}

const maxShown = 5 // values that an error repeats

func quoteAll(values []string) string {
	var quoted []string
	for i, value := range values {
		if i == maxShown {
			quoted = append(quoted, "others")
			break
		}
		quoted = append(quoted, problem.Quote(value))
	}
	return strings.Join(quoted, ", ")
}
