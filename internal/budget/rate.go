package budget

import (
	"errors"
	"math"
	"time"
)

// API names calls that AWS counts together.
type API string

// The APIs that the plugin calls.
const (
	CreateSession API = "rolesanywhere:CreateSession"
	STS           API = "sts"
	IAM           API = "iam"
)

// Rate is how often an API may be called. Its turns are 1/PerSecond apart, and after a turn of TestsPerSecond the next
// one comes in two fifths of that. So PerSecond + TestsPerSecond + 1 successive turns span a second at least,
// and 5 % more where PerSecond is 8 and TestsPerSecond is 1.
type Rate struct {
	PerSecond      float64 // turns a second while nobody is throttled; from 0.01 to 1000
	TestsPerSecond float64 // further turns a second for the lane Test; from 0, for none, to 1
	Floor          float64 // turns a second that throttling leaves at least; above 0, up to PerSecond
}

// DefaultRates returns the rates of AWS's default quotas.
//
//   - CreateSession: AWS allows 10 a second. 8 for readers and 1 for tests leave one for calls that arrive out of step.
//     https://docs.aws.amazon.com/rolesanywhere/latest/userguide/quotas.html
//   - STS: AWS allows 600 a second for the account whose credentials sign the call, which everybody in it shares. A
//     twelfth of it is enough for every scope of a big Vault and is not noticed by the others.
//     https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
//   - IAM: AWS publishes no number and advises to spread the calls out. A rotation makes a few calls and can wait.
//     https://repost.aws/knowledge-center/iam-sts-throttling-error
func DefaultRates() map[API]Rate {
	return map[API]Rate{
		CreateSession: {PerSecond: 8, TestsPerSecond: 1, Floor: 1},
		STS:           {PerSecond: 50, TestsPerSecond: 1, Floor: 2},
		IAM:           {PerSecond: 2, TestsPerSecond: 1, Floor: 0.5},
	}
}

var errRate = errors.New("PerSecond is 0.01 to 1000, TestsPerSecond 0 to 1, and Floor above 0 and up to PerSecond")

func (r Rate) check() error {
	// Written so that NaN is refused too.
	if r.PerSecond >= 0.01 && r.PerSecond <= 1000 && r.TestsPerSecond >= 0 && r.TestsPerSecond <= 1 &&
		r.Floor > 0 && r.Floor <= r.PerSecond {
		return nil
	}
	return errRate
}

// period is the time between events that happen this often in a second, never too short by rounding.
func period(perSecond float64) time.Duration {
	return time.Duration(math.Ceil(float64(time.Second) / perSecond))
}

const (
	// successesToMaximum is how many calls raise the rate from nothing to its maximum.
	successesToMaximum = 100

	// throttlingRemembered is how long a lowered rate outlives the last turn of its queue.
	throttlingRemembered = time.Minute
)

// pace is the rate of a queue at the moment. It is halved when the service throttles a call, because others share the
// quota, and raised by a fixed step with every call that the service answers otherwise.
type pace struct {
	rate      Rate
	perSecond float64
	loweredBy uint64 // turns up to this number had begun when the rate was lowered, and say nothing about it
}

// throttled lowers the rate once for all calls that had begun when it was last lowered.
func (p *pace) throttled(turn, lastTurn uint64) {
	if turn > p.loweredBy {
		p.perSecond = max(p.rate.Floor, p.perSecond/2)
		p.loweredBy = lastTurn
	}
}

func (p *pace) answered(turn uint64) {
	if turn > p.loweredBy {
		p.perSecond = min(p.rate.PerSecond, p.perSecond+p.rate.PerSecond/successesToMaximum)
	}
}

func (p *pace) lowered() bool { return p.perSecond < p.rate.PerSecond }

// gap is the time from one turn to the next.
func (p *pace) gap() time.Duration { return period(p.perSecond) }

// gapAfterTest follows a turn that tests have for themselves.
func (p *pace) gapAfterTest() time.Duration { return p.gap() * 2 / 5 }
