package main

import (
	"context"
	"crypto/subtle"
	"encoding/xml"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/rclone/gofakes3"
	"github.com/rclone/gofakes3/s3mem"

	"github.com/s3conn/vault-plugin-s3conn/internal/scope/iamtest"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// store is an S3 in memory. It verifies signatures and, as AWS does, the session token, its expiry and the session
// policy. All its methods are safe for concurrent use.
type store struct {
	url    string // its endpoint, path style
	server *http.Server
	s3     *gofakes3.GoFakeS3
	now    func() time.Time

	mu       sync.Mutex
	sessions map[string]admitted // by access key ID
}

// admitted is a session that the store accepts.
type admitted struct {
	rolesanywheretest.Credentials
	policy *iamtest.Policy // nil: it may do everything
}

// startStore serves buckets, each with two objects, on a loopback port. accessKey and secretKey are a user's long-lived
// access key. The caller closes the store.
func startStore(ctx context.Context, now func() time.Time, accessKey, secretKey string, buckets ...string) (*store,
	error) {
	backend := s3mem.New()
	for _, bucket := range buckets {
		if err := backend.CreateBucket(ctx, bucket); err != nil {
			return nil, fmt.Errorf("creating bucket %s: %w", bucket, err)
		}
		for key, text := range map[string]string{outsideKey: "one object of " + bucket, insideKey: "a report of " +
			bucket} {
			_, err := backend.PutObject(ctx, bucket, key, map[string]string{}, strings.NewReader(text),
				int64(len(text)))
			if err != nil {
				return nil, fmt.Errorf("putting an object into %s: %w", bucket, err)
			}
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for the S3: %w", err)
	}
	s := &store{
		url: "http://" + listener.Addr().String(),
		// Without any key this S3 would let everybody in.
		s3:       gofakes3.New(backend, gofakes3.WithV4Auth(map[string]string{accessKey: secretKey})),
		now:      now,
		sessions: map[string]admitted{},
	}
	s.server = &http.Server{Handler: s.requireToken(s.s3.Server()), ReadHeaderTimeout: 10 * time.Second}
	go s.server.Serve(listener) // it ends with close
	return s, nil
}

func (s *store) close() { s.server.Close() }

// admit makes a session's credentials ones that the store accepts until they expire, for what policy allows.
func (s *store) admit(c rolesanywheretest.Credentials, policy *iamtest.Policy) {
	s.mu.Lock()
	s.sessions[c.AccessKeyID] = admitted{c, policy}
	s.mu.Unlock()
	s.s3.AddAuthKeys(map[string]string{c.AccessKeyID: c.SecretAccessKey})
}

// requireToken refuses what gofakes3 would let in: it knows key pairs, and neither session tokens nor expiry nor
// policies. That the token is signed is checked there, as for every x-amz- header.
func (s *store) requireToken(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, token := presented(r)
		s.mu.Lock()
		session, temporary := s.sessions[key]
		s.mu.Unlock()
		switch {
		case subtle.ConstantTimeCompare([]byte(token), []byte(session.SessionToken)) != 1:
			refuse(w, http.StatusForbidden, "InvalidTokenId", "The security token included in the request is invalid")
		case temporary && !s.now().Before(session.Expiration):
			refuse(w, http.StatusBadRequest, "ExpiredToken", "The provided token has expired.")
		case !allowed(session.policy, r):
			refuse(w, http.StatusForbidden, "AccessDenied", "Access Denied")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// presented returns the access key ID and the session token of a request, from its headers or, when it is presigned,
// its query.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
func presented(r *http.Request) (key, token string) {
	query := r.URL.Query()
	credential, token := query.Get("X-Amz-Credential"), query.Get("X-Amz-Security-Token")
	if header := r.Header.Get("Authorization"); header != "" {
		_, credential, _ = strings.Cut(header, "Credential=")
		token = r.Header.Get("X-Amz-Security-Token")
	}
	key, _, _ = strings.Cut(credential, "/")
	return key, token
}

// refuse answers in S3's form: AWS's code and status for an expired token, MinIO's for a wrong one.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
func refuse(w http.ResponseWriter, status int, code, message string) {
	body, err := xml.Marshal(struct {
		XMLName       xml.Name `xml:"Error"`
		Code, Message string
	}{Code: code, Message: message})
	if err != nil {
		http.Error(w, "", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	w.Write(append([]byte(xml.Header), body...)) // a client that has gone needs no answer
}
