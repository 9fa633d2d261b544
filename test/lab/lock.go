package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// fileLock is an exclusive lock, which the kernel drops with its holder.
type fileLock struct{ f *os.File }

// lockFile waits for the lock.
func lockFile(ctx context.Context, path string) (*fileLock, error) {
	for {
		lock, err := tryLock(path)
		if lock != nil || err != nil {
			return lock, err
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return nil, fmt.Errorf("waiting for the lock %s, held by another program: %w", path, err)
		}
	}
}

// tryLock returns nothing when somebody else has the lock.
func tryLock(path string) (*fileLock, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	// Between our opening and locking it, its holder may have removed the file.
	if errors.Is(err, syscall.EWOULDBLOCK) || (err == nil && !isFile(f, path)) {
		f.Close()
		return nil, nil
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return &fileLock{f}, nil
}

// Reserve keeps the labs of a name for this program alone, among those that ask,
// until it ends or calls what it is given: such a program may take a lab of that
// name away that it finds. A name that somebody else keeps is an error.
func Reserve(name string) (release func(), err error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(stateRoot(), 0o755); err != nil {
		return nil, fmt.Errorf("lab state: %w", err)
	}
	lock, err := tryLock(filepath.Join(stateRoot(), "."+name+".user.lock"))
	if err != nil {
		return nil, err
	}
	if lock == nil {
		return nil, fmt.Errorf("the lab %s is another program's that runs: wait for its end, or choose another name", name)
	}
	return lock.unlock, nil
}

func isFile(f *os.File, path string) bool {
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(mine, there)
}

func (l *fileLock) unlock() { l.f.Close() }

// remove takes the file away; the lock on it is still to be given back.
func (l *fileLock) remove() error { return os.Remove(l.f.Name()) }
