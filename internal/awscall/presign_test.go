package awscall

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

func presignInput(change func(*PresignInput)) PresignInput {
	in := PresignInput{Method: http.MethodGet, Bucket: "orders", Key: "a/b.txt", Expires: 5 * time.Minute}
	if change != nil {
		change(&in)
	}
	return in
}

// TestPresign_MakesTheDocumentedURL has the example of
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html.
func TestPresign_MakesTheDocumentedURL(t *testing.T) {
	t.Parallel()
	creds := Credentials{
		AccessKeyID:     "AKIAIOSFODNN7EXAMPLE",
		SecretAccessKey: secret.New("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
	}
	in := PresignInput{Method: http.MethodGet, Bucket: "examplebucket", Key: "test.txt", Expires: 24 * time.Hour}
	now := time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)
	got, err := Presign(S3{Endpoint: "https://s3.amazonaws.com", Region: "us-east-1"}, creds, in, now, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	const want = "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256" +
		"&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request" +
		"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host" +
		"&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
	if got.URL.Reveal() != want {
		t.Errorf("the URL is %s,\nwant       %s", got.URL.Reveal(), want)
	}
	if got.Valid != 24*time.Hour || !got.End.Equal(now.Add(24*time.Hour)) || got.Method != http.MethodGet ||
		len(got.Headers) > 0 {
		t.Errorf("it is described as %+v", got)
	}
}

func TestPresign_SignsWhatTheRequestHasToHave(t *testing.T) {
	t.Parallel()
	const checksum = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" // of nothing
	length := func(n int64) *int64 { return &n }
	for _, tt := range []struct {
		name    string
		change  func(*PresignInput)
		query   url.Values
		headers map[string]string
		signed  string
	}{
		{"a version", func(in *PresignInput) { in.VersionID = "v+1/=" }, url.Values{"versionId": {"v+1/="}}, nil,
			"host"},
		{"the response's headers", func(in *PresignInput) {
			in.ContentType, in.ContentDisposition = "text/plain; charset=utf-8", `attachment; filename="a b.txt"`
		}, url.Values{"response-content-type": {"text/plain; charset=utf-8"},
			"response-content-disposition": {`attachment; filename="a b.txt"`}}, nil, "host"},
		{"an upload's headers", func(in *PresignInput) {
			in.Method, in.ContentType, in.ContentDisposition = http.MethodPut, "text/plain", "inline"
			in.ChecksumSHA256, in.ContentLength = checksum, length(12)
		}, nil, map[string]string{"Content-Type": "text/plain", "Content-Disposition": "inline",
			"X-Amz-Checksum-Sha256": checksum,
			"Content-Length":        "12"},
			"content-disposition;content-length;content-type;host;x-amz-checksum-sha256"},
		{"an empty upload", func(in *PresignInput) { in.Method, in.ContentLength = http.MethodPut, length(0) }, nil,
			map[string]string{"Content-Length": "0", "X-Amz-Checksum-Sha256": checksum}, "host;x-amz-checksum-sha256"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := presignInput(tt.change)
			in.Check(func(field, text string) { t.Errorf("%s %s", field, text) })
			got, err := Presign(S3{Region: "eu-west-1"}, testCredentials(), in, testTime(), time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse(got.URL.Reveal())
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(u.RawQuery, "+") {
				t.Errorf("a plus sign, which some take for a space, is in %s", u.RawQuery)
			}
			query := u.Query()
			for name, want := range tt.query {
				if !slices.Equal(query[name], want) {
					t.Errorf("%s = %q, want %q", name, query[name], want)
				}
			}
			if want := 7 + len(tt.query); len(query) != want {
				t.Errorf("the query has %d parameters, want %d: %v", len(query), want, query)
			}
			if query.Get("X-Amz-SignedHeaders") != tt.signed || query.Get("X-Amz-Security-Token") != canaryToken {
				t.Errorf("the signed headers are %q", query.Get("X-Amz-SignedHeaders"))
			}
			if !maps.Equal(got.Headers, tt.headers) {
				t.Errorf("the headers to send are %v, want %v", got.Headers, tt.headers)
			}
		})
	}
}

func TestPresign_EndsWithTheSession(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		expires, left, want time.Duration
	}{
		{5 * time.Minute, time.Hour, 5 * time.Minute},
		{time.Hour, 10*time.Minute + 900*time.Millisecond, 10 * time.Minute},
		{MaxPresign, time.Second, time.Second},
		{time.Hour, 900 * time.Millisecond, 0},
		{time.Hour, -time.Hour, 0},
	} {
		now := testTime().Add(300 * time.Millisecond)
		end := testTime().Add(tt.left)
		in := presignInput(func(in *PresignInput) { in.Expires = tt.expires })
		got, err := Presign(S3{Region: "eu-west-1"}, testCredentials(), in, now, end)
		if tt.want == 0 {
			if err == nil || !strings.Contains(err.Error(), "session") {
				t.Errorf("with %s left: %v", tt.left, err)
			}
			continue
		}
		if err != nil || got.Valid != tt.want || got.End.After(end) {
			t.Errorf("with %s left: %+v, %v, want %s", tt.left, got, err, tt.want)
		}
	}
}

