package s3conn

import (
	"crypto/rand"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

const (
	authAccessKey     = "access_key"
	authRolesAnywhere = "roles_anywhere"

	defaultDuration = 3600
)

// connection is what an operator said about one connection. It is a value: a handler changes its own copy, and
// what others hold stays as it was.
type connection struct {
	// revision differs from one write to the next, also across a delete, so that whatever was made from an
	// earlier configuration can be told from what belongs to this one.
	revision string
	settings

	secretKey  secret.Text
	privateKey secret.Text
	proxyURL   secret.Text // may carry a user and password
	passphrase secret.Text // opens privateKey on its way in and is never stored
}

// settings are the fields that hold no secret. The tags are those of the stored entry.
type settings struct {
	AuthType     string `json:"auth_type"`
	Region       string `json:"region"`
	CustomRegion string `json:"custom_region,omitempty"`

	AccessKey string `json:"access_key,omitempty"`

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

	S3Endpoint  string `json:"s3_endpoint,omitempty"`
	S3Region    string `json:"s3_region,omitempty"`
	S3PathStyle bool   `json:"s3_path_style"`
	S3AllowHTTP bool   `json:"s3_allow_http"`
	CACert      string `json:"ca_cert,omitempty"` // PEM
}

// newConnection returns a connection with every default in place and nothing else.
func newConnection() connection {
	return connection{settings: settings{
		AuthType:        authAccessKey,
		Region:          defaultRegion,
		SendSessionName: true,
		Duration:        defaultDuration,
		GenerateLease:   true,
	}}
}

func newRevision() string { return rand.Text() }

// region is the AWS region that calls go to.
func (c *connection) region() string {
	if c.CustomRegion != "" {
		return c.CustomRegion
	}
	return c.Region
}

// s3Region is the region that S3 requests are signed for.
func (c *connection) s3Region() string {
	if c.S3Region != "" {
		return c.S3Region
	}
	return c.region()
}

func (c *connection) usesRolesAnywhere() bool { return c.AuthType == authRolesAnywhere }

// identity parses the certificate and key. It fails only where validation was not run on the connection.
func (c *connection) identity() (*rolesanywhere.Identity, error) {
	return rolesanywhere.ParseIdentity([]byte(c.Certificate), []byte(c.privateKey.Reveal()), nil)
}

// sessionInput is the CreateSession request that the connection describes.
func (c *connection) sessionInput() rolesanywhere.CreateSessionInput {
	in := rolesanywhere.CreateSessionInput{
		ProfileARN:     c.ProfileARN,
		RoleARN:        c.RoleARN,
		TrustAnchorARN: c.TrustAnchorARN,
		Duration:       time.Duration(c.Duration) * time.Second,
	}
	if c.SendSessionName {
		in.RoleSessionName = rolesanywhere.SessionName(c.SessionName)
	}
	return in
}
