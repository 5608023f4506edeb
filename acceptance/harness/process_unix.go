//go:build unix && !linux

package harness

import "syscall"

// childAttributes puts a program in a process group of its own, so that its plugins end with it.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
