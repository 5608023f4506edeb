// Package connection holds what an operator has configured of one S3 connection: its fields and their rules, how a
// write changes it, how a read shows it, and its form in storage. It makes no calls.
package connection

import (
	"crypto/rand"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/network"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

// The values of auth_type.
const (
	AuthAccessKey     = "access_key"
	AuthRolesAnywhere = "roles_anywhere"
)

// Connection is one connection's configuration. It is a value: a change is made to a copy, and whoever holds the
// original keeps it as it was. No method but [Connection.Validate] changes it, so reading it is safe for concurrent
// use.
type Connection struct {
	// Revision differs from one write to the next, also after the connection was deleted and written again. A session
	// that was obtained with one revision is not used with another.
	Revision string
	// IdentityID names the identity of a roles_anywhere connection, which is stored by itself; whoever loads a
	// connection puts its current certificate and key in here. Empty: the certificate and key are the connection's
	// own, as version
	// 0.1.0 of the plugin stored them, or there are none.
	IdentityID string
	Settings

	SecretKey  secret.Text
	PrivateKey secret.Text // PEM; PKCS#8 without encryption once validated
	ProxyURL   secret.Text // may hold a user and password
	Passphrase secret.Text // decrypts the private key or PKCS#12 file of the same write; never stored
	PKCS12     secret.Text // base64 of a file with the certificate and private key of the same write; never stored

	// Renewed says that the certificate renews itself and that the last try did not fail. It is never stored.
	Renewed bool
}

// Settings are the fields that hold no secret. The tags are those of the stored entry and never change.
type Settings struct {
	AuthType     string `json:"auth_type"`
	Region       string `json:"region"`
	CustomRegion string `json:"custom_region,omitempty"`

	AccessKey      string `json:"access_key,omitempty"`
	RotationPeriod int64  `json:"rotation_period,omitempty"` // seconds; 0: only when asked to
	RotationGrace  int64  `json:"rotation_grace,omitempty"`  // seconds; 0: the default
	IAMEndpoint    string `json:"iam_endpoint,omitempty"`
	KeySince       int64  `json:"key_since,omitempty"` // when the access key was written or rotated; Unix seconds

	ProfileARN            string `json:"profile_arn,omitempty"`
	RoleARN               string `json:"role_arn,omitempty"`
	TrustAnchorARN        string `json:"trust_anchor_arn,omitempty"`
	SessionName           string `json:"session_name,omitempty"`
	SendSessionName       bool   `json:"send_session_name"`
	Duration              int64  `json:"duration"` // seconds
	ExtendedDuration      bool   `json:"extended_duration"`
	Certificate           string `json:"certificate,omitempty"` // PEM, leaf first
	RolesAnywhereEndpoint string `json:"rolesanywhere_endpoint,omitempty"`
	GenerateLease         bool   `json:"generate_lease"`

	AllowUnscoped bool `json:"allow_unscoped"`

	S3Endpoint  string `json:"s3_endpoint,omitempty"`
	S3Region    string `json:"s3_region,omitempty"`
	S3PathStyle bool   `json:"s3_path_style"`
	S3AllowHTTP bool   `json:"s3_allow_http"`
	STSEndpoint string `json:"sts_endpoint,omitempty"`
	CACert      string `json:"ca_cert,omitempty"` // PEM
}

// New returns a connection in which every field has its default, without a revision.
func New() Connection { return Table().New() }

// NewRevision returns a revision that no other write has.
func NewRevision() string { return rand.Text() }

// AWSRegion is the region of AWS to which calls go.
func (c *Connection) AWSRegion() string {
	if c.CustomRegion != "" {
		return c.CustomRegion
	}
	return c.Region
}

// SigningRegion is the region for which S3 requests are signed.
func (c *Connection) SigningRegion() string {
	if c.S3Region != "" {
		return c.S3Region
	}
	return c.AWSRegion()
}

// UsesRolesAnywhere reports whether the connection obtains sessions, and does not hand out access keys as they are.
func (c *Connection) UsesRolesAnywhere() bool { return c.AuthType == AuthRolesAnywhere }

// Network is what the connection's calls trust and which way they go.
func (c *Connection) Network() network.Settings {
	return network.Settings{CACert: c.CACert, ProxyURL: c.ProxyURL}
}

// Identity parses the certificate and private key. It fails only for a connection that was not validated.
func (c *Connection) Identity() (*rolesanywhere.Identity, error) {
	return rolesanywhere.ParseIdentity([]byte(c.Certificate), []byte(c.PrivateKey.Reveal()), nil)
}

// SessionInput is the CreateSession request that the connection describes.
func (c *Connection) SessionInput() rolesanywhere.CreateSessionInput {
	in := rolesanywhere.CreateSessionInput{
		ProfileARN:     c.ProfileARN,
		RoleARN:        c.RoleARN,
		TrustAnchorARN: c.TrustAnchorARN,
		Duration:       time.Duration(c.Duration) * time.Second,
	}
	if c.SendSessionName {
		in.RoleSessionName = sentSessionName(c.SessionName)
	}
	return in
}
