package pg

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/jackc/pgpassfile"
)

// password looks the role's password up in the system user's ~/.pgpass, as
// that user. No file, no entry, or a file that libpq would ignore because the
// group or others may read it: no password, which peer authentication and a
// trusted address do not need.
func (i *Instance) password() (found string, err error) {
	if !filepath.IsAbs(i.cfg.User.Home) {
		return "", nil
	}
	err = i.asUser(func() error {
		text, ok := readPrivate(filepath.Join(i.cfg.User.Home, ".pgpass"))
		if !ok {
			return nil
		}
		entries, err := pgpassfile.ParsePassfile(bytes.NewReader(text))
		if err != nil {
			return fmt.Errorf("cannot read the password file %s/.pgpass", i.cfg.User.Home)
		}
		found = entries.FindPassword(i.passwordHost(), strconv.Itoa(i.cfg.Port), database, i.cfg.User.Name)
		return nil
	})
	return found, err
}

// passwordHost is what the entries for a Unix socket are found under.
func (i *Instance) passwordHost() string {
	if i.overSocket() {
		return "localhost"
	}
	return i.cfg.Host
}

// readPrivate reads a file only its owner may access, by libpq's rule.
func readPrivate(path string) ([]byte, bool) {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		return nil, false
	}
	text, err := readRegular(path, maxLargeFile)
	return text, err == nil
}
