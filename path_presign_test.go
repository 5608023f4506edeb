package s3conn

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

func presignFields(changes ...map[string]any) map[string]any {
	return changed(map[string]any{"bucket": "orders", "key": "2026/report.csv"}, changes)
}

func parsedURL(t *testing.T, resp *logical.Response) (*url.URL, url.Values) {
	t.Helper()
	u, err := url.Parse(resp.Data["url"].(string))
	if err != nil {
		t.Fatal("the url is none")
	}
	return u, u.Query()
}

func TestPresign_AccessKeysSignForAsLongAsAsked(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("reports", accessKeyFields(with("region", "eu-west-1")))
	resp := m.must(logical.UpdateOperation, "presign/reports", presignFields())
	u, query := parsedURL(t, resp)
	if u.Scheme+"://"+u.Host+u.Path != "https://orders.s3.eu-west-1.amazonaws.com/2026/report.csv" ||
		query.Get("X-Amz-Expires") != "300" ||
		!strings.HasPrefix(query.Get("X-Amz-Credential"), "AKIAEXAMPLE/20261123/eu-west-1/s3/") ||
		query.Has("X-Amz-Security-Token") {
		t.Errorf("the URL is %s", u)
	}
	if resp.Data["method"] != http.MethodGet || resp.Data["valid_seconds"] != int64(300) || len(resp.Warnings) > 0 ||
		resp.Data["expiration"] != testTime.Add(5*time.Minute).
			Format(time.RFC3339) ||
		len(resp.Data["headers"].(map[string]string)) > 0 {
		t.Errorf("the response is %v with the warnings %v", resp.Data, resp.Warnings)
	}
	week := m.must(logical.UpdateOperation, "presign/reports", presignFields(with("expires", "168h")))
	if week.Data["valid_seconds"] != int64(604800) {
		t.Errorf("a week is %v seconds", week.Data["valid_seconds"])
	}
}

func TestPresign_ObeysTheConnectionsStore(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	for endpoint, want := range map[string]string{
		"https://store.example:9000":     "https://store.example:9000/orders/a%20b",
		"https://store.example:443/base": "https://store.example/base/orders/a%20b",
		"http://127.0.0.1:9000":          "http://127.0.0.1:9000/orders/a%20b",
	} {
		m.write(
			"store",
			accessKeyFields(with("s3_endpoint", endpoint), with("s3_path_style", true), with("s3_region", "garage")),
		)
		u, query := parsedURL(t, m.must(logical.UpdateOperation, "presign/store", presignFields(with("key", "a b"))))
		if got, _, _ := strings.Cut(u.String(), "?"); got != want ||
			!strings.Contains(query.Get("X-Amz-Credential"), "/garage/") {
			t.Errorf("%s: the URL is %s, want %s", endpoint, got, want)
		}
	}
	m.write("store", with("s3_path_style", false))
	m.write("store", with("s3_endpoint", "https://store.example:9000"))
	if u, _ := parsedURL(t, m.must(logical.UpdateOperation, "presign/store",
		presignFields())); u.Host != "orders.store.example:9000" {
		t.Errorf("without path style the host is %s", u.Host)
	}
}

func TestPresign_SpacesAtTheEndsOfAKeyAreOfTheKey(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("reports", accessKeyFields())
	if u, _ := parsedURL(t, m.must(logical.UpdateOperation, "presign/reports",
		presignFields(with("key", " a/ ")))); u.Path != "/ a/ " {
		t.Errorf("the path is %q", u.Path)
	}
}

