package rolesanywheretest

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	defaultRegion       = "us-east-1"
	defaultMaxClockSkew = 5 * time.Minute
	defaultDuration     = time.Hour
	defaultMaxRecorded  = 1000
)

// Options describes the trust anchors, profiles and roles behind a Service. The zero value trusts no
// certificate, so that forgetting the trust anchors shows. Nothing may be changed once it is in use.
type Options struct {
	// TrustAnchors are the CA certificates that chains must end in; with none, every caller is refused.
	TrustAnchors []*x509.Certificate
	// Region is the one that signatures and ARNs must be of; empty means us-east-1.
	Region string

	// TrustAnchorARNs, ProfileARNs and RoleARNs are the accepted ones; empty accepts every well-formed ARN.
	TrustAnchorARNs, ProfileARNs, RoleARNs []string

	// Now is the service's clock; nil means time.Now. It must be safe for concurrent use.
	Now func() time.Time
	// MaxClockSkew is how far X-Amz-Date may be from Now, either way; 0 means 5 minutes.
	MaxClockSkew time.Duration

	// RefuseRoleSessionName makes the profile one that does not accept a role session name.
	RefuseRoleSessionName bool
	// ProfileDuration is the profile's session duration: it silently shortens what is asked for, and
	// is used where nothing is; 0 means one hour where nothing is asked for, and no shortening.
	ProfileDuration time.Duration
	// MaxDuration is the role's MaxSessionDuration: a longer session is refused; 0 means 12 hours.
	MaxDuration time.Duration
	// Lifetime is how long sessions really last, whatever was asked for, also below AWS's minimum of
	// 900 seconds; 0 means the duration.
	Lifetime time.Duration

	// Vend makes the credentials of a session that was granted; nil means random ones that open
	// nothing. An *Error is sent as it is, any other error as a refusal to assume the role. It may
	// set an Expiration of its own. It must be safe for concurrent use.
	Vend func(ctx context.Context, request SessionRequest) (Credentials, error)

	// RatePerSecond is how many requests an account may make in any second; 0 means no limit.
	RatePerSecond int
	// MaxRecorded is how many of the latest requests are kept for Requests; 0 means 1000.
	MaxRecorded int
}

func (o Options) withDefaults() Options {
	if o.Region == "" {
		o.Region = defaultRegion
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxClockSkew == 0 {
		o.MaxClockSkew = defaultMaxClockSkew
	}
	if o.MaxDuration == 0 {
		o.MaxDuration = maxDurationSeconds * time.Second
	}
	if o.MaxRecorded == 0 {
		o.MaxRecorded = defaultMaxRecorded
	}
	return o
}

// Service is the stand-in as an http.Handler. All its methods are safe for concurrent use.
type Service struct {
	options Options
	faults  faults
	log     recorder
	rate    throttle

	closeOnce sync.Once
	closed    chan struct{}
}

// NewService returns a Service that is ready to serve.
func NewService(o Options) *Service {
	o = o.withDefaults()
	return &Service{
		options: o,
		log:     newRecorder(o.MaxRecorded),
		rate:    throttle{perSecond: o.RatePerSecond},
		closed:  make(chan struct{}),
	}
}

// Close ends every wait that a Fault caused. Requests that come later are served, without waits.
func (s *Service) Close() {
	s.closeOnce.Do(func() { close(s.closed) })
}

// ServeHTTP serves one request: CreateSession, or a refusal in AWS's form. It panics with
// http.ErrAbortHandler, which net/http expects, where a Fault drops a connection that cannot be hijacked.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.log.arrived()
	entry := Recorded{Time: s.options.Now(), RequestID: newUUID()}
	// Whatever the outcome, also an aborted one, the request is on record when the client learns of it.
	record := sync.OnceFunc(func() { s.log.finished(entry) })
	defer record()

	w.Header().Set("X-Amzn-RequestId", entry.RequestID)
	// Clients correct their clocks by this header, so it must be of the service's clock.
	w.Header().Set("Date", entry.Time.UTC().Format(http.TimeFormat))

	body, bodyRefusal := readBody(w, r)
	entry.describe(r, body)
	fault := s.faults.take(entry)
	if !s.wait(r.Context(), fault.HeaderDelay) {
		panic(http.ErrAbortHandler)
	}
	if fault.answers() {
		entry.Status, entry.Code, entry.Message = fault.Status, fault.Code, fault.Message
		entry.Reason = "injected fault"
		record()
		s.answerFault(w, r, fault)
		return
	}

	granted, refusal := session{}, bodyRefusal
	if refusal == nil {
		granted, refusal = s.createSession(r, body, &entry)
	}
	if refusal != nil {
		refusal = refusal.withStatus()
		entry.Status, entry.Code, entry.Message = refusal.Status, refusal.Code, refusal.Message
		entry.Reason = refusal.reason
		record()
		refusal.write(w)
		return
	}
	entry.Status = http.StatusCreated
	record()
	s.answerSession(w, r, granted, fault)
}

