package command

import (
	"syscall"
	"unsafe"
)

// unchanged tells setresuid(2) and setresgid(2) to leave an ID as it is.
const unchanged = ^uintptr(0)

// becomeThread gives the calling thread, and no other, u's groups, effective
// group and effective user. The system calls are made raw: the wrappers of
// libc and of Go's syscall package apply to every thread of the process. The
// user comes last, for it takes away the right to change the others.
func becomeThread(u User) error {
	if err := setGroups(u.Groups); err != nil {
		return err
	}
	if _, _, e := syscall.RawSyscall(sysSetresgid, unchanged, uintptr(u.GID), unchanged); e != 0 {
		return e
	}
	if _, _, e := syscall.RawSyscall(sysSetresuid, unchanged, uintptr(u.UID), unchanged); e != 0 {
		return e
	}
	return nil
}

func setGroups(groups []uint32) error {
	var first unsafe.Pointer
	if len(groups) > 0 {
		first = unsafe.Pointer(&groups[0])
	}
	if _, _, e := syscall.RawSyscall(sysSetgroups, uintptr(len(groups)), uintptr(first), 0); e != 0 {
		return e
	}
	return nil
}
