package pg

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// What CheckDataDir finds wrong, for errors.Is.
var (
	ErrDataDirMissing = errors.New("the data directory does not exist")
	ErrNotDirectory   = errors.New("the data directory is not a directory")
	ErrDataDirAccess  = errors.New("the data directory has a wrong owner or mode")
)

// forbiddenBits are the permissions the server refuses on its data directory:
// writing for the group and anything for others (checkDataDir in PostgreSQL's
// miscinit.c; PG_MODE_MASK_GROUP).
const forbiddenBits fs.FileMode = 0o027

// CheckDataDir checks what the server checks before it starts: the data
// directory exists, is a directory, belongs to the system user, and has mode
// 0700 or 0750. A configuration directory apart from it must exist too.
//
// Its errors wrap ErrDataDirMissing, ErrNotDirectory or ErrDataDirAccess;
// the last one also when the user cannot even reach the directory.
func (i *Instance) CheckDataDir() error {
	info, err := i.statDirectory(i.cfg.DataDir)
	if err != nil {
		return err
	}
	if err := i.checkOwner(info); err != nil {
		return err
	}
	if info.Mode().Perm()&forbiddenBits != 0 {
		return fmt.Errorf("%w: %s has mode %04o, expected 0700 or 0750; run: chmod 0700 %s",
			ErrDataDirAccess, i.cfg.DataDir, info.Mode().Perm(), i.cfg.DataDir)
	}
	if i.cfg.PGData == i.cfg.DataDir {
		return nil
	}
	_, err = i.statDirectory(i.cfg.PGData)
	return err
}

func (i *Instance) checkOwner(info fs.FileInfo) error {
	status, ok := info.Sys().(*syscall.Stat_t)
	if ok && status.Uid == i.cfg.User.UID {
		return nil
	}
	found := "an unknown user"
	if ok {
		found = fmt.Sprintf("uid %d", status.Uid)
	}
	return fmt.Errorf("%w: %s belongs to %s, expected %s (uid %d)",
		ErrDataDirAccess, i.cfg.DataDir, found, i.cfg.User.Name, i.cfg.User.UID)
}

// statDirectory looks at a directory as the system user. A link to one will
// do, as it does for the server.
func (i *Instance) statDirectory(path string) (info fs.FileInfo, err error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("%w: %q is not an absolute path", ErrNotDirectory, path)
	}
	err = i.asUser(func() error {
		info, err = os.Stat(path)
		return err
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %s", ErrDataDirMissing, path)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%w: %s cannot reach %s", ErrDataDirAccess, i.cfg.User.Name, path)
	case errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.ENOTDIR):
		return nil, fmt.Errorf("%w: %w", ErrNotDirectory, err)
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, fmt.Errorf("%w: %s is %s", ErrNotDirectory, path, kind(info.Mode()))
	}
	return info, nil
}

// BackupLabel says whether backup_label is there: the directory is a base
// backup that was never started, or one was being taken from it.
func (i *Instance) BackupLabel() (bool, error) {
	return i.fileExists("backup_label")
}
