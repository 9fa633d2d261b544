package pg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	standbySignal = "standby.signal"
	recoveryConf  = "recovery.conf"
)

// StandbySignal says whether the next start would be one as a standby, for
// which standby.signal, or recovery.conf before PostgreSQL 12, is there.
func (i *Instance) StandbySignal() (bool, error) {
	major, err := i.Version()
	if err != nil {
		return false, err
	}
	if major < signalFileMajor {
		return i.fileExists(recoveryConf)
	}
	return i.fileExists(standbySignal)
}

// SetStandby makes the next start one as a standby, and makes that last: file
// and directory are on disk when it returns. From PostgreSQL 12 on it creates
// an empty standby.signal, before it replaces recovery.conf with a copy of the
// recovery template. Everything is done as the system user, so that a link
// planted in its directory leads nowhere that user could not go itself.
//
// Something else than a plain file of that name wraps ErrNotRegular; a
// directory the user cannot write to wraps fs.ErrPermission.
func (i *Instance) SetStandby(_ context.Context) error {
	major, err := i.Version()
	if err != nil {
		return err
	}
	err = i.asUser(func() error {
		if major < signalFileMajor {
			return i.copyTemplate()
		}
		return i.createSignal()
	})
	if err != nil {
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
	d, err := openDirectory(filepath.Dir(f.Name()))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
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

// copyTemplate replaces recovery.conf as a whole: a crash leaves the old one
// or the new one.
func (i *Instance) copyTemplate() error {
	if i.cfg.RecoveryTemplate == "" {
		return errors.New("no recovery template is configured, and PostgreSQL before 12 needs one")
	}
	text, err := readRegular(i.cfg.RecoveryTemplate, maxLargeFile)
	if err != nil {
		return fmt.Errorf("recovery template: %w", err)
	}
	if info, err := os.Lstat(i.path(recoveryConf)); err == nil && !info.Mode().IsRegular() {
		return notRegular(i.path(recoveryConf))
	}
	return i.replace(recoveryConf, text)
}

func (i *Instance) replace(name string, text []byte) error {
	temporary := i.path(name + ".pgsqlms")
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, i.fileMode())
	if err != nil {
		return err
	}
	if _, err := f.Write(text); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil { // before its name is the real one
		f.Close()
		return err
	}
	if err := os.Rename(temporary, i.path(name)); err != nil {
		f.Close()
		return err
	}
	return settle(f)
}
