package pg

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"pgsqlms/internal/command"
)

// Largest size, in bytes, of what is read from the data directory. PostgreSQL
// writes far less; whatever is larger, somebody else has put there.
const (
	maxSmallFile = 16 << 10 // PG_VERSION, postmaster.pid
	maxLargeFile = 1 << 20  // history files, recovery templates, password files
)

// ErrNotRegular says that something else than a plain file has a file's name.
var ErrNotRegular = errors.New("not a regular file")

// ErrTooLarge says that a file is larger than PostgreSQL would ever write it.
var ErrTooLarge = errors.New("larger than expected")

// asUser does fn with the credentials of the system user.
func (i *Instance) asUser(fn func() error) error {
	return command.AsUser(i.cfg.User, fn)
}

// readFile reads a file of the data directory as the system user.
func (i *Instance) readFile(name string, most int64) (data []byte, err error) {
	err = i.asUser(func() error {
		data, err = readRegular(i.path(name), most)
		return err
	})
	return data, err
}

// readRegular reads a plain file of at most that many bytes. It neither
// follows a link in the last place of the path nor waits for a FIFO's writer.
func readRegular(path string, most int64) ([]byte, error) {
	f, err := openRegular(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("%s: %w, at most %d bytes", path, ErrTooLarge, most)
	}
	return data, nil
}

// openRegular opens a plain file, and nothing else.
func openRegular(path string, flags int, mode fs.FileMode) (*os.File, error) {
	f, err := os.OpenFile(path, flags|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, mode)
	if err != nil {
		return nil, refused(path, err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	if !info.Mode().IsRegular() {
		f.Close()
		return nil, notRegular(path)
	}
	return f, nil
}

// openDirectory opens a directory, and waits for nothing that stands in its place.
func openDirectory(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
}

// refused says why a file could not be opened. A link, a directory, a socket or
// a device each gives an error of its own, which says less than what it is.
func refused(path string, err error) error {
	if info, statErr := os.Lstat(path); statErr == nil && !info.Mode().IsRegular() {
		return notRegular(path)
	}
	return err
}

// notRegular names what was found. It is looked at again for the text only.
func notRegular(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, ErrNotRegular)
	}
	return fmt.Errorf("%s is %s: %w; remove it", path, kind(info.Mode()), ErrNotRegular)
}

func kind(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode.IsRegular():
		return "a regular file"
	}
	return "a device"
}

// fileExists says whether the data directory has a plain file of that name.
func (i *Instance) fileExists(name string) (bool, error) {
	found := false
	err := i.asUser(func() error {
		info, err := os.Lstat(i.path(name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return notRegular(i.path(name))
		}
		found = true
		return nil
	})
	return found, err
}
