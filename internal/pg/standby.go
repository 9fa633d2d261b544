package pg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const standbySignal = "standby.signal"

// StandbySignal says whether the next start would be one as a standby, for
// which standby.signal is there.
func (i *Instance) StandbySignal() (bool, error) { return i.fileExists(standbySignal) }

// SetStandby makes the next start one as a standby, and makes that last: file
// and directory are on disk when it returns. It creates an empty standby.signal, which
// a version that is not supported would take no notice of. Everything is done as the
// system user, so that a link planted in its directory leads nowhere that user could
// not go itself.
//
// Something else than a plain file of that name wraps ErrNotRegular; a
// directory the user cannot write to wraps fs.ErrPermission.
func (i *Instance) SetStandby(_ context.Context) error {
	if _, err := i.Version(); err != nil {
		return err
	}
	if err := i.asUser(i.createSignal); err != nil {
		return fmt.Errorf("cannot make the next start one as a standby: %w", err)
	}
	return nil
}

func (i *Instance) createSignal() error { return i.createOnce(i.path(standbySignal), "") }

// createOnce makes a file with that text, and leaves one that is already there as
// it is. That may be so new that it is not on disk yet.
func (i *Instance) createOnce(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, i.fileMode())
	switch {
	case errors.Is(err, fs.ErrExist):
		f, err = openRegular(path, os.O_RDONLY, 0)
	case err == nil:
		if _, err = f.WriteString(text); err != nil {
			f.Close()
		}
	}
	if err != nil {
		return err
	}
	return settle(f)
}

// settle puts a file and its entry in its directory on disk.
func settle(f *os.File) error {
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(f.Name()))
}

// fileMode is 0600, with the group's reading where the data directory grants
// it, as the server itself creates its files.
func (i *Instance) fileMode() fs.FileMode {
	info, err := os.Stat(i.cfg.DataDir)
	if err != nil {
		return 0o600
	}
	return 0o600 | info.Mode().Perm()&0o040
}
