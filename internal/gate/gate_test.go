package gate_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/gate"
)

func TestGate_LetsInNoMoreThanItsPlaces(t *testing.T) {
	t.Parallel()
	for _, places := range []int{1, 2, 5} {
		synctest.Test(t, func(t *testing.T) {
			g := gate.New(places)
			var inside, most, done atomic.Int32
			for range 100 {
				go func() {
					leave, err := g.Enter(t.Context())
					if err != nil {
						t.Errorf("entering: %v", err)
						return
					}
					defer leave()
					now := inside.Add(1)
					for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
					}
					time.Sleep(time.Second) // of the bubble's clock
					inside.Add(-1)
					done.Add(1)
				}()
			}
			time.Sleep(time.Hour)
			if most.Load() != int32(places) || done.Load() != 100 {
				t.Errorf("%d places: %d at once, %d of 100 done", places, most.Load(), done.Load())
			}
		})
	}
}

func TestGate_IsEnteredInTheOrderOfArrival(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := gate.New(1)
		leave, err := g.Enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var order []int
		for i := range 5 {
			go func() {
				leave, err := g.Enter(t.Context())
				if err != nil {
					t.Errorf("entering: %v", err)
					return
				}
				order = append(order, i)
				leave()
			}()
			synctest.Wait()
		}
		leave()
		synctest.Wait()
		if !slices.Equal(order, []int{0, 1, 2, 3, 4}) {
			t.Errorf("entered in the order %v", order)
		}
	})
}

func TestGate_WaitEndsWithTheCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const patience = 3 * time.Second
		g := gate.New(1)
		leaveFirst, err := g.Enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		start := time.Now()
		leave, err := g.Enter(ctx)
		if leave != nil || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != patience {
			t.Errorf("the wait ended with %v after %s, want DeadlineExceeded at %s", err, time.Since(start), patience)
		}
		leaveFirst()
		if leave, err = g.Enter(t.Context()); err != nil { // whoever gave up has left no trace
			t.Fatal(err)
		}
		leave()
	})
}

func TestGate_DoesNotLetInWhoHasLeftBefore(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	g := gate.New(100)
	if leave, err := g.Enter(ctx); leave != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("entered with %v", err)
	}
}

func TestGate_LeavingTwiceFreesOnePlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := gate.New(1)
		leave, err := g.Enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		leave()
		leave()
		second, err := g.Enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		leave()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if third, err := g.Enter(ctx); err == nil {
			third()
			t.Error("two are inside a gate with one place")
		}
		second()
	})
}
