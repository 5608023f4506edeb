package renewal

import (
	"context"
	"fmt"
	mathrand "math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/schedule"
)

// outages are stretches in which a service is down, known in advance.
type outages []struct{ from, to time.Time }

// newOutages makes stretches of up to longest, about so often.
func newOutages(random *mathrand.Rand, end time.Time, every, longest time.Duration) (o outages) {
	for at := time.Now(); at.Before(end); {
		at = at.Add(time.Duration(random.Float64() * 2 * float64(every)))
		to := at.Add(time.Duration(random.Float64() * float64(longest)))
		o = append(o, struct{ from, to time.Time }{at, to})
		at = to.Add(2 * time.Hour) // what is down twice within one lifetime has to come back for a while in between
	}
	return o
}

// upFor returns how long the service has been up; 0 while it is down.
func (o outages) upFor(now time.Time) time.Duration {
	up := time.Duration(1<<63 - 1)
	for _, one := range o {
		if now.Before(one.from) {
			break
		}
		if now.Before(one.to) {
			return 0
		}
		up = now.Sub(one.to)
	}
	return up
}

func (o outages) err() error {
	if o.upFor(time.Now()) == 0 {
		return errDown
	}
	return nil
}

const lifetimeOfADay = 24 * time.Hour

// twoYears is a world in which everything fails now and then, and what was seen of it.
type twoYears struct {
	*world
	names       []string
	random      *mathrand.Rand
	ca, service outages
	node        *schedule.Scheduler // the leader's

	lost, restarts, reads, failed int
	closest, closestUp            time.Duration // least life left: ever, and with everything up for an hour
}

func newTwoYears(t *testing.T, end time.Time, connections int) *twoYears {
	t.Helper()
	y := &twoYears{world: newWorld(t, lifetimeOfADay), random: mathrand.New(mathrand.NewPCG(12, 4)),
		closest: lifetimeOfADay, closestUp: lifetimeOfADay}
	y.ca = newOutages(y.random, end, 36*time.Hour, lifetimeOfADay/4)
	y.service = newOutages(y.random, end, 10*24*time.Hour, 30*time.Minute)
	y.caDown, y.serviceDown = y.ca.err, y.service.err
	chance := mathrand.New(mathrand.NewPCG(12, 5)) // of its own, since it is used under the world's lock
	y.world.lost = func() bool {
		if chance.IntN(100) > 0 {
			return false
		}
		y.lost++
		return true
	}
	for i := range connections {
		y.names = append(y.names, fmt.Sprint(i))
		y.connect(y.names[i], nil)
	}
	return y
}

// lead starts a node that knows what is stored and nothing else.
func (y *twoYears) lead() {
	r := y.renewer()
	y.node = schedule.New(schedule.Config{Now: time.Now, Run: func(ctx context.Context, key schedule.Key) time.Time {
		return r.Run(ctx, key.Name)
	}})
	for _, name := range y.names {
		y.node.Set(schedule.Key{Kind: "renew", Name: name}, y.state(name).Due())
	}
	y.node.Start(context.Background())
}

// change ends the leader, and begins another after a while without one.
func (y *twoYears) change() {
	y.restarts++
	y.node.Stop()
	time.Sleep(time.Duration(y.random.IntN(60)) * time.Second)
	y.lead()
}

func (y *twoYears) read() {
	now := time.Now()
	up := y.ca.upFor(now) > schedule.MaxPause && y.service.upFor(now) > schedule.MaxPause
	for _, name := range y.names {
		left := y.left(name)
		y.reads++
		if left <= 0 {
			y.failed++
		}
		y.closest = min(y.closest, left)
		if up {
			y.closestUp = min(y.closestUp, left)
		}
	}
}

// Two years of certificates of 24 hours, with an authority that is down for up to a quarter of a lifetime every day or
// two, a service that is down now and then, answers that are lost, restarts and changes of the leader.
func TestSimulation_TwoYearsOfCertificatesOfADay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		end := begin.AddDate(2, 0, 0)
		y := newTwoYears(t, end, 2)
		y.lead()
		for nextChange := begin; time.Now().Before(end); time.Sleep(20 * time.Minute) {
			if time.Now().After(nextChange) {
				nextChange = time.Now().Add(time.Duration(y.random.Int64N(int64(10 * 24 * time.Hour))))
				y.change()
			}
			y.read()
		}
		y.node.Stop()
		y.judge(t, end.Sub(begin))
	})
}

func (y *twoYears) judge(t *testing.T, took time.Duration) {
	t.Helper()
	t.Logf("%d reads, %d failed; %d swaps, %d proofs, %d certificates issued for %d requests, %d answers lost, "+
		"%d failed tries, %d outages, %d restarts; least life left %s, with everything up for an hour %s",
		y.reads, y.failed, y.swaps, y.proofs, y.issued, len(y.requests), y.lost, len(y.failures), len(y.ca), y.restarts,
		y.closest, y.closestUp)
	if y.failed > 0 || y.closestUp < lifetimeOfADay/6 {
		t.Errorf("%d of %d reads failed; with everything up a certificate had %s left", y.failed, y.reads, y.closestUp)
	}
	// One request a renewal, and one more for each answer that never came. A renewal may be under way at the end.
	if most := y.swaps + y.lost + y.restarts; y.issued > most || len(y.requests) > y.swaps+len(y.names) {
		t.Errorf("%d certificates of %d requests for %d swaps, with %d answers lost", y.issued, len(y.requests),
			y.swaps, y.lost)
	}
	// 16 hours after each issue, at the earliest.
	if most := len(y.names) * (int(took/(15*time.Hour+55*time.Minute)) + 1); y.swaps > most {
		t.Errorf("%d swaps, at most %d were needed", y.swaps, most)
	}
}

// Certificates of two minutes renew themselves by the scheduler's own timer: Vault's periodic call would be too late.
func TestSimulation_CertificatesOfTwoMinutes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2*time.Minute)
		w.connect("a", nil)
		r := w.renewer()
		s := schedule.New(
			schedule.Config{
				Now: time.Now,
				Run: func(ctx context.Context, key schedule.Key) time.Time { return r.Run(ctx, key.Name) },
			},
		)
		s.Set(schedule.Key{Name: "a"}, w.state("a").Due())
		s.Start(t.Context())
		defer s.Stop()
		closest := time.Hour
		for range 3600 {
			time.Sleep(time.Second)
			closest = min(closest, w.left("a"))
		}
		if closest < 40*time.Second || w.swaps < 50 || w.swaps > 60 {
			t.Errorf("least life left %s, %d swaps in an hour", closest, w.swaps)
		}
	})
}
