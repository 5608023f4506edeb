package ballast

import (
	"runtime"
	"testing"
)

// nextCollection returns the heap's size in bytes at which Go collects garbage next.
func nextCollection() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return stats.NextGC
}

func TestNew_LetsGarbageGather(t *testing.T) {
	for _, c := range []struct {
		name, gogc, limit string
		gathers           bool
	}{
		{name: "by default", gathers: true},
		{name: "GOGC chosen", gogc: "100"},
		{name: "GOMEMLIMIT chosen", limit: "1GiB"},
	} {
		t.Setenv("GOGC", c.gogc)
		t.Setenv("GOMEMLIMIT", c.limit)
		kept := New()
		next := nextCollection()
		runtime.KeepAlive(kept)
		if next >= 2*size != c.gathers {
			t.Errorf("%s: the next collection is at %d bytes; want it at %d or more: %v", c.name, next, 2*size,
				c.gathers)
		}
	}
}
