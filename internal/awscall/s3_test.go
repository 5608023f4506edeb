package awscall

import (
	"io"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const twoBuckets = `<?xml version="1.0" encoding="UTF-8"?>
<ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
<Owner><ID>x</ID><DisplayName>Name</DisplayName></Owner>
<Buckets><Bucket><CreationDate>2019-12-11T23:32:47+00:00</CreationDate><Name>orders</Name></Bucket>
<Bucket><Name>reports</Name></Bucket></Buckets></ListAllMyBucketsResult>`

func TestListBuckets_ReturnsTheNames(t *testing.T) {
	t.Parallel()
	store := newService(t, 200, twoBuckets)
	list, err := testClient().ListBuckets(t.Context(), S3{Endpoint: store.url + "/", Region: "garage"},
		testCredentials())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(list.Names, []string{"orders", "reports"}) || list.Count != 2 {
		t.Errorf("the list is %+v", list)
	}
	request := store.last.Load()
	if request.Method != http.MethodGet || request.RequestURI != "/" || request.body != "" {
		t.Errorf("the request is %s %s with %q", request.Method, request.RequestURI, request.body)
	}
	for name, want := range map[string]string{
		"X-Amz-Date":           "20261123T120000Z",
		"X-Amz-Security-Token": canaryToken,
		// Of an empty body.
		"X-Amz-Content-Sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	} {
		if got := request.Header.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if got := request.Header.Get("Authorization"); !strings.Contains(got, "/20261123/garage/s3/aws4_request") {
		t.Errorf("Authorization = %q", got)
	}
}

func TestListBuckets_KeepsAThousandNamesAndTheTrueCount(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("<ListAllMyBucketsResult><Buckets>")
	for i := range 2500 {
		b.WriteString("<Bucket><Name>bucket-" + strconv.Itoa(i) + "</Name></Bucket>")
	}
	b.WriteString("</Buckets></ListAllMyBucketsResult>")
	list, err := respondWith(
		strings.NewReader(b.String()),
	).ListBuckets(t.Context(), S3{Region: "eu-west-1"}, testCredentials())
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Names) != 1000 || list.Count != 2500 || list.Names[999] != "bucket-999" {
		t.Errorf("%d names of %d, the last is %q", len(list.Names), list.Count, list.Names[len(list.Names)-1])
	}
}

func TestListBuckets_MalformedResponses(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"empty":          "",
		"a page":         "<html><body>Welcome</body></html>",
		"JSON":           `{"Buckets":[]}`,
		"another result": "<ListBucketResult><Name>orders</Name></ListBucketResult>",
		"cut":            twoBuckets[:len(twoBuckets)/2],
		"a long name": "<ListAllMyBucketsResult><Buckets><Bucket><Name>" + strings.Repeat("x", 256) +
			"</Name></Bucket></Buckets></ListAllMyBucketsResult>",
		"no name": "<ListAllMyBucketsResult><Buckets><Bucket><Name/></Bucket></Buckets></ListAllMyBucketsResult>",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list, err := respondWith(
				strings.NewReader(body),
			).ListBuckets(t.Context(), S3{Region: "eu-west-1"}, testCredentials())
			wantMalformed(t, err)
			if list != nil {
				t.Errorf("a list beside the error: %+v", list)
			}
		})
	}
}

// pattern is a body of a size that is never in memory as a whole. It notes the largest heap while it is read.
type pattern struct {
	opening, repeated string
	left              int
	offset            int
	peak              uint64
}

func (p *pattern) Read(b []byte) (int, error) {
	if p.left <= 0 {
		return 0, io.EOF
	}
	text := p.repeated
	if p.opening != "" {
		text, p.opening = p.opening, ""
		p.offset = 0
	}
	n := copy(b, text[p.offset:])
	p.offset = (p.offset + n) % len(p.repeated)
	p.left -= n
	if p.left/(1<<20) != (p.left+n)/(1<<20) {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		p.peak = max(p.peak, m.HeapAlloc)
	}
	return n, nil
}

// TestListBuckets_HoldsLittleInMemory is not parallel: it measures the heap of the process.
func TestListBuckets_HoldsLittleInMemory(t *testing.T) {
	const opening, bound = "<ListAllMyBucketsResult><Buckets>", 4 << 20
	for _, tt := range []struct{ name, opening, repeated string }{
		{"short names", opening, "<Bucket><Name>b</Name></Bucket>"},
		{"empty elements", opening, "<a/>"},
		{"nesting", opening, "<a>"},
		{"one text", opening, "xxxxxxxx"},
		{"one text in pieces", opening, "xxxxxxxx<!-- -->"},
		{"one comment", opening + "<!--", "xxxxxxxx"},
		{"one CDATA", opening + "<![CDATA[", "xxxxxxxx"},
		{"one directive", "<!DOCTYPE ", "xxxxxxxx"},
		{"one tag", "<a", "a"},
		{"attributes", "<a", ` a="b"`},
		{"name spaces", opening, `<a xmlns:b="c">`},
	} {
		body := &pattern{opening: tt.opening, repeated: tt.repeated, left: 9 << 20}
		var before runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		_, err := respondWith(body).ListBuckets(t.Context(), S3{Region: "eu-west-1"}, testCredentials())
		wantMalformed(t, err)
		if grown := int64(body.peak) - int64(before.HeapAlloc); grown > bound {
			t.Errorf("%s: the heap grew by %d KiB", tt.name, grown>>10)
		}
	}
}

