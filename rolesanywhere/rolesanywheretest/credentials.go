package rolesanywheretest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	"encoding/base64"
	"net/http"
	"strings"
	"time"
)

// SessionRequest is a CreateSession request that was verified and granted.
type SessionRequest struct {
	ProfileARN, RoleARN, TrustAnchorARN string
	// RoleSessionName is the one sent, or else the certificate's serial number in hexadecimal.
	RoleSessionName string
	// Duration is what was asked for; 0 if nothing was.
	Duration time.Duration
	// Expiration is when the session is to end.
	Expiration time.Time
	// Certificate is the verified leaf.
	Certificate *x509.Certificate
	// InstanceProperties are those sent; nil if none were.
	InstanceProperties map[string]string
}

// Credentials are what a session is worth. The zero Expiration means the request's.
type Credentials struct {
	AccessKeyID, SecretAccessKey, SessionToken string
	Expiration                                 time.Time
}

// session is a granted request on its way to the client.
type session struct {
	request                    SessionRequest
	credentials                Credentials
	partition, account, region string
}

// The response of CreateSession,
// https://docs.aws.amazon.com/rolesanywhere/latest/userguide/authentication-create-session.html.
type createSessionResponse struct {
	CredentialSet []credentialResponse `json:"credentialSet"`
	SubjectARN    string               `json:"subjectArn"`
}

type credentialResponse struct {
	AssumedRoleUser  assumedRoleUserResponse `json:"assumedRoleUser"`
	Credentials      credentialsResponse     `json:"credentials"`
	PackedPolicySize int                     `json:"packedPolicySize"`
	RoleARN          string                  `json:"roleArn"`
	SourceIdentity   string                  `json:"sourceIdentity"`
}

type assumedRoleUserResponse struct {
	ARN           string `json:"arn"`
	AssumedRoleID string `json:"assumedRoleId"`
}

type credentialsResponse struct {
	AccessKeyID     string `json:"accessKeyId"`
	Expiration      string `json:"expiration,omitempty"`
	SecretAccessKey string `json:"secretAccessKey"`
	SessionToken    string `json:"sessionToken"`
}

// vendRandom makes credentials that have the shape of AWS's and open nothing.
func vendRandom(context.Context, SessionRequest) (Credentials, error) {
	return Credentials{
		AccessKeyID:     "ASIA" + rand.Text()[:16],
		SecretAccessKey: randomBase64(30),
		SessionToken:    randomBase64(240),
	}, nil
}

func randomBase64(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return base64.StdEncoding.EncodeToString(b)
}

// sessionName is the serial number in hexadecimal where the client sends no name.
func (p parameters) sessionName(leaf *x509.Certificate) string {
	if p.roleSessionName != "" {
		return p.roleSessionName
	}
	// A one-digit serial would be below the two characters of a role session name.
	name := leaf.SerialNumber.Text(16)
	if len(name)%2 == 1 {
		name = "0" + name
	}
	return name
}

// response is what the service says of s; the identifiers that AWS assigns are derived from the
// role and the certificate, so that they stay the same from call to call.
func (s session) response(fault Fault) createSessionResponse {
	roleName := s.request.RoleARN[strings.LastIndex(s.request.RoleARN, "/")+1:]
	roleDigest := sha256.Sum256([]byte(s.request.RoleARN))
	roleID := "AROA" + base32.StdEncoding.EncodeToString(roleDigest[:])[:17]
	subjectDigest := sha256.Sum256(s.request.Certificate.RawSubject)

	response := createSessionResponse{
		CredentialSet: []credentialResponse{},
		SubjectARN: "arn:" + s.partition + ":rolesanywhere:" + s.region + ":" + s.account +
			":subject/" + formatUUID([16]byte(subjectDigest[:16])),
	}
	if fault.EmptyCredentialSet {
		return response
	}
	expiration := s.credentials.Expiration
	if !fault.Expiration.IsZero() {
		expiration = fault.Expiration
	}
	credentials := credentialsResponse{
		AccessKeyID:     s.credentials.AccessKeyID,
		SecretAccessKey: s.credentials.SecretAccessKey,
		SessionToken:    s.credentials.SessionToken,
		Expiration:      expiration.UTC().Format(time.RFC3339),
	}
	if fault.NoExpiration {
		credentials.Expiration = ""
	}
	response.CredentialSet = append(response.CredentialSet, credentialResponse{
		AssumedRoleUser: assumedRoleUserResponse{
			ARN: "arn:" + s.partition + ":sts::" + s.account +
				":assumed-role/" + roleName + "/" + s.request.RoleSessionName,
			AssumedRoleID: roleID + ":" + s.request.RoleSessionName,
		},
		Credentials:      credentials,
		PackedPolicySize: packedPolicySize,
		RoleARN:          s.request.RoleARN,
		SourceIdentity:   "CN=" + s.request.Certificate.Subject.CommonName,
	})
	return response
}

// packedPolicySize is not 0, so that a client that drops it can be noticed.
const packedPolicySize = 10

func (s *Service) answerSession(w http.ResponseWriter, r *http.Request, granted session, fault Fault) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	s.pauseBody(w, r, fault)
	_, _ = w.Write(marshal(granted.response(fault))) // a client that went away is not the service's failure
}
