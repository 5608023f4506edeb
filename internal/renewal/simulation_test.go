package renewal

import (
	"context"
	"fmt"
	mathrand "math/rand/v2"
	"sync/atomic"
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

// Two years of certificates of 24 hours, with an authority that is down for up to a quarter of a lifetime every day or
// two, a service that is down now and then, answers that are lost, restarts and changes of the leader.
func TestSimulation_TwoYearsOfCertificatesOfADay(t *testing.T) {
	t.Parallel()
	const connections, lifetime = 2, 24 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		random := mathrand.New(mathrand.NewPCG(12, 4))
		begin := time.Now()
		end := begin.AddDate(2, 0, 0)
		w := newWorld(t, lifetime)
		ca := newOutages(random, end, 36*time.Hour, lifetime/4)
		service := newOutages(random, end, 10*24*time.Hour, 30*time.Minute)
		var lost, restarts int
		w.caDown, w.serviceDown = ca.err, service.err
		chance := mathrand.New(mathrand.NewPCG(12, 5)) // of its own, since it is used under w's lock
		w.lost = func() bool {
			if chance.IntN(100) > 0 {
				return false
			}
			lost++
			return true
		}
		for i := range connections {
			w.connect(fmt.Sprint(i), nil)
		}

		var node atomic.Pointer[schedule.Scheduler]
		lead := func() *schedule.Scheduler {
			r := w.renewer()
			s := schedule.New(schedule.Config{Now: time.Now, Run: func(ctx context.Context, key schedule.Key) time.Time {
				return r.Run(ctx, key.Name)
			}})
			for i := range connections {
				name := fmt.Sprint(i)
				s.Set(schedule.Key{Kind: "renew", Name: name}, w.state(name).Due())
			}
			s.Start(context.Background())
			return s
		}
		node.Store(lead())

		closest, closestUp, failed, reads := lifetime, lifetime, 0, 0
		for nextRestart := begin; time.Now().Before(end); time.Sleep(20 * time.Minute) {
			now := time.Now()
			if now.After(nextRestart) {
				restarts++
				node.Load().Stop()
				time.Sleep(time.Duration(random.IntN(60)) * time.Second) // nobody leads
				node.Store(lead())
				nextRestart = now.Add(time.Duration(random.Int64N(int64(10 * 24 * time.Hour))))
			}
			for i := range connections {
				left := w.left(fmt.Sprint(i))
				reads++
				if left <= 0 {
					failed++
				}
				closest = min(closest, left)
				if ca.upFor(now) > schedule.MaxPause && service.upFor(now) > schedule.MaxPause {
					closestUp = min(closestUp, left)
				}
			}
		}
		node.Load().Stop()

		t.Logf("%d reads, %d failed; %d swaps, %d proofs, %d certificates issued for %d requests, %d answers lost, %d failed tries, "+
			"%d outages, %d restarts; least life left %s, with the authority up for an hour %s",
			reads, failed, w.swaps, w.proofs, w.issued, len(w.requests), lost, len(w.failures), len(ca), restarts, closest, closestUp)
		if failed > 0 || closestUp < lifetime/6 {
			t.Errorf("%d of %d reads failed; with the authority up a certificate had %s left", failed, reads, closestUp)
		}
		// One request a renewal, and one more for each answer that never came. A renewal may be under way at the end.
		if most := w.swaps + lost + restarts + connections; w.issued > most || len(w.requests) > w.swaps+connections {
			t.Errorf("%d certificates of %d requests for %d swaps, with %d answers lost", w.issued, len(w.requests), w.swaps, lost)
		}
		// 16 hours after each issue, at the earliest.
		if most := connections * (int(end.Sub(begin)/(15*time.Hour+55*time.Minute)) + 1); w.swaps > most {
			t.Errorf("%d swaps, at most %d were needed", w.swaps, most)
		}
	})
}

// Certificates of two minutes renew themselves by the scheduler's own timer: Vault's periodic call would be too late.
func TestSimulation_CertificatesOfTwoMinutes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2*time.Minute)
		w.connect("a", nil)
		r := w.renewer()
		s := schedule.New(schedule.Config{Now: time.Now, Run: func(ctx context.Context, key schedule.Key) time.Time { return r.Run(ctx, key.Name) }})
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
