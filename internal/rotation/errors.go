package rotation

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

var (
	// ErrGone is what a connection that was deleted, or that has no access key any more, is answered with.
	ErrGone = errors.New("there is no such connection with an access key")
	// ErrChanged is what Swap returns for a connection that has got another key meanwhile.
	ErrChanged = errors.New("the connection has got another access key meanwhile; that key stays")
	// ErrPending means that a rotation goes on after whoever asked for it was answered.
	ErrPending = errors.New("the rotation goes on in the background; the key in use works meanwhile; " +
		"ask again, which joins it, or look at status/NAME")
	// ErrClosing means that this process gives the connection up.
	ErrClosing = errors.New("the mount is closing; try again")
)

// GraceError refuses a rotation while the key before is still in use.
type GraceError struct {
	Old, New string // IDs
	Until    time.Time
}

func (e *GraceError) Error() string {
	return fmt.Sprintf("the access key %s was replaced by %s, and may be in use until %s; rotate again after that",
		e.Old, e.New, e.Until.UTC().Format(time.RFC3339))
}

// TwoKeysError refuses a rotation because the user has as many access keys as AWS allows.
type TwoKeysError struct {
	Keys []Listed
	now  time.Time
}

func (e *TwoKeysError) Error() string {
	named := make([]string, len(e.Keys))
	for i, one := range e.Keys {
		status := "inactive"
		if one.Active {
			status = "active"
		}
		named[i] = fmt.Sprintf("%s (%s", one.ID, status)
		if !one.Created.IsZero() {
			named[i] += fmt.Sprintf(", made %s ago", age(e.now.Sub(one.Created)))
		}
		named[i] += ")"
	}
	return "the user has two access keys, which is AWS's limit: " + strings.Join(named, " and ") +
		"; delete the one that nobody uses"
}

// SharedError refuses a rotation because another connection has the same key, and would lose it.
type SharedError struct{ ID, Other string }

func (e *SharedError) Error() string {
	return fmt.Sprintf("the access key %s is that of the connection %q too, which would lose it; give each connection "+
		"the key of an IAM user of its own", e.ID, e.Other)
}

// AmbiguousError ends a rotation because more keys were made than IAM was asked for, while responses were lost.
type AmbiguousError struct{ IDs []string }

func (e *AmbiguousError) Error() string {
	return "the access keys " + strings.Join(e.IDs, " and ") + " were made while the response of IAM was lost, and " +
		"which of them a rotation has made is not known; none was deleted; delete those that nobody uses"
}

func age(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= 2*day {
		return fmt.Sprintf("%d days", d/day)
	}
	return d.Truncate(time.Minute).String()
}

// NotAcceptedError is about a new key that IAM has not accepted in time, and that is given up.
type NotAcceptedError struct {
	id   string
	last error // of the last check; nil: it was refused
}

func (e *NotAcceptedError) Error() string {
	text := fmt.Sprintf("the new access key %s was not accepted within %s and is given up; the key before stays in use",
		e.id, acceptWithin)
	if e.last != nil {
		text += "; the last check failed: " + e.last.Error()
	}
	return text
}

func (e *NotAcceptedError) Unwrap() error { return e.last }

// madeNothing says whether IAM has refused to make a key, and so has made none. Any other failure leaves that open.
func madeNothing(err error) bool {
	var refusal interface {
		error
		HTTPStatus() int
	}
	return errors.As(err, &refusal) && refusal.HTTPStatus() >= 400 && refusal.HTTPStatus() < 500
}