func TestPresign_UploadReturnsTheHeadersToSend(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("reports", accessKeyFields())
	checksum := "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	resp := m.must(
		logical.UpdateOperation,
		"presign/reports",
		presignFields(with("method", "PUT"), with("content_length", json.Number("5368709120")),
			with("content_type", "text/csv"), with("content_disposition", "inline"), with("checksum_sha256", checksum)),
	)
	want := map[string]string{
		"Content-Length":        "5368709120",
		"Content-Type":          "text/csv",
		"Content-Disposition":   "inline",
		"X-Amz-Checksum-Sha256": checksum,
	}
	if got := resp.Data["headers"].(map[string]string); !maps.Equal(got, want) {
		t.Errorf("the headers are %v, want %v", got, want)
	}
	if _, query := parsedURL(t, resp); query.Get(
		"X-Amz-SignedHeaders",
	) != "content-disposition;content-length;content-type;host;x-amz-checksum-sha256" {
		t.Errorf("the signed headers are %s", query.Get("X-Amz-SignedHeaders"))
	}
}

func TestPresign_EndsWithTheSessionAndSaysSo(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		resp := m.must(logical.UpdateOperation, "presign/orders-0", presignFields(with("expires", 7200)))
		_, query := parsedURL(t, resp)
		if resp.Data["valid_seconds"] != int64(3600) || query.Get("X-Amz-Expires") != "3600" ||
			resp.Data["expiration"] != testTime.Add(time.Hour).
				Format(time.RFC3339) ||
			!strings.HasPrefix(query.Get("X-Amz-Security-Token"), "token-1-") {
			t.Errorf("the response is %v", resp.Data)
		}
		if len(resp.Warnings) != 1 || !strings.Contains(resp.Warnings[0], "valid for 3600 seconds and not for 7200") {
			t.Errorf("the warnings are %q", resp.Warnings)
		}
		if resp.Secret != nil {
			t.Error("the URL has a lease")
		}
		pass(10 * time.Minute)
		if m.must(logical.UpdateOperation, "presign/orders-0", presignFields()); aws.count() != 1 {
			t.Errorf("two URLs needed %d sessions", aws.count())
		}
	})
}

func TestPresign_EndsWithTheGraceOfAKeyThatRotates(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("reports", accessKeyFields(with("rotation_period", "24h"), with("rotation_grace", "1h")))
	long := presignFields(with("expires", 7*24*3600))
	for _, test := range []struct {
		after time.Duration
		valid int64 // seconds
	}{{0, 25 * 3600}, {23 * time.Hour, 2 * 3600}, {7 * time.Hour, 3600}} { // the last: the rotation is overdue
		m.clock.Advance(test.after)
		resp := m.must(logical.UpdateOperation, "presign/reports", long)
		if resp.Data["valid_seconds"] != test.valid || len(resp.Warnings) != 1 {
			t.Errorf("%s later the URL is valid for %v s, want %d; warnings %q", test.after, resp.Data["valid_seconds"],
				test.valid, resp.Warnings)
		}
	}
}

