package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/bench/answer"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// account stands for AWS: IAM Roles Anywhere for our plugin, STS for Vault's AWS engine. Both issue the same
// credentials. AWS's own STS speaks TLS alone; the plain one shows how much of a read that is.
type account struct {
	anywhere    *rolesanywheretest.Server
	certificate *rolesanywheretest.Issued
	sts         *httptest.Server
	stsCA       []byte // PEM
	plainSTS    *httptest.Server
	// Calls of AssumeRole: those with a session policy are of our scopes, the others of the AWS engine.
	narrowed, assumed atomic.Int64
}

// awsCalls are how often AWS was asked for credentials.
type awsCalls struct {
	sessions          int   // CreateSession, by ours
	narrowed, assumed int64 // AssumeRole, by ours and by the AWS engine
}

func (a *account) calls() awsCalls {
	return awsCalls{a.anywhere.Sessions(), a.narrowed.Load(), a.assumed.Load()}
}

func startAccount() (*account, error) {
	authority, err := rolesanywheretest.NewAuthority(rolesanywheretest.AuthorityOptions{})
	if err != nil {
		return nil, fmt.Errorf("making a CA: %w", err)
	}
	a := &account{}
	// Long enough for the engine not to warn of its end, which would make its answers longer.
	a.certificate, err = authority.Issue(rolesanywheretest.IssueOptions{NotAfter: time.Now().AddDate(1, 0, 0)})
	if err != nil {
		return nil, fmt.Errorf("issuing a certificate: %w", err)
	}
	a.anywhere = rolesanywheretest.NewServer(rolesanywheretest.Options{
		TrustAnchors: []*x509.Certificate{authority.Certificate()},
		Vend: func(context.Context, rolesanywheretest.SessionRequest) (rolesanywheretest.Credentials, error) {
			return rolesanywheretest.Credentials{AccessKeyID: answer.AccessKeyID,
				SecretAccessKey: answer.SecretAccessKey,
				SessionToken:    answer.SessionToken()}, nil
		},
	})
	certificate, err := selfSigned()
	if err != nil {
		return nil, fmt.Errorf("making a certificate for STS: %w", err)
	}
	a.stsCA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})
	a.sts = httptest.NewUnstartedServer(http.HandlerFunc(a.serveSTS))
	a.sts.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	a.sts.StartTLS()
	a.plainSTS = httptest.NewServer(http.HandlerFunc(a.serveSTS))
	return a, nil
}

// selfSigned makes a certificate for loopback with a P-256 key, which costs a server the least: AWS's share of a
// handshake is not to be measured.
func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().AddDate(0, 0, 1),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

func (a *account) close() {
	a.anywhere.Close()
	for _, server := range []*httptest.Server{a.sts, a.plainSTS} {
		server.CloseClientConnections()
		server.Close()
	}
}

// maxForm bounds a request to the stand-in.
const maxForm = 64 << 10

// serveSTS answers as fast as it can and checks nothing: what is measured is its caller.
//
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
func (a *account) serveSTS(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	w.Header().Set("Content-Type", "text/xml")
	switch r.PostFormValue("Action") {
	case "AssumeRole":
		if r.PostFormValue("Policy") != "" {
			a.narrowed.Add(1)
		} else {
			a.assumed.Add(1)
		}
		fmt.Fprintf(w, assumeRoleXML, answer.AccessKeyID, answer.SecretAccessKey, answer.SessionToken(),
			time.Now().Add(answer.Lifetime).UTC().Format(time.RFC3339), answer.AssumedRoleARN, answer.SessionName)
	case "GetCallerIdentity":
		fmt.Fprintf(w, callerIdentityXML, answer.Account, answer.Account)
	default:
		http.Error(w, "<ErrorResponse><Error><Code>InvalidAction</Code></Error></ErrorResponse>", http.StatusBadRequest)
	}
}

const (
	assumeRoleXML = `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">` +
		`<AssumeRoleResult><Credentials>` +
		`<AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken>` +
		`<Expiration>%s</Expiration></Credentials>` +
		`<AssumedRoleUser><Arn>%s</Arn><AssumedRoleId>AROAEXAMPLE:%s</AssumedRoleId>` +
		`</AssumedRoleUser></AssumeRoleResult>` +
		`<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleResponse>`
	callerIdentityXML = `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">` +
		`<GetCallerIdentityResult><Arn>arn:aws:iam::%s:user/vault</Arn><UserId>AIDAEXAMPLE</UserId>` +
		`<Account>%s</Account></GetCallerIdentityResult>` +
		`<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetCallerIdentityResponse>`
)
