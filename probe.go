package s3conn

import (
	"context"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/awscall"
	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/network"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
)

const (
	opListBuckets = "ListBuckets"

	// maxProbeWait bounds a whole test: a request in flight holds Vault's state lock, so this is also how long a
	// hanging service can delay a leader's step-down.
	maxProbeWait = 14 * time.Second
)

func testWait(*logical.Request) time.Duration { return maxProbeWait }

// probeResult is what a test that passed found out.
type probeResult struct {
	credentials   session.Session
	buckets       awscall.BucketList
	createSession time.Duration
	listBuckets   time.Duration
}

// probe tests a connection: a session of its own where one is needed, then ListBuckets.
func (b *backend) probe(ctx context.Context, conn *connection.Connection) (*probeResult, error) {
	ctx, cancel := context.WithTimeout(ctx, maxProbeWait)
	defer cancel()
	result := &probeResult{}
	start := b.now()
	if err := requireCertificate(conn, "NAME"); err != nil {
		return nil, err
	}
	if conn.UsesRolesAnywhere() {
		obtained, err := b.obtain(ctx, conn, budget.Test)
		if err != nil {
			return nil, err
		}
		result.credentials = obtained
	} else {
		result.credentials = session.Session{AccessKey: conn.AccessKey, SecretKey: conn.SecretKey}
	}
	created := b.now()
	buckets, err := b.listBuckets(ctx, conn, &result.credentials)
	b.monitor.calledAt(opListBuckets, created, err)
	if err != nil {
		return nil, describeListBuckets(err)
	}
	result.buckets = *buckets
	result.createSession, result.listBuckets = created.Sub(start), b.now().Sub(created)
	return result, nil
}

func (b *backend) listBuckets(ctx context.Context, conn *connection.Connection,
	creds *session.Session) (*awscall.BucketList, error) {
	httpClient, err := network.NewClient(conn.Network())
	if err != nil {
		return nil, err
	}
	defer httpClient.CloseIdleConnections()
	client := &awscall.Client{HTTP: httpClient, Now: b.now, EnterLarge: b.costs.largeResponses.Enter}
	return client.ListBuckets(ctx, storeOf(conn), callCredentials(creds))
}

func (r *probeResult) response(conn *connection.Connection, now time.Time) map[string]any {
	data := map[string]any{
		"identity":        r.credentials.AccessKey,
		"auth_type":       conn.AuthType,
		"region":          conn.SigningRegion(),
		"bucket_count":    r.buckets.Count,
		"buckets":         append([]string{}, r.buckets.Names...),
		"list_buckets_ms": r.listBuckets.Milliseconds(),
	}
	if conn.S3Endpoint != "" {
		data["endpoint"] = conn.S3Endpoint
	}
	if !expires(&r.credentials) {
		return data
	}
	data["identity"] = r.credentials.ARN
	data["create_session_ms"] = r.createSession.Milliseconds()
	data["expiration"] = r.credentials.Expiration.UTC().Format(time.RFC3339)
	if end := conn.CertificateEnd().NotAfter; !end.IsZero() {
		data["certificate_not_after"] = end.UTC().Format(time.RFC3339)
		data["certificate_ttl"] = int64(end.Sub(now) / time.Second)
	}
	return data
}
