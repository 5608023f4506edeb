package awscall

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	maxKey         = 1024 // bytes, S3's limit
	maxHeaderValue = 1024 // bytes, this package's own
)

// Check calls wrong for everything in the input that S3 refuses, or that would make the URL mean another object to some
// client. The text goes behind the name of the field and quotes nothing.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
func (in PresignInput) Check(wrong func(field, text string)) {
	if !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete}, in.Method) {
		wrong("method", "has to be GET, HEAD, PUT or DELETE")
	}
	if !isBucketName(in.Bucket) {
		wrong("bucket", "is not a bucket's name: those have 3 to 63 lower-case letters, digits, dashes and dots")
	}
	if text := CheckKey(in.Key); text != "" {
		wrong("key", text)
	}
	if in.Expires < time.Second || in.Expires > MaxPresign {
		wrong("expires", "has to be from 1 second to 7 days (604800)")
	}
	for _, one := range []struct{ field, value string }{
		{"version_id", in.VersionID}, {"content_type", in.ContentType}, {"content_disposition", in.ContentDisposition},
	} {
		if len(one.value) > maxHeaderValue {
			wrong(one.field, "is longer than 1024 bytes")
		} else if strings.ContainsFunc(one.value, func(r rune) bool { return r < ' ' || r > '~' }) {
			wrong(one.field, "holds a character that is not printable ASCII, which no HTTP header carries safely")
		}
	}
	in.checkMethodFields(wrong)
}

// checkMethodFields refuses fields that would have no effect with the method.
func (in PresignInput) checkMethodFields(wrong func(field, text string)) {
	upload := in.Method == http.MethodPut
	const forUploads = "is for PUT alone"
	if in.ChecksumSHA256 != "" {
		digest, err := base64.StdEncoding.Strict().DecodeString(in.ChecksumSHA256)
		switch {
		case !upload:
			wrong("checksum_sha256", forUploads)
		case err != nil || len(digest) != sha256.Size:
			wrong("checksum_sha256", "is not the base64 form of a SHA-256 digest, which has 44 characters")
		case in.ContentLength != nil && *in.ContentLength == 0 && in.ChecksumSHA256 != checksumOfNothing():
			wrong("checksum_sha256", "is not that of an empty object, which content_length asks for")
		}
	}
	if in.ContentLength != nil {
		switch {
		case !upload:
			wrong("content_length", forUploads)
		case *in.ContentLength < 0:
			wrong("content_length", "is negative; it is a number of bytes")
		}
	}
	if in.VersionID != "" && upload {
		wrong("version_id", "is for GET, HEAD and DELETE: S3 names the version of what is uploaded")
	}
	if in.Method == http.MethodDelete {
		const elsewhere = "is for GET, HEAD and PUT"
		if in.ContentType != "" {
			wrong("content_type", elsewhere)
		}
		if in.ContentDisposition != "" {
			wrong("content_disposition", elsewhere)
		}
	}
}

// CheckKey returns what is wrong with an object's key, or "". HTTP clients rewrite paths with the segments "." and ".."
// before they send them, so that a URL for one key would be a request for another.
func CheckKey(key string) string {
	switch {
	case key == "":
		return "is empty"
	case len(key) > maxKey:
		return "is longer than 1024 bytes, S3's limit"
	case !utf8.ValidString(key):
		return "is not UTF-8"
	case strings.ContainsFunc(key, unicode.IsControl):
		return "holds a control character"
	}
	for segment := range strings.SplitSeq(key, "/") {
		if segment == "." || segment == ".." {
			return `has "." or ".." as a segment, which HTTP clients rewrite: the request would be for another key`
		}
	}
	return ""
}
