package awstest

import (
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"time"
)

const (
	serviceS3  = "s3"
	serviceSTS = "sts"
	serviceIAM = "iam"

	maxBody     = 64 << 10
	maxRecorded = 10_000
)

// Options describe the account behind a Server. Nothing may be changed once it is in use.
type Options struct {
	// Region is the one that signatures must be for; empty means us-east-1.
	Region string
	// Account is the account of the users; empty means 123456789012.
	Account string
	// Now is the services' clock; nil means time.Now. It must be safe for concurrent use.
	Now func() time.Time
	// MaxClockSkew is how far a signature's time may be from Now, either way; 0 means 5 minutes, AWS's limit for STS.
	MaxClockSkew time.Duration

	// Roles are those that exist; of any other AWS says that the caller may not assume it.
	Roles []Role
	// HandOff makes the credentials of a session that was granted, for example by handing its policy to a store's own
	// AssumeRole; nil means random ones. A *Refusal is sent as it is; any other error is an InternalFailure. The server
	// knows the credentials afterwards. It must be safe for concurrent use.
	HandOff func(request AssumeRoleRequest) (Session, error)
	// PackedSize is how much of the space for policies and tags a session takes, in per cent; nil counts characters:
	// AWS's own measure is not documented.
	PackedSize func(request AssumeRoleRequest) int

	// KeyDelay is how long a new access key is not accepted yet, in every service; IAM is eventually consistent.
	KeyDelay time.Duration
	// KeyFlap is how long after KeyDelay every second use of a new key is refused: not every host knows it.
	KeyFlap time.Duration
	// ListDelay is how long ListAccessKeys does not show a new key.
	ListDelay time.Duration
	// Buckets are what ListBuckets returns.
	Buckets []string
}

// Server is a stand-in on a loopback address. All its methods are safe for concurrent use.
type Server struct {
	// URL is the endpoint of STS, of IAM and of S3.
	URL string

	options   Options
	faults    faults
	http      *httptest.Server
	closed    chan struct{}
	closeOnce sync.Once

	mu         sync.Mutex
	users      map[string]*user
	principals map[string]*principal // by access key ID
	recorded   []Recorded
	calls      map[string]int // by operation
	keysMade   int
}

// NewServer starts a Server over plain HTTP; the caller closes it. It panics where no loopback port can be had.
func NewServer(o Options) *Server {
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if o.Account == "" {
		o.Account = "123456789012"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxClockSkew == 0 {
		o.MaxClockSkew = 5 * time.Minute
	}
	if o.PackedSize == nil {
		o.PackedSize = countPacked
	}
	s := &Server{
		options:    o,
		closed:     make(chan struct{}),
		users:      map[string]*user{},
		principals: map[string]*principal{}, calls: map[string]int{},
	}
	s.http = httptest.NewServer(s)
	s.URL = s.http.URL
	return s
}

// Close ends all waits, drops all connections and stops the server.
func (s *Server) Close() {
	s.closeOnce.Do(func() { close(s.closed) })
	s.http.CloseClientConnections()
	s.http.Close()
}

// Recorded is one request and what became of it. Parameters hold no secrets: those are in responses alone.
type Recorded struct {
	Time       time.Time
	Service    string
	Operation  string
	AccessKey  string // that signed it
	Parameters url.Values
	Status     int
	Code       string // of the error; empty where it succeeded, and where the connection was dropped
	RequestID  string
}

// Requests returns the latest 10,000 requests, oldest first.
func (s *Server) Requests() []Recorded {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.recorded)
}

// Calls returns how many requests there were for an operation, whatever became of them.
func (s *Server) Calls(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[operation]
}

func (s *Server) record(entry Recorded) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[entry.Operation]++
	s.recorded = append(s.recorded, entry)
	if len(s.recorded) > maxRecorded {
		s.recorded = slices.Delete(s.recorded, 0, len(s.recorded)-maxRecorded)
	}
}

// ServeHTTP serves one request. It panics with http.ErrAbortHandler, which net/http expects, to drop a connection.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	entry := Recorded{Time: s.options.Now(), RequestID: rand.Text()}
	record := sync.OnceFunc(func() { s.record(entry) })
	defer record()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	sent := s.respond(r, body, &entry)
	entry.Status = sent.status
	record()
	w.Header().Set("X-Amzn-Requestid", entry.RequestID)
	w.Header().Set("Date", entry.Time.UTC().Format(http.TimeFormat))
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(sent.status)
	_, _ = io.WriteString(w, sent.body) // a client that went away is not the service's failure
}

