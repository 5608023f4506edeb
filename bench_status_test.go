package s3conn

import (
	"fmt"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
)

// BenchmarkStatus is a status of many connections of which every one has been read: the first one after a start, which
// reads every connection from storage, and every later one.
func BenchmarkStatus(b *testing.B) {
	for _, n := range []int{1, manyConnections} {
		m := newScaleMount(b, benchNames(n))
		for _, name := range benchNames(n) {
			m.read("creds/" + name)
		}
		for _, tc := range []struct {
			name, path string
			op         logical.Operation
			first      bool
		}{
			{"first", "status", logical.ReadOperation, true}, {"later", "status", logical.ReadOperation, false},
			{"list", "status/", logical.ListOperation, false}, {"metrics", "metrics", logical.ReadOperation, false},
			{"one", "status/" + benchNames(n)[n-1], logical.ReadOperation, false},
		} {
			b.Run(fmt.Sprintf("%s/connections=%d", tc.name, n), func(b *testing.B) {
				m.b = b
				m.do(tc.op, tc.path, nil)
				m.countTrips(func() {
					for b.Loop() {
						if tc.first {
							m.vitals = m.newVitalsIndex()
						}
						m.do(tc.op, tc.path, nil)
					}
				})
			})
		}
	}
}
