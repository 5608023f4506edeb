package session

import (
	"sync/atomic"

	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

// Memo keeps what was made from the last session until there is another one. Its zero value is empty. It is safe for
// concurrent use.
type Memo[V any] struct {
	kept atomic.Pointer[memo[V]]
}

type memo[V any] struct {
	sessionToken secret.Text // by address: each session has one of its own
	value        V
}

// Of returns what was made from the session, making it if need be. Readers that come at once may each make one.
func (m *Memo[V]) Of(s *Session, fresh func() V) V {
	if kept := m.kept.Load(); kept != nil && kept.sessionToken == s.SessionToken {
		return kept.value
	}
	value := fresh()
	m.kept.Store(&memo[V]{s.SessionToken, value})
	return value
}
