//go:build 386 || arm

package command

import "syscall"

// On these machines the plain calls take 16-bit IDs.
const (
	sysSetgroups = syscall.SYS_SETGROUPS32
	sysSetresgid = syscall.SYS_SETRESGID32
	sysSetresuid = syscall.SYS_SETRESUID32
)
