// Package ballast has the benchmark's programs collect garbage as the plugin's own program does, so that what differs
// between them is the handler alone.
package ballast

import "os"

// size is as in the plugin.
const size = 8 << 20

// New returns memory for the program to keep while it serves. It is never touched and so takes no room: it only
// counts when Go decides how much garbage to let gather. As in the plugin, there is none where the operator has
// chosen.
func New() []byte {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	return make([]byte, size)
}
