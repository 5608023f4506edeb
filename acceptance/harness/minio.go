package harness

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// MinIORegion is the region that MinIO believes itself in, and signs for, by default.
const MinIORegion = "us-east-1"

// MinIORole is a role ARN for AssumeRole: MinIO takes any of at least 20 characters and looks no further.
const MinIORole = "arn:aws:iam::123456789012:role/acceptance"

// minSession is the shortest session that MinIO's STS issues.
const minSession = 15 * time.Minute

// MinIO is a real S3-compatible server with the AssumeRole of a real STS.
type MinIO struct {
	t         testing.TB
	scheme    string
	port      int
	dir       string
	ca        *authority // nil without TLS
	proc      *process
	accessKey string
	secretKey string
}

// StartMinIO starts MinIO on plain HTTP with random root keys and one empty disk.
func StartMinIO(t testing.TB) *MinIO {
	t.Helper()
	return startMinIO(t, nil)
}

// StartMinIOTLS starts MinIO on HTTPS, with a certificate of a CA made for it, see MinIO.CAFile.
func StartMinIOTLS(t testing.TB) *MinIO {
	t.Helper()
	return startMinIO(t, newAuthority(t))
}

func startMinIO(t testing.TB, ca *authority) *MinIO {
	t.Helper()
	m := &MinIO{
		t: t, scheme: "http", port: FreePort(t), dir: t.TempDir(), ca: ca,
		accessKey: "root" + rand.Text()[:12], secretKey: rand.Text(),
	}
	disk, certs := filepath.Join(m.dir, "disk"), filepath.Join(m.dir, "certs")
	for _, dir := range []string{disk, certs} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatalf("making MinIO's directories: %v", err)
		}
	}
	if ca != nil {
		m.scheme = "https"
		m.installCert(certs)
	}
	m.proc = startProcess(t, processSpec{
		name: "minio",
		path: mustBinary(t, minioBinary),
		args: []string{"server", disk, "--address", fmt.Sprintf("127.0.0.1:%d", m.port), "--certs-dir", certs},
		// MINIO_UPDATE and MINIO_BROWSER: no look-up of new releases, no console.
		env: cleanEnv(m.dir, "MINIO_ROOT_USER="+m.accessKey, "MINIO_ROOT_PASSWORD="+m.secretKey,
			"MINIO_REGION="+MinIORegion, "MINIO_BROWSER=off", "MINIO_UPDATE=off"),
		logPath: filepath.Join(m.dir, "minio.log"),
	})
	waitFor(t, "MinIO to be ready", m.ready, m.proc)
	return m
}

// installCert puts the certificate where MinIO looks for it.
func (m *MinIO) installCert(certs string) {
	m.t.Helper()
	m.ca.writeServerCert(m.t, m.dir)
	for from, to := range map[string]string{serverCertFile: "public.crt", serverKeyFile: "private.key"} {
		if err := os.Rename(filepath.Join(m.dir, from), filepath.Join(certs, to)); err != nil {
			m.t.Fatalf("installing MinIO's certificate: %v", err)
		}
	}
}

func (m *MinIO) ready(ctx context.Context) error {
	// The health endpoints answer before IAM does, and S3 before STS: a session that lists buckets needs them all.
	creds, err := m.AssumeRole(ctx, minSession, "")
	if err == nil {
		_, err = m.Client(creds).ListBuckets(ctx, &s3.ListBucketsInput{})
	}
	return err
}

// Endpoint is the server's URL, for S3 and STS alike, without a trailing slash.
func (m *MinIO) Endpoint() string { return fmt.Sprintf("%s://127.0.0.1:%d", m.scheme, m.port) }

// CAFile is the path of the PEM certificate that the server's own chains to; empty without TLS.
func (m *MinIO) CAFile() string {
	if m.ca == nil {
		return ""
	}
	return filepath.Join(m.dir, caFile)
}

// RootCredentials are the server's long-lived keys, which may do everything.
func (m *MinIO) RootCredentials() aws.Credentials {
	return aws.Credentials{AccessKeyID: m.accessKey, SecretAccessKey: m.secretKey}
}

// Client returns an S3 client that signs with creds, uses path style and never retries.
func (m *MinIO) Client(creds aws.Credentials) *s3.Client {
	return s3.New(s3.Options{
		Region:       MinIORegion,
		BaseEndpoint: aws.String(m.Endpoint()),
		UsePathStyle: true,
		Credentials:  credentials.StaticCredentialsProvider{Value: creds},
		HTTPClient:   m.httpClient(),
		Retryer:      aws.NopRetryer{},
	})
}

// AssumeRole obtains temporary credentials from MinIO's STS. MinIO accepts 15 minutes to 7 days and at most narrows
// the root keys' rights by policy, an IAM policy document in JSON; empty means all of them.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
func (m *MinIO) AssumeRole(ctx context.Context, duration time.Duration, policy string) (aws.Credentials, error) {
	client := sts.New(sts.Options{
		Region:       MinIORegion,
		BaseEndpoint: aws.String(m.Endpoint()),
		Credentials:  credentials.StaticCredentialsProvider{Value: m.RootCredentials()},
		HTTPClient:   m.httpClient(),
		Retryer:      aws.NopRetryer{},
	})
	in := &sts.AssumeRoleInput{
		RoleArn:         aws.String(MinIORole),
		RoleSessionName: aws.String("acceptance"),
		DurationSeconds: aws.Int32(int32(duration / time.Second)),
	}
	if policy != "" {
		in.Policy = aws.String(policy)
	}
	out, err := client.AssumeRole(ctx, in)
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("assuming a role at MinIO: %w", err)
	}
	return aws.Credentials{
		AccessKeyID:     aws.ToString(out.Credentials.AccessKeyId),
		SecretAccessKey: aws.ToString(out.Credentials.SecretAccessKey),
		SessionToken:    aws.ToString(out.Credentials.SessionToken),
		CanExpire:       true,
		Expires:         aws.ToTime(out.Credentials.Expiration),
	}, nil
}

// MakeBucket creates an empty bucket.
func (m *MinIO) MakeBucket(name string) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), readyTimeout)
	defer cancel()
	_, err := m.Client(m.RootCredentials()).CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(name)})
	if err != nil {
		m.t.Fatalf("making bucket %s: %v", name, err)
	}
}

// Kill ends the server at once: connections to it are refused from then on.
func (m *MinIO) Kill() {
	m.t.Helper()
	m.proc.kill(m.t)
}

// httpClient takes no proxy from the environment and keeps no connection to a server that a test may have killed.
func (m *MinIO) httpClient() *http.Client {
	transport := &http.Transport{DisableKeepAlives: true}
	if m.ca != nil {
		transport.TLSClientConfig = &tls.Config{RootCAs: m.ca.pool(), MinVersion: tls.VersionTLS12}
	}
	return &http.Client{Transport: transport, Timeout: requestTimeout}
}