func (s *Server) respond(r *http.Request, body []byte, entry *Recorded) *reply {
	signed, refusal := parseSignature(r)
	entry.Service, entry.AccessKey = signed.service, signed.accessKey
	entry.Operation, entry.Parameters = operationOf(r, signed.service, body)
	fault := s.faults.take(entry.Operation)
	if instead := s.befall(r.Context(), fault, entry); instead != nil {
		return instead
	}
	var response string
	if refusal == nil {
		response, refusal = s.perform(r, signed, body, *entry)
	}
	if fault.Lose {
		panic(http.ErrAbortHandler)
	}
	if refusal != nil {
		entry.Code = refusal.Code
		return refusal.reply(signed.service, entry.RequestID)
	}
	return &reply{http.StatusOK, response}
}

// operationOf reads the query protocol's parameters; S3's one operation has none.
func operationOf(r *http.Request, service string, body []byte) (string, url.Values) {
	if service == serviceS3 {
		if r.Method == http.MethodGet && r.URL.Path == "/" {
			return "ListBuckets", r.URL.Query()
		}
		return "", nil
	}
	parameters, err := url.ParseQuery(string(body))
	if err != nil {
		return "", nil
	}
	return parameters.Get("Action"), parameters
}

// perform authenticates the caller and does the operation.
func (s *Server) perform(r *http.Request, signed signature, body []byte, entry Recorded) (string, *Refusal) {
	if signed.region != s.options.Region {
		return "", mismatch("Credential should be scoped to a valid region.")
	}
	if refusal := signed.checkTime(entry.Time, s.options.MaxClockSkew); refusal != nil {
		return "", refusal
	}
	caller, refusal := s.authenticate(r, signed, body, entry.Time)
	if refusal != nil {
		return "", refusal
	}
	if signed.service == serviceS3 {
		if entry.Operation != "ListBuckets" {
			return "", refuse(http.StatusNotImplemented, "NotImplemented", "this stand-in lists buckets alone")
		}
		return s.listBuckets(), nil
	}
	versions := map[string]string{serviceSTS: "2011-06-15", serviceIAM: "2010-05-08"}
	if r.Method != http.MethodPost || r.URL.EscapedPath() != "/" || versions[signed.service] == "" ||
		entry.Parameters.Get("Version") != versions[signed.service] {
		return "", refuse(
			http.StatusBadRequest,
			"InvalidAction",
			"Could not find operation for this method, path, service and version",
		)
	}
	result, refusal := s.operate(signed.service, caller, entry)
	if refusal != nil {
		return "", refusal
	}
	name := entry.Operation
	return "<" + name + "Response><" + name + "Result>" + result + "</" + name + "Result><ResponseMetadata>" +
		element("RequestId", entry.RequestID) + "</ResponseMetadata></" + name + "Response>", nil
}

func (s *Server) operate(service string, caller principal, entry Recorded) (string, *Refusal) {
	p := entry.Parameters
	switch service + ":" + entry.Operation {
	case "sts:GetCallerIdentity":
		return element(
			"Arn",
			caller.arn,
		) + element(
			"UserId",
			"AIDAEXAMPLE",
		) + element(
			"Account",
			s.options.Account,
		), nil
	case "sts:AssumeRole":
		return s.assumeRole(caller, p, entry.Time)
	case "iam:CreateAccessKey", "iam:ListAccessKeys", "iam:UpdateAccessKey", "iam:DeleteAccessKey":
		return s.accessKeys(caller, entry.Operation, p, entry.Time)
	}
	return "", refuse(http.StatusBadRequest, "InvalidAction", "Could not find operation "+entry.Operation)
}

func (s *Server) listBuckets() string {
	list := ""
	for _, name := range s.options.Buckets {
		list += "<Bucket>" + element("Name", name) + "</Bucket>"
	}
	return "<ListAllMyBucketsResult><Buckets>" + list + "</Buckets></ListAllMyBucketsResult>"
}