func TestPresignCheck_NamesTheFieldOfEveryMistake(t *testing.T) {
	t.Parallel()
	length := func(n int64) *int64 { return &n }
	put := func(in *PresignInput) { in.Method = http.MethodPut }
	for name, tt := range map[string]struct {
		change func(*PresignInput)
		field  string
		words  string
	}{
		"no method":            {func(in *PresignInput) { in.Method = "" }, "method", "GET, HEAD, PUT or DELETE"},
		"another method":       {func(in *PresignInput) { in.Method = "POST" }, "method", "GET, HEAD, PUT or DELETE"},
		"no bucket":            {func(in *PresignInput) { in.Bucket = "" }, "bucket", "not a bucket's name"},
		"a bucket with a path": {func(in *PresignInput) { in.Bucket = "a/b" }, "bucket", "not a bucket's name"},
		"no key":               {func(in *PresignInput) { in.Key = "" }, "key", "empty"},
		"a long key":           {func(in *PresignInput) { in.Key = strings.Repeat("ü", 513) }, "key", "1024 bytes"},
		"a key not UTF-8":      {func(in *PresignInput) { in.Key = "a\xff" }, "key", "UTF-8"},
		"a line break":         {func(in *PresignInput) { in.Key = "a\nb" }, "key", "control"},
		"NUL":                  {func(in *PresignInput) { in.Key = "a\x00" }, "key", "control"},
		"DEL":                  {func(in *PresignInput) { in.Key = "a\x7f" }, "key", "control"},
		"C1":                   {func(in *PresignInput) { in.Key = "a\u0085" }, "key", "control"},
		"a dot":                {func(in *PresignInput) { in.Key = "." }, "key", "segment"},
		"a dot inside":         {func(in *PresignInput) { in.Key = "a/./b" }, "key", "segment"},
		"two dots":             {func(in *PresignInput) { in.Key = "../a" }, "key", "segment"},
		"two dots at the end":  {func(in *PresignInput) { in.Key = "a/.." }, "key", "segment"},
		"no time":              {func(in *PresignInput) { in.Expires = 0 }, "expires", "7 days"},
		"too short":            {func(in *PresignInput) { in.Expires = time.Second - 1 }, "expires", "7 days"},
		"too long":             {func(in *PresignInput) { in.Expires = MaxPresign + time.Second }, "expires", "7 days"},
		"a header's injection": {func(in *PresignInput) { put(in); in.ContentType = "text/plain\r\nX-Evil: 1" },
			"content_type", "printable"},
		"a long header": {func(in *PresignInput) { in.ContentDisposition = strings.Repeat("a", 1025) },
			"content_disposition", "1024"},
		"a header not ASCII": {func(in *PresignInput) { in.ContentDisposition = "attachment; filename=ü" },
			"content_disposition", "printable"},
		"a version for PUT": {func(in *PresignInput) { put(in); in.VersionID = "1" }, "version_id",
			"GET, HEAD and DELETE"},
		"a type for DELETE": {func(in *PresignInput) { in.Method = "DELETE"; in.ContentType = "a/b" },
			"content_type", "GET, HEAD and PUT"},
		"a disposition for DELETE": {func(in *PresignInput) {
			in.Method, in.ContentDisposition = "DELETE", "inline"
		}, "content_disposition", "GET, HEAD and PUT"},
		"a checksum for GET": {func(in *PresignInput) { in.ChecksumSHA256 = checksumOfNothing() }, "checksum_sha256",
			"PUT alone"},
		"a checksum in hex": {func(in *PresignInput) { put(in); in.ChecksumSHA256 = strings.Repeat("0a", 32) },
			"checksum_sha256", "base64"},
		"a checksum unpadded": {func(in *PresignInput) { put(in); in.ChecksumSHA256 = checksumOfNothing()[:43] },
			"checksum_sha256", "base64"},
		"not nothing's": {func(in *PresignInput) {
			put(in)
			in.ChecksumSHA256 = strings.Repeat("A", 43) + "="
			in.ContentLength = length(0)
		}, "checksum_sha256", "empty object"},
		"a length for GET": {func(in *PresignInput) { in.ContentLength = length(1) }, "content_length", "PUT alone"},
		"a negative length": {func(in *PresignInput) { put(in); in.ContentLength = length(-1) }, "content_length",
			"negative"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := map[string]string{}
			presignInput(tt.change).Check(func(field, text string) { found[field] = text })
			if len(found) != 1 || !strings.Contains(found[tt.field], tt.words) {
				t.Errorf("what is wrong is %v, want %s: %s", found, tt.field, tt.words)
			}
		})
	}
	for _, key := range []string{"a", ".a", "a.", "...", "a/...", "/", "//", "/a", "a//b", "a/", "%2e%2e/a", `..\a`,
		"ü€😀", "a b+c?d#e&f", strings.Repeat("a", 1024)} {
		if text := CheckKey(key); text != "" {
			t.Errorf("the key %q %s", key, text)
		}
	}
}

func TestPresigned_PrintsNoURL(t *testing.T) {
	t.Parallel()
	got, err := Presign(S3{Region: "eu-west-1"}, testCredentials(), presignInput(nil), testTime(), time.Time{})
	if err != nil || strings.Contains(strings.Join([]string{got.URL.String(), got.URL.GoString()}, ""), "X-Amz") {
		t.Errorf("%v, %v", got, err)
	}
}

func BenchmarkPresign(b *testing.B) {
	creds, in, now := testCredentials(), presignInput(nil), testTime()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Presign(S3{Region: "eu-west-1"}, creds, in, now, time.Time{}); err != nil {
			b.Fatal(err)
		}
	}
}
