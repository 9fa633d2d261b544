package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"pgsqlms/internal/command"
)

// logDir is where PostgreSQL's output goes before, or without, a log of its own. It
// is root's, so nobody can plant a link in it. PGSQLMS_LOG_DIR in Pacemaker's
// environment (/etc/default/pacemaker, /etc/sysconfig/pacemaker) names another.
const logDir = "/var/log/pgsqlms"

// prepareOutput makes the file that a new postmaster writes to, owned by its user.
// Without it PostgreSQL's output is lost, which is no reason not to start.
func (a *agent) prepareOutput() {
	err := makeLog(a.conf.logPath, int(a.conf.user.UID), int(a.conf.user.GID))
	if err == nil {
		err = a.canAppend(a.conf.logPath)
	}
	if err != nil {
		a.log.Warnf("PostgreSQL's output goes to /dev/null: %v", err)
		a.conf.logPath = ""
		a.openInstance()
	}
}

// canAppend tries what the launch will do.
func (a *agent) canAppend(path string) error {
	return command.AsUser(a.conf.user, func() error {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err == nil && !info.Mode().IsRegular() {
			err = fmt.Errorf("%s is not a regular file", path)
		}
		return err
	})
}

func makeLog(path string, uid, gid int) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o640)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Chown(uid, gid)
}
