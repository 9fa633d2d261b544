package operator

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// checkedHook is the path to run for a hook: absolute, without links, a regular file that
// can be executed, and that like every directory above it, up to top, only root or this
// process's own user may change.
func checkedHook(path, top string) (string, error) {
	if path == "" {
		return "", errors.New("the alert has no recipient, expected the absolute path of a program; to do: pcs alert recipient add ALERT value=PATH")
	}
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("the alert's recipient is %q, expected the absolute path of a program", path)
	}
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	info, err := os.Lstat(resolved)
	if err != nil {
		return "", err
	}
	switch {
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s: found no regular file, expected a program", resolved)
	case info.Mode().Perm()&0o111 == 0:
		return "", fmt.Errorf("%s: cannot be executed; to do: chmod 0755 %[1]s", resolved)
	}
	for at := resolved; ; at = filepath.Dir(at) {
		if err := onlyOurs(at); err != nil {
			return "", err
		}
		if at == top {
			return resolved, nil
		}
	}
}

// onlyOurs refuses what another user may change.
func onlyOurs(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s: its owner cannot be told", path)
	}
	if stat.Uid != 0 && stat.Uid != uint32(os.Geteuid()) {
		return fmt.Errorf("%s: belongs to uid %d, expected root; to do: chown root %[1]s", path, stat.Uid)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s: mode %04o, expected that only its owner may write; to do: chmod go-w %[1]s", path, info.Mode().Perm())
	}
	return nil
}

// markWait bounds the wait for another alert that notes something down at this moment.
const markWait = 2 * time.Second

// What a mark keeps: the events of the last changes, as an alert may come again after those of
// later ones, and the serial of the very last: a record that is deleted begins to count anew.
const (
	keptEvents = 16
	maxMark    = 8192 // bytes; more than so many have
)

// markOnce notes down that a hook is told of a change, and says whether nobody had. It is
// noted before the hook is run, and is on disk then: a hook that is cut short is not run
// again. A change that was told of before the record had its serial is known by its event;
// the serial is noted beside that when it comes. The marks are in a directory of this user's own; a mark's name is made of the
// resource's and the hook's, of which neither is fit for one.
func (a *alerter) markOnce(ctx context.Context, hook string, c roleChange) (first bool, err error) {
	if err := os.Mkdir(a.marks, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return false, err
	}
	if err := onlyOurs(a.marks); err != nil {
		return false, err
	}
	sum := sha256.Sum256([]byte(c.resource + "\x00" + hook))
	path := filepath.Join(a.marks, "told-"+hex.EncodeToString(sum[:8]))
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if err := lock(ctx, f); err != nil {
		return false, err
	}
	before, err := io.ReadAll(io.LimitReader(f, maxMark))
	if err != nil {
		return false, err
	}
	told := strings.FieldsFunc(string(before), func(r rune) bool { return r == '\n' })
	ids, first := noted(told, c.ids)
	if !first && len(ids) == len(told) {
		return false, nil
	}
	return first, errors.Join(f.Truncate(0), writeAtStart(f, strings.Join(ids, "\n")), f.Sync())
}

// noted is what a mark has to have for ids, an event's and perhaps a serial, given what it
// has, and whether they are new to it.
func noted(told, ids []string) (all []string, first bool) {
	isTold := func(id string) bool { return slices.Contains(told, id) }
	events := slices.DeleteFunc(slices.Clone(told), func(id string) bool { return !isEventID(id) })
	switch {
	case !slices.ContainsFunc(ids, isTold):
		return append(events[max(0, len(events)+1-keptEvents):], ids...), true
	case len(events) > 0 && events[len(events)-1] == ids[0]:
		return append(told, slices.DeleteFunc(slices.Clone(ids[1:]), isTold)...), false
	}
	return told, false
}

func writeAtStart(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

// lock holds others off until f is closed.
func lock(ctx context.Context, f *os.File) error {
	ctx, cancel := context.WithTimeout(ctx, markWait)
	defer cancel()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: held by another process for %s", f.Name(), markWait)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
