package awscall

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const formType = "application/x-www-form-urlencoded; charset=utf-8"

// parameters are those of an operation of AWS's query protocol.
//
// https://smithy.io/2.0/aws/protocols/aws-query-protocol.html
type parameters map[string]string

// set leaves out what is empty.
func (p parameters) set(name, value string) {
	if value != "" {
		p[name] = value
	}
}

func (p parameters) list(name string, values []string) {
	for i, value := range values {
		p[name+".member."+strconv.Itoa(i+1)] = value
	}
}

func (p parameters) encode() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(p)) {
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(percentEncode(name) + "=" + percentEncode(p[name]))
	}
	return b.String()
}

// query is an operation of the query protocol.
type query struct {
	service, version string
	endpoint, region string
	operation        string
	parameters       parameters
}

// call makes the call and visits what is in the operation's result, with paths that begin below it.
func (q query) call(ctx context.Context, c *Client, creds Credentials, visit func(path, text string) error) error {
	address, err := parseEndpoint(q.endpoint)
	if err != nil {
		return err
	}
	all := maps.Clone(q.parameters)
	if all == nil {
		all = parameters{}
	}
	all["Action"], all["Version"] = q.operation, q.version
	what := call{service: q.service, region: q.region, method: http.MethodPost, url: address, body: all.encode(),
		contentType: formType, limit: maxSmallResponse}
	root := q.operation + "Response"
	result := root + "/" + q.operation + "Result/"
	return c.do(ctx, what, creds, func(body io.Reader) error {
		return expectRoot(root)(walkXML(body, func(path, text string) error {
			if path, found := strings.CutPrefix(path, result); found {
				return visit(path, strings.TrimSpace(text))
			}
			return nil
		}))
	})
}

// parseTime reads AWS's times, which are ISO 8601 in UTC.
func parseTime(text string) (time.Time, error) {
	parsed, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, errors.New("it holds a time that is not one")
	}
	return parsed.UTC(), nil
}