func TestPresign_MistakesNameTheirFieldAndNothingIsSigned(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		for name, tt := range map[string]struct {
			change map[string]any
			says   string
		}{
			"no bucket":       {with("bucket", ""), "bucket: is not a bucket's name"},
			"a bucket's path": {with("bucket", "orders/x"), "bucket: is not a bucket's name"},
			"no key":          {with("key", absent), "key: is empty"},
			"a line in a key": {with("key", "a\nb"), "key: holds a control character"},
			"dots in a key":   {with("key", "a/../b"), `key: has "." or ".." as a segment`},
			"another method": {with("method", "POST"),
				`method: "POST" is unknown; it has to be "GET", "HEAD", "PUT" or "DELETE"`},
			"a method's object": {with("method", map[string]any{"a": "CANARY"}), "method: is an object"},
			"a key's object":    {with("key", map[string]any{"a": "CANARY"}), "key: is an object"},
			"no time":           {with("expires", 0), "expires: has to be from 1 second to 7 days"},
			"a negative time":   {with("expires", -1), "expires: has to be a positive number of seconds"},
			"too long":          {with("expires", 604801), "expires: has to be from 1 second to 7 days"},
			"a negative length": {map[string]any{"method": "PUT", "content_length": -1},
				"content_length: is negative"},
			"a length for GET": {with("content_length", 1), "content_length: is for PUT alone"},
			"a length in words": {map[string]any{"method": "PUT", "content_length": "1k"},
				"content_length: has to be a whole number"},
			"a header's line": {with("content_type", "a\r\nb"), "content_type: holds a character"},
			"a checksum in hex": {map[string]any{"method": "PUT", "checksum_sha256": "00"},
				"checksum_sha256: is not the base64 form"},
			"a misspelt field":   {with("expire", 10), "did you mean expires?"},
			"a connection field": {with("secret_key", "CANARY"), "there is no such field"},
		} {
			text := m.refused(logical.UpdateOperation, "presign/orders-0", presignFields(tt.change))
			if !strings.Contains(text, tt.says) || !strings.HasSuffix(text, "nothing was signed") ||
				strings.Contains(text, "CANARY") {
				t.Errorf("%s: %s", name, text)
			}
		}
		if text := m.refused(logical.UpdateOperation, "presign/a..b", presignFields()); !strings.Contains(text,
			"name: ") {
			t.Errorf("a name with two dots: %s", text)
		}
		if aws.count() != 0 {
			t.Errorf("%d sessions were obtained", aws.count())
		}
		text := m.refused(
			logical.UpdateOperation,
			"presign/orders-0",
			map[string]any{"content_length": -1, "expires": 0},
		)
		for _, field := range []string{"bucket", "key", "expires", "content_length"} {
			if !strings.Contains(text, "- "+field+": ") {
				t.Errorf("%s is not in %s", field, text)
			}
		}
	})
}

func TestPresign_FailuresKeepTheirStatus(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		if text := m.refused(logical.UpdateOperation, "presign/nothing", presignFields()); !strings.Contains(
			text,
			`there is no connection "nothing"`,
		) {
			t.Errorf("the error is %q", text)
		}
		m.writeConnections(1)
		aws.set(func(s *service) { s.err = failedCall(http.StatusTooManyRequests, "no") })
		resp, err := m.do(t.Context(), logical.UpdateOperation, "presign/orders-0", presignFields())
		if got, text := asVaultSeesIt(t, resp, err); got != http.StatusTooManyRequests || text != "CreateSession: no" {
			t.Errorf("a throttled CreateSession is answered with %d, %q", got, text)
		}
	})
}

func TestPresign_CancelledAndWithoutStorageItReturnsAnError(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("reports", accessKeyFields())
	m.start()
	m.storage.breakOn(errStorage, "get")
	if _, err := m.do(t.Context(), logical.UpdateOperation, "presign/reports", presignFields()); !errors.Is(
		err,
		errStorage,
	) {
		t.Errorf("without storage the error is %v", err)
	}
	m.storage.breakOn(nil)
	m.write("orders", rolesAnywhereFields(t, with("rolesanywhere_endpoint", "http://127.0.0.1:9")))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if resp, err := m.do(ctx, logical.UpdateOperation, "presign/orders", presignFields()); err == nil &&
		!resp.IsError() {
		t.Errorf("a cancelled request is answered with %v", resp)
	}
}

func TestPresign_IsForwardedAndItsURLIsSensitive(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	operation := m.Route("presign/x").Operations[logical.UpdateOperation].(*framework.PathOperation)
	if !operation.ForwardPerformanceStandby {
		t.Error("a standby signs by itself")
	}
	if !presignedSchema()["url"].DisplayAttrs.Sensitive {
		t.Error("url is not marked as sensitive")
	}
	if m.Route("presign/") != nil || m.Route("presign/..") != nil {
		t.Error("presign has paths without a name")
	}
}

func BenchmarkPresign(b *testing.B) {
	m := newBenchMount(b)
	m.write("reports", accessKeyFields())
	b.ReportAllocs()
	for b.Loop() {
		m.do(logical.UpdateOperation, "presign/reports", presignFields())
	}
}
