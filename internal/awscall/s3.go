package awscall

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

const (
	// maxBucketList bounds the response of ListBuckets, in bytes: 10,000 buckets are about 2 MiB.
	maxBucketList = 8 << 20
	// maxBucketNames is how many names are kept.
	maxBucketNames = 1000
	// maxBucketName is the longest name that any bucket of S3 may have, in bytes.
	maxBucketName = 255
)

// BucketList is what ListBuckets returned.
type BucketList struct {
	Names []string // the first 1,000
	Count int      // of all buckets in the response
}

// ListBuckets lists the buckets that the credentials' account owns. Its response is read as a stream of at most 8 MiB,
// of which little is held in memory.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html
func (c *Client) ListBuckets(ctx context.Context, store S3, creds Credentials) (*BucketList, error) {
	address, err := parseEndpoint(store.endpoint())
	if err != nil {
		return nil, err
	}
	list := &BucketList{}
	what := call{service: serviceS3, region: store.Region, method: http.MethodGet, url: address, limit: maxBucketList}
	err = c.do(ctx, what, creds, func(body io.Reader) error {
		return expectRoot("ListAllMyBucketsResult")(walkXML(body, func(path, text string) error {
			if path != "ListAllMyBucketsResult/Buckets/Bucket/Name" {
				return nil
			}
			if text == "" || len(text) > maxBucketName {
				return errors.New("it lists a bucket whose name cannot be one")
			}
			list.Count++
			if len(list.Names) < maxBucketNames {
				list.Names = append(list.Names, text)
			}
			return nil
		}))
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// expectRoot judges what walkXML returned.
func expectRoot(want string) func(root string, err error) error {
	return func(root string, err error) error {
		if err == nil && root != want {
			return errors.New("it is not a " + want)
		}
		return err
	}
}

// ListObjects lists at most one object of the bucket whose key begins with prefix, only to see whether the credentials
// may: a nil error says that they may. See [IsAccessDenied].
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
func (c *Client) ListObjects(ctx context.Context, store S3, creds Credentials, bucket, prefix string) error {
	address, err := store.bucketURL(bucket, "")
	if err != nil {
		return err
	}
	address.RawQuery = "list-type=2&max-keys=1&prefix=" + percentEncode(prefix)
	what := call{
		service: serviceS3,
		region:  store.Region,
		method:  http.MethodGet,
		url:     address,
		limit:   maxSmallResponse,
	}
	return c.do(ctx, what, creds, func(body io.Reader) error {
		return expectRoot("ListBucketResult")(walkXML(body, ignore))
	})
}

// HeadObject asks for an object's metadata, only to see whether the credentials may: a nil error says that they may and
// that the object exists, [IsNotFound] that they may and it does not, [IsAccessDenied] that they may not.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
func (c *Client) HeadObject(ctx context.Context, store S3, creds Credentials, bucket, key string) error {
	address, err := store.bucketURL(bucket, key)
	if err != nil {
		return err
	}
	what := call{
		service: serviceS3,
		region:  store.Region,
		method:  http.MethodHead,
		url:     address,
		limit:   maxSmallResponse,
	}
	return c.do(ctx, what, creds, func(io.Reader) error { return nil })
}

// The lengths of names are compared beside the patterns: repetitions with bounds compile to hundreds of KiB, at every
// start of the plugin.
var bucketPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]+$`)

// isBucketName accepts every name that a bucket of S3 has ever been allowed to have. Names with more than letters,
// digits, dots and dashes are of old buckets in us-east-1 and of other stores.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
func isBucketName(name string) bool {
	return len(name) <= maxBucketName && bucketPattern.MatchString(name)
}

// hostBucket is a name that can be a host name's first label. One with dots would be several, to which a TLS
// certificate for *.HOST does not apply.
var hostBucket = regexp.MustCompile(`^[a-z0-9][a-z0-9-]+[a-z0-9]$`)

// maxHostLabel is the longest label of a host name.
const maxHostLabel = 63

// bucketURL returns the address of an object, or of the bucket where key is empty.
func (s S3) bucketURL(bucket, key string) (*url.URL, error) {
	u, err := parseEndpoint(s.endpoint())
	if err != nil {
		return nil, err
	}
	if !isBucketName(bucket) {
		return nil, errors.New("reading the bucket's name: it is not one that S3 allows")
	}
	base := u.EscapedPath()
	if s.inPath(u, bucket) {
		u.Path += bucket + "/"
		base += percentEncode(bucket) + "/"
	} else {
		u.Host = bucket + "." + u.Host
	}
	u.Path += key
	u.RawPath = base + strings.ReplaceAll(percentEncode(key), "%2F", "/")
	return u, nil
}

func (s S3) inPath(u *url.URL, bucket string) bool {
	_, notIP := netip.ParseAddr(u.Hostname())
	return s.PathStyle || notIP == nil || len(bucket) > maxHostLabel || !hostBucket.MatchString(bucket)
}

// percentEncode encodes all but the unreserved characters of RFC 3986, as Signature Version 4 wants it.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
func percentEncode(s string) string {
	const upperHex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(upperHex[c>>4])
			b.WriteByte(upperHex[c&15])
		}
	}
	return b.String()
}
