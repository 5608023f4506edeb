// Package ballast has the benchmark's programs collect garbage as the plugin's own program does, so that what differs
// between them is the handler alone.
package ballast

import "os"

// size is as in the plugin.
const size = 8 << 20

// held is never touched and so takes no memory: it only counts when Go decides how much garbage to let gather, which is as
// much as there is besides.
var held []byte

// Hold does as the plugin, which leaves alone what the operator has chosen.
func Hold() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		held = make([]byte, size)
	}
}
