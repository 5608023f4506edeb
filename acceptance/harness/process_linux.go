package harness

import "syscall"

// childAttributes puts a program in a process group of its own, so that its plugins end with it, and has it ended
// when the test binary dies without cleaning up (a panic, a timeout, ^C). SIGTERM and not SIGKILL: Vault then ends
// its plugins.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
