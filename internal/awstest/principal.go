package awstest

import (
	"net/http"
	"time"
)

// principal is whose an access key is.
type principal struct {
	accessKey, secretKey, sessionToken string
	arn                                string
	user                               string    // of an IAM user's key
	sourceIdentity                     string    // of a session
	expiration                         time.Time // of a session

	created time.Time // of a user's key
	active  bool
	uses    int // since KeyDelay
}

func (p *principal) isSession() bool { return p.sessionToken != "" }

// Session is a set of temporary credentials.
type Session struct {
	AccessKey, SecretKey, SessionToken string
	ARN                                string
	SourceIdentity                     string
	Expiration                         time.Time
}

// AddSession lets the server know temporary credentials that something else has issued, such as a stand-in for Roles
// Anywhere: with them a call of AssumeRole is role chaining.
func (s *Server) AddSession(session Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.principals[session.AccessKey] = &principal{accessKey: session.AccessKey, secretKey: session.SecretKey,
		sessionToken: session.SessionToken, arn: session.ARN, sourceIdentity: session.SourceIdentity,
		expiration: session.Expiration, active: true}
}

// authenticate returns a copy of whoever signed the request.
func (s *Server) authenticate(r *http.Request, signed signature, body []byte, now time.Time) (principal, *Refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	unknown := invalidToken()
	if signed.service == serviceS3 {
		unknown = refuse(
			http.StatusForbidden,
			"InvalidAccessKeyId",
			"The AWS Access Key Id you provided does not exist in our records.",
		)
	}
	p := s.principals[signed.accessKey]
	if p == nil || !p.active || !s.knows(p, now) || r.Header.Get("X-Amz-Security-Token") != p.sessionToken {
		return principal{}, unknown
	}
	if refusal := signed.verify(r, body, p.secretKey); refusal != nil {
		return principal{}, refusal
	}
	if p.isSession() && !now.Before(p.expiration) {
		return principal{}, expiredToken()
	}
	return *p, nil
}

// knows is the eventual consistency of a user's new key.
func (s *Server) knows(p *principal, now time.Time) bool {
	if p.isSession() || p.created.IsZero() {
		return true
	}
	age := now.Sub(p.created)
	if age < s.options.KeyDelay {
		return false
	}
	if age >= s.options.KeyDelay+s.options.KeyFlap {
		return true
	}
	p.uses++
	return p.uses%2 == 1
}
