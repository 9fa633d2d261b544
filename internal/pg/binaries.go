package pg

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// ErrBinary says that a program of PostgreSQL, or the directory that should
// hold it, is missing or cannot be executed by the system user.
var ErrBinary = errors.New("not usable as PostgreSQL's programs")

// Arguments of faccessat(2) that package syscall does not name: may the file
// be executed, asked for the effective user instead of the real one.
const (
	accessExecute   = 0x1
	accessEffective = 0x200
	currentDir      = -0x64
)

// CheckBinaries checks that BinDir holds postgres, pg_ctl and pg_controldata
// and that the system user may execute them. It starts none of them. Its
// errors wrap ErrBinary and name the first that is wrong.
func (i *Instance) CheckBinaries() error {
	return i.asUser(func() error {
		info, err := os.Stat(i.cfg.BinDir)
		if err != nil || !info.IsDir() {
			return fmt.Errorf("%w: %s is not a directory %s can reach", ErrBinary, i.cfg.BinDir, i.cfg.User.Name)
		}
		for _, name := range []string{"postgres", "pg_ctl", "pg_controldata"} {
			if err := checkExecutable(i.tool(name)); err != nil {
				return err
			}
		}
		return nil
	})
}

func checkExecutable(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s does not exist", ErrBinary, path)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBinary, err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: %s is %s, expected a program", ErrBinary, path, kind(info.Mode()))
	}
	if err := syscall.Faccessat(currentDir, path, accessExecute, accessEffective); err != nil {
		return fmt.Errorf("%w: %s cannot be executed: %w", ErrBinary, path, err)
	}
	return nil
}