// createSession judges one request in the order in which each step needs the one before it.
func (s *Service) createSession(r *http.Request, body []byte, entry *Recorded) (session, *Error) {
	if refusal := checkRoute(r); refusal != nil {
		return session{}, refusal
	}
	p, refusal := parseParameters(r.URL.RawQuery, body)
	if refusal != nil {
		return session{}, refusal
	}
	if refusal := p.check(s.options.Region); refusal != nil {
		return session{}, refusal
	}
	if !s.rate.allow(p.account(), entry.Time) {
		return session{}, &Error{
			Status:  http.StatusTooManyRequests,
			Code:    "ThrottlingException",
			Message: messageRate,
			reason:  messageRate,
		}
	}
	leaf, refusal := s.authenticate(r, p.query, body, entry.Time)
	if refusal != nil {
		return session{}, refusal
	}
	entry.Subject, entry.SerialNumber = leaf.Subject.String(), leaf.SerialNumber.String()
	lifetime, refusal := s.authorize(p)
	if refusal != nil {
		return session{}, refusal
	}
	return s.vend(r.Context(), p, leaf, entry.Time, lifetime)
}

// authenticate verifies who signed, and that a trust anchor vouches for them.
func (s *Service) authenticate(
	r *http.Request,
	query []queryPair,
	body []byte,
	now time.Time,
) (*x509.Certificate, *Error) {
	a, refusal := parseAuthorization(r)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := checkContentHash(r, body); refusal != nil {
		return nil, refusal
	}
	if refusal := a.checkScope(r, s.options.Region, now, s.options.MaxClockSkew); refusal != nil {
		return nil, refusal
	}
	leaf, refusal := parseLeaf(r)
	if refusal != nil {
		return nil, refusal
	}
	if leaf.SerialNumber.String() != a.serial {
		return nil, accessDenied(messageSignature, "Credential's serial number is not the certificate's")
	}
	canonical := canonicalRequest(r, query, a.signedHeaders, body)
	if refusal := verifySignature(leaf, a, stringToSign(a, canonical)); refusal != nil {
		return nil, refusal
	}
	chain, refusal := parseChain(r)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := checkLeaf(leaf, now); refusal != nil {
		return nil, refusal
	}
	if refusal := checkTrust(leaf, chain, s.options.TrustAnchors, now); refusal != nil {
		return nil, refusal
	}
	return leaf, nil
}

// authorize applies the settings of the trust anchor, the profile and the role, and returns how long
// the session is to last.
func (s *Service) authorize(p parameters) (time.Duration, *Error) {
	o := s.options
	switch {
	case !accepts(o.TrustAnchorARNs, p.trustAnchorARN):
		return 0, notFound("there is no such trust anchor")
	case !accepts(o.ProfileARNs, p.profileARN):
		return 0, notFound("there is no such profile")
	case !accepts(o.RoleARNs, p.roleARN):
		return 0, accessDenied("Unable to assume role for "+p.roleARN, "the role is not accepted")
	case p.roleSessionName != "" && o.RefuseRoleSessionName:
		return 0, accessDenied(messageSessionName, "the profile does not accept a role session name")
	}
	duration := p.duration()
	if duration == 0 {
		duration = max(o.ProfileDuration, 0)
		if duration == 0 {
			duration = defaultDuration
		}
	} else if o.ProfileDuration > 0 {
		duration = min(duration, o.ProfileDuration)
	}
	if duration > o.MaxDuration {
		return 0, accessDenied(
			messageDuration,
			"the session would last %s, the role allows %s",
			duration,
			o.MaxDuration,
		)
	}
	if o.Lifetime != 0 {
		duration = o.Lifetime
	}
	return duration, nil
}

func accepts(accepted []string, value string) bool {
	return len(accepted) == 0 || slices.Contains(accepted, value)
}

// vend calls Options.Vend, whose errors may quote secrets of another service and are not passed on.
func (s *Service) vend(
	ctx context.Context, p parameters, leaf *x509.Certificate, now time.Time, lifetime time.Duration,
) (session, *Error) {
	request := SessionRequest{
		ProfileARN:      p.profileARN,
		RoleARN:         p.roleARN,
		TrustAnchorARN:  p.trustAnchorARN,
		RoleSessionName: p.sessionName(leaf),
		Duration:        p.duration(),
		Expiration:      now.Add(lifetime).UTC().Truncate(time.Second),
		Certificate:     leaf,

		InstanceProperties: p.instanceProperties,
	}
	vend := s.options.Vend
	if vend == nil {
		vend = vendRandom
	}
	credentials, err := vend(ctx, request)
	if err != nil {
		var refusal *Error
		if errors.As(err, &refusal) && refusal != nil {
			return session{}, refusal
		}
		return session{}, accessDenied("Unable to assume role for "+p.roleARN, "Options.Vend refused")
	}
	if credentials.Expiration.IsZero() {
		credentials.Expiration = request.Expiration
	}
	return session{request, credentials, p.partition(), p.account(), s.options.Region}, nil
}
