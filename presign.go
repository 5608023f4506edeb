package s3conn

import (
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/awscall"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
)

// presignInput reads the decoded fields.
func presignInput(data map[string]any) awscall.PresignInput {
	values := map[string]any{}
	for _, row := range presignRows() {
		values[row.Name] = row.Default
		if given := data[row.Name]; given != nil {
			values[row.Name] = given
		}
	}
	text := func(name string) string { value, _ := values[name].(string); return value }
	seconds, _ := values["expires"].(int64)
	in := awscall.PresignInput{
		Method: text("method"), Bucket: text("bucket"), Key: text("key"), Expires: time.Duration(seconds) * time.Second,
		VersionID: text(
			"version_id",
		), ContentType: text("content_type"), ContentDisposition: text("content_disposition"),
		ChecksumSHA256: text("checksum_sha256"),
	}
	if length, given := values["content_length"].(int64); given {
		in.ContentLength = &length
	}
	return in
}

// presigned signs, and makes the response.
func (b *backend) presigned(
	conn *connection.Connection,
	creds *credentials,
	in awscall.PresignInput,
) (*logical.Response, error) {
	store := awscall.S3{Endpoint: conn.S3Endpoint, Region: conn.SigningRegion(), PathStyle: conn.S3PathStyle}
	signed, err := awscall.Presign(store, creds.forCalls(), in, b.now(), creds.expiration)
	switch {
	case errors.Is(err, awscall.ErrSessionEnding):
		return nil, &unsettledError{err.Error() + "; try again"}
	case err != nil:
		return nil, err
	}
	resp := &logical.Response{Data: map[string]any{
		"url":           signed.URL.Reveal(),
		"method":        signed.Method,
		"headers":       signed.Headers,
		"expiration":    signed.End.UTC().Format(time.RFC3339),
		"valid_seconds": int64(signed.Valid / time.Second),
	}}
	if signed.Valid < in.Expires {
		resp.AddWarning(
			fmt.Sprintf(
				"expires: the URL is valid for %d seconds and not for %d, because the session that signed it ends then",
				int64(signed.Valid/time.Second),
				int64(in.Expires/time.Second),
			),
		)
	}
	return resp, nil
}
