package pg

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// contents is what lies in a data directory's place.
type contents int

const (
	contentsNone    contents = iota // no directory
	contentsEmpty                   // a directory, such as an administrator makes by hand
	contentsStrange                 // something, and nothing of PostgreSQL's
	contentsDamaged                 // of PostgreSQL, and without PG_VERSION or pg_control
	contentsWhole                   // data, by their PG_VERSION and pg_control
)

const nothingOfPostgres = "has neither PG_VERSION nor base and global, or has another data directory in it: it is no data directory"

// contentsOf looks. Anything else than a directory is an error. It runs as the system user.
func contentsOf(dir string) (contents, error) {
	there, err := isDirectory(dir)
	if err != nil || !there {
		return contentsNone, err
	}
	names, err := listNames(dir)
	switch {
	case err != nil:
		return contentsNone, err
	case len(names) == 0:
		return contentsEmpty, nil
	case isStrange(dir, names):
		return contentsStrange, nil
	case hasData(dir):
		return contentsWhole, nil
	}
	return contentsDamaged, nil
}

// isStrange says of a directory that is not empty that no PostgreSQL has made it. Without
// PG_VERSION it has base and global, or a configuration: one that is put back by hand comes
// before the data. Another data directory in it is a parent of such, of which
// somebody has given the name by mistake, and a server may run there.
func isStrange(dir string, names []string) bool {
	has := func(name string) bool { return slices.Contains(names, name) }
	if has("PG_VERSION") {
		return false
	}
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(dir, name, "PG_VERSION")); err == nil {
			return true
		}
	}
	return (!has("base") || !has("global")) && !has("postgresql.conf")
}

// hasData goes by the two files without which there are none.
func hasData(dir string) bool {
	text, err := readRegular(filepath.Join(dir, "PG_VERSION"), maxSmallFile)
	if err != nil {
		return false
	}
	if _, err := parseVersionFile(string(text)); err != nil {
		return false
	}
	control, err := os.Lstat(filepath.Join(dir, "global", "pg_control"))
	return err == nil && control.Mode().IsRegular() && control.Size() == controlSize
}

// isWhole says whether a rejoin that works there has left data that have only to be moved.
func isWhole(work string) bool {
	_, err := os.Lstat(filepath.Join(work, noteWhole))
	there, dirErr := isDirectory(filepath.Join(work, newData))
	return err == nil && dirErr == nil && there
}

// hasOwn says whether a rejoin that works there has put all of this node's own files aside.
func hasOwn(work string) bool {
	_, err := os.Lstat(filepath.Join(work, ownComplete))
	return err == nil
}

// needsOwn says whether these may be the only ones that there are.
func needsOwn(work string, found contents) bool {
	return found == contentsNone || hasOwn(work) && found != contentsWhole
}

// errContested is of whole data whose place somebody else has taken.
func errContested(dir, work string) error {
	return fmt.Errorf("whole data are in %s, and %s, where they belong, is there and has none: it was not touched; to do: move %[2]s away, and run it again", filepath.Join(work, newData), dir)
}

// removeWork removes the directory in which a rejoin works. What it says of whole data and of
// own files goes first: should this be broken off, half of either is not taken for all.
func (r *Rejoin) removeWork() error {
	info, err := os.Lstat(r.work)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.IsDir():
		return os.Remove(r.work)
	}
	if err := r.putSignalBack(); err != nil {
		return err
	}
	for _, name := range []string{noteWhole, ownComplete} {
		if err := os.Remove(filepath.Join(r.work, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return errors.Join(syncDirectory(r.work), os.RemoveAll(r.work))
}

// putSignalBack makes standby.signal anew where a crash recovery in place took it away and was
// killed: nobody who starts the data by hand gets a primary.
func (r *Rejoin) putSignalBack() error {
	note := filepath.Join(r.work, noteStandby)
	if _, err := os.Lstat(note); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if found, err := contentsOf(r.dir); err != nil || found < contentsDamaged {
		return err // it stays noted
	}
	if err := r.i.createOnce(filepath.Join(r.dir, standbySignal), ""); err != nil {
		return err
	}
	return errors.Join(os.Remove(note), syncDirectory(r.work))
}
