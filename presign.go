package s3conn

import (
	"fmt"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/awscall"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
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
	seconds, _ := values["expires"].(int64)
	in := awscall.PresignInput{
		Method:             textAt(values, "method"),
		Bucket:             textAt(values, "bucket"),
		Key:                textAt(values, "key"),
		Expires:            time.Duration(seconds) * time.Second,
		VersionID:          textAt(values, "version_id"),
		ContentType:        textAt(values, "content_type"),
		ContentDisposition: textAt(values, "content_disposition"),
		ChecksumSHA256:     textAt(values, "checksum_sha256"),
	}
	if length, given := values["content_length"].(int64); given {
		in.ContentLength = &length
	}
	return in
}

// callCredentials returns credentials as signed calls take them.
func callCredentials(creds *session.Session) awscall.Credentials {
	return awscall.Credentials{
		AccessKeyID: creds.AccessKey, SecretAccessKey: creds.SecretKey, SessionToken: creds.SessionToken,
	}
}

// presigned signs, and makes the response.
func (b *backend) presigned(conn *connection.Connection, creds *session.Session,
	in awscall.PresignInput) (*logical.Response, error) {
	now := b.clock()
	end := credentialsEnd(conn, creds, now)
	signed, err := awscall.Presign(storeOf(conn), callCredentials(creds), in, now.Wall, end)
	if err != nil {
		return nil, err
	}
	valid := int64(signed.Valid / time.Second)
	resp := &logical.Response{Data: map[string]any{
		"url":           signed.URL.Reveal(),
		"method":        signed.Method,
		"headers":       signed.Headers,
		"expiration":    signed.End.UTC().Format(time.RFC3339),
		"valid_seconds": valid,
	}}
	if signed.Valid < in.Expires {
		resp.AddWarning(fmt.Sprintf("expires: the URL is valid for %d seconds and not for %d, because the credentials "+
			"that sign it end then", valid, int64(in.Expires/time.Second)))
	}
	return resp, nil
}

// credentialsEnd returns until when credentials work for sure; zero: for ever. An access key that is rotated works for
// its grace after the next rotation.
func credentialsEnd(conn *connection.Connection, creds *session.Session, now session.Instant) time.Time {
	if expires(creds) {
		return now.Wall.Add(creds.Remaining(now))
	}
	_, next := conn.LastRotation()
	if next.IsZero() {
		return time.Time{}
	}
	if next.Before(now.Wall) {
		next = now.Wall
	}
	_, grace := conn.Rotation()
	return next.Add(grace)
}

// storeOf is where the connection's objects are.
func storeOf(conn *connection.Connection) awscall.S3 {
	return awscall.S3{Endpoint: conn.S3Endpoint, Region: conn.SigningRegion(), PathStyle: conn.S3PathStyle}
}
