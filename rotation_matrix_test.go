package s3conn

import (
	"fmt"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
)

// operatorsWrites are what an operator may do in the middle of a rotation.
func operatorsWrites(t *testing.T) map[string]func(w *rotationWorld) bool {
	t.Helper()
	roles := rolesAnywhereFields(t, map[string]any{"access_key": "", "secret_key": ""})
	write := func(fields map[string]any) func(w *rotationWorld) bool {
		return func(w *rotationWorld) bool { return w.operate(logical.UpdateOperation, "config/reports", fields) }
	}
	return map[string]func(w *rotationWorld) bool{
		"nothing":        func(*rotationWorld) bool { return true },
		"a third key":    write((*rotationWorld)(nil).key("OPERATORS")),
		"the key before": write((*rotationWorld)(nil).key("AKIA1")),
		"certificates":   write(roles),
		"deletion": func(w *rotationWorld) bool {
			return w.operate(logical.DeleteOperation, "config/reports", nil)
		},
	}
}

// endsUpTo are the ends of a process before each operation from the first to the last, and after that.
func endsUpTo(last int) []fault {
	ends := []fault{{}}
	for at := 1; at <= last+1; at++ {
		ends = append(ends, fault{at: at, ends: true})
	}
	return ends
}

// faultsUpTo are those and the failures of each operation, before and after it has had its effect.
func faultsUpTo(last int) []fault {
	faults := endsUpTo(last)
	for at := 1; at <= last; at++ {
		faults = append(faults, fault{at: at}, fault{at: at, after: true})
	}
	return faults
}

// TestRotation_OperatorsWritesAtEveryPoint ends the process at each operation of a rotation, has an operator write or
// delete the connection then, while every operation of that fails or ends the process once, and lets another process
// go on to the end. The world checks the promises on the way.
func TestRotation_OperatorsWritesAtEveryPoint(t *testing.T) {
	t.Parallel()
	for name, write := range operatorsWrites(t) {
		for _, first := range endsUpTo(operationsOf(t, func(*rotationWorld) {})) {
			t.Run(fmt.Sprintf("%s; %s", name, first), func(t *testing.T) {
				t.Parallel()
				second := operationsOf(t, func(w *rotationWorld) { w.befall(first); write(w) })
				for _, one := range faultsUpTo(second) {
					w := newRotationWorld(t)
					w.befall(first)
					w.fault = one
					done := write(w)
					if one.ends {
						w.restart()
					}
					w.settle()
					if !done && name != "the key before" { // the operator asks again; that key may be gone by now
						write(w)
						w.settle()
					}
					if w.checkEnd(); t.Failed() {
						t.Fatalf("the fault of the write is %s", one)
					}
				}
			})
		}
	}
}

// befall rotates with a fault, and has another process begin where that ended.
func (w *rotationWorld) befall(f fault) {
	w.fault = f
	_, _ = w.do(w.t.Context(), logical.UpdateOperation, "rotate/reports", nil)
	w.restart()
	w.count = 0
}

// operationsOf returns how many operations there are: without a fault those of a rotation, after it those of a write.
func operationsOf(t *testing.T, run func(w *rotationWorld)) int {
	t.Helper()
	w := newRotationWorld(t)
	if run(w); w.count == 0 {
		w.operate(logical.UpdateOperation, "rotate/reports", nil)
	}
	return w.count
}
