package schedule

import (
	"testing"
	"time"
)

func TestPause(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		failures int
		left     time.Duration
		random   float64
		want     time.Duration
	}{
		"first":                   {1, 0, 0, time.Minute},
		"none counts as first":    {0, 0, 0, time.Minute},
		"third":                   {3, 0, 0, 4 * time.Minute},
		"bound":                   {7, 0, 0, time.Hour},
		"many":                    {1 << 30, 0, 0, time.Hour},
		"jitter":                  {1, 0, 0.9999999999, 45 * time.Second},
		"two hours left":          {7, 2 * time.Hour, 0, 20 * time.Minute},
		"much left":               {7, 100 * time.Hour, 0, time.Hour},
		"a minute left":           {1, time.Minute, 0, 10 * time.Second},
		"a second left":           {1, time.Second, 0, 5 * time.Second},
		"ended: by failures only": {7, -time.Hour, 0, time.Hour},
	} {
		if got := Pause(test.failures, test.left, test.random); got.Round(time.Millisecond) != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}