func TestFenceCalls_SayWhatTheStoreSaid(t *testing.T) {
	t.Parallel()
	const denied = `<Error><Code>AccessDenied</Code><Message>Access Denied</Message><RequestId>R1</RequestId></Error>`
	for _, tt := range []struct {
		name             string
		status           int
		body             string
		head             bool
		denied, notFound bool
	}{
		{"a refused list", 403, denied, false, true, false},
		{"a refused read", 403, "", true, true, false},
		{"a read of what is not there", 404, "", true, false, true},
		{"a list that is allowed", 200, "<ListBucketResult/>", false, false, false},
		{"a read that is allowed", 200, "", true, false, false},
		{"a wrong signature", 403, `<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error>`, false,
			false, false},
		{"a proxy's page", 403, "<html/>", false, false, false},
		{"a page that is not there", 404, "<html/>", false, false, false},
		{"trouble", 500, "", true, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			service := newService(t, tt.status, tt.body)
			store := S3{Endpoint: service.url, Region: "eu-west-1", PathStyle: true}
			var err error
			if tt.head {
				err = testClient().HeadObject(t.Context(), store, testCredentials(), "orders", "a b/ü+c")
			} else {
				err = testClient().ListObjects(t.Context(), store, testCredentials(), "orders", "a b/ü+c")
			}
			if (err == nil) != (tt.status == 200) || IsAccessDenied(err) != tt.denied ||
				IsNotFound(err) != tt.notFound {
				t.Errorf("%v: denied %t, not found %t", err, IsAccessDenied(err), IsNotFound(err))
			}
			want := "/orders/?list-type=2&max-keys=1&prefix=a%20b%2F%C3%BC%2Bc"
			if tt.head {
				want = "/orders/a%20b/%C3%BC%2Bc"
			}
			if got := service.last.Load().RequestURI; got != want {
				t.Errorf("the request is for %s, want %s", got, want)
			}
		})
	}
}

func TestBucketURL_PutsTheBucketWhereItFits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		store       S3
		bucket, key string
		want        string
	}{
		{S3{Region: "eu-west-1"}, "orders", "a", "https://orders.s3.eu-west-1.amazonaws.com/a"},
		{S3{Region: "eu-west-1"}, "orders", "", "https://orders.s3.eu-west-1.amazonaws.com/"},
		{S3{Region: "eu-west-1", PathStyle: true}, "orders", "a", "https://s3.eu-west-1.amazonaws.com/orders/a"},
		{S3{Region: "eu-west-1"}, "or.ders", "a", "https://s3.eu-west-1.amazonaws.com/or.ders/a"},
		{S3{Endpoint: "http://store.example"}, "or.ders", "a", "http://store.example/or.ders/a"},
		{S3{Endpoint: "http://store.example"}, "192.168.1.1", "a", "http://store.example/192.168.1.1/a"},
		{S3{Endpoint: "http://store.example"}, "or..ders", "a", "http://store.example/or..ders/a"},
		{S3{Endpoint: "http://127.0.0.1:9000"}, "orders", "a", "http://127.0.0.1:9000/orders/a"},
		{S3{Endpoint: "https://[::1]:443"}, "orders", "a", "https://[::1]/orders/a"},
		{S3{Endpoint: "https://store.example:443/base/"}, "orders", "a", "https://orders.store.example/base/a"},
		{S3{Endpoint: "https://store.example/base", PathStyle: true}, "orders", "/a//b/",
			"https://store.example/base/orders//a//b/"},
		{S3{Endpoint: "https://store.example"}, "Orders_1", "a", "https://store.example/Orders_1/a"},
		{S3{Endpoint: "https://store.example"}, "orders", "a b+ü%2F?#&=;@:!*'()~",
			"https://orders.store.example/a%20b%2B%C3%BC%252F%3F%23%26%3D%3B%40%3A%21%2A%27%28%29~"},
		{S3{Endpoint: "https://store.example"}, strings.Repeat("a", 63), "a",
			"https://" + strings.Repeat("a", 63) + ".store.example/a"},
		{S3{Endpoint: "https://store.example"}, strings.Repeat("a", 64), "a",
			"https://store.example/" + strings.Repeat("a", 64) + "/a"},
		{S3{Endpoint: "https://store.example"}, strings.Repeat("a", 255), "a",
			"https://store.example/" + strings.Repeat("a", 255) + "/a"},
	} {
		u, err := tt.store.bucketURL(tt.bucket, tt.key)
		if err != nil || u.String() != tt.want {
			t.Errorf("%s %s = %v, %v, want %s", tt.bucket, tt.key, u, err, tt.want)
		}
	}
	for _, bucket := range []string{"", "a", "a/b", "../x", "a b", "a?b", "-ab", strings.Repeat("a", 256), "ab\n"} {
		if _, err := (S3{Region: "eu-west-1"}).bucketURL(bucket, "a"); err == nil {
			t.Errorf("the bucket %q is accepted", bucket)
		}
	}
}
