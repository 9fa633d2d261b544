package command

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
)

// AsUser runs fn with u's credentials and returns its error. Files that fn
// opens and Unix sockets that fn connects itself, not in other goroutines, are
// opened and connected as u: the kernel judges both by the calling thread.
//
// A process that already is u runs fn directly. Otherwise fn runs on a thread
// of its own, whose effective user, group and supplementary groups become u's
// and which ends with fn. The rest of the process keeps its credentials:
// syscall.Setuid and its like would change every thread.
//
// The thread's real and saved user stay root. That keeps u from sending the
// thread signals or tracing it, while fn runs without root's power over files.
// For the same reason fn must not start a program or send a signal.
func AsUser(u User, fn func() error) error {
	if !mustSwitch(u) {
		return fn()
	}
	if syscall.Geteuid() != 0 {
		return errNotRoot(u)
	}
	return apart(func() error { return onOwnThread(u, fn) })
}

// apart runs fn in a goroutine of its own and waits for it.
func apart(fn func() error) error {
	result := make(chan error, 1)
	go func() {
		defer close(result)
		result <- fn()
	}()
	err, returned := <-result
	if !returned {
		return errors.New("the work was given up half-way") // runtime.Goexit, as of a failing test
	}
	return err
}

// onOwnThread never unlocks the thread it has changed, so that the runtime
// ends it together with the goroutine. The process's first thread cannot be
// ended, only parked, and would show u's credentials as the whole process's:
// when the scheduler hands us that one it is held while another does the work.
func onOwnThread(u User, fn func() error) error {
	runtime.LockOSThread()
	if syscall.Gettid() == syscall.Getpid() {
		defer runtime.UnlockOSThread()
		return apart(func() error { return onOwnThread(u, fn) })
	}
	if err := becomeThread(u); err != nil {
		return fmt.Errorf("cannot act as user %q: %w", u.Name, err)
	}
	return fn()
}

// mustSwitch says whether this process is somebody else than u.
func mustSwitch(u User) bool { return uint32(syscall.Geteuid()) != u.UID }

func errNotRoot(u User) error {
	return fmt.Errorf("cannot act as user %q (uid %d): this process has uid %d, expected root or that user",
		u.Name, u.UID, syscall.Geteuid())
}

// credentialFor is what makes a started program run as u; nil leaves it the
// credentials of this process.
func credentialFor(u *User) (*syscall.Credential, error) {
	if u == nil || !mustSwitch(*u) {
		return nil, nil
	}
	if syscall.Geteuid() != 0 {
		return nil, errNotRoot(*u)
	}
	return &syscall.Credential{Uid: u.UID, Gid: u.GID, Groups: u.Groups}, nil
}
