package health

// State is how a connection does.
type State string

// The states, and what an operator does about them.
const (
	StateOK         State = "ok"         // its credentials can be handed out
	StateDegraded   State = "degraded"   // they can, but what would keep them so fails
	StateFailing    State = "failing"    // they cannot be handed out
	StateIdle       State = "idle"       // nobody has read it since the start, so nothing is known
	StateIncomplete State = "incomplete" // it has no certificate and key yet
)

// States returns all states, the most urgent first.
func States() []State {
	return []State{StateFailing, StateDegraded, StateIncomplete, StateIdle, StateOK}
}

// Facts is what the state of a connection follows from.
type Facts struct {
	HasIdentity      bool // it has an access key, or a certificate with its key
	CertificateEnded bool // no session can be requested with its certificate
	HasCredentials   bool // it has an access key or a live session
	HasReads         bool // somebody has read its credentials since the start

	SessionFailing  bool // the last request for a session failed
	RenewalFailing  bool // the last renewal of its certificate failed
	RotationFailing bool // the last rotation of its access key failed
	ScopesFailing   bool // the last request for a session of one of its scopes failed
}

// StateOf returns the state that follows from the facts. A connection without a live session is ok as long as nothing
// speaks against the next request for one.
func StateOf(f Facts) State {
	cannotObtain := f.CertificateEnded || f.SessionFailing
	switch {
	case !f.HasIdentity:
		return StateIncomplete
	case cannotObtain && !f.HasCredentials:
		return StateFailing
	case cannotObtain, f.RenewalFailing, f.RotationFailing, f.ScopesFailing:
		return StateDegraded
	case !f.HasReads:
		return StateIdle
	default:
		return StateOK
	}
}
