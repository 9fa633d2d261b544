package pg

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Premises are what a rejoin finds around a data directory. Sizes are in bytes.
type Premises struct {
	DataDir     string // the directory itself, behind links
	Exists      bool
	Work        string // where a rejoin works
	Unfinished  bool   // one was broken off, or is under way
	Size        uint64 // of the files in the data directory, without what lies elsewhere
	Free        uint64 // of the file system on which Work is, for others than root
	Mounted     bool   // the data directory is a file system of its own
	Writable    bool   // its parent directory is, by the system user
	WALLink     string // where pg_wal leads, when it is a link
	Tablespaces int    // links of pg_tblspc
}

// Premises looks, as the system user. The size is that of every file, so it takes a while
// with very many of them; ctx bounds it.
func (i *Instance) Premises(ctx context.Context) (p Premises, err error) {
	err = i.asUser(func() error {
		p, err = i.premises(ctx)
		return err
	})
	return p, err
}

func (i *Instance) premises(ctx context.Context) (p Premises, err error) {
	if p.DataDir, err = i.realDataDir(); err != nil {
		return p, err
	}
	p.Work = p.DataDir + rejoinSuffix
	parent := filepath.Dir(p.DataDir)
	_, err = os.Lstat(p.Work)
	p.Unfinished = err == nil
	p.Writable = syscall.Faccessat(currentDir, parent, accessWrite|accessExecute, accessEffective) == nil
	var s syscall.Statfs_t
	if err := syscall.Statfs(parent, &s); err != nil {
		return p, &fs.PathError{Op: "statfs", Path: parent, Err: err}
	}
	p.Free = s.Bavail * uint64(max(s.Bsize, 0))
	if p.Exists, err = isDirectory(p.DataDir); err != nil || !p.Exists {
		return p, err
	}
	if p.Mounted, err = otherDevice(p.DataDir, parent); err != nil {
		return p, err
	}
	if p.WALLink, err = os.Readlink(filepath.Join(p.DataDir, "pg_wal")); err != nil {
		p.WALLink = ""
	}
	if spaces, err := listNames(filepath.Join(p.DataDir, "pg_tblspc")); err == nil {
		p.Tablespaces = len(spaces)
	}
	p.Size, err = sizeOf(ctx, p.DataDir)
	return p, err
}

// accessWrite is W_OK of faccessat(2), which package syscall does not name.
const accessWrite = 0x2

func otherDevice(a, b string) (bool, error) {
	var x, y syscall.Stat_t
	err := errors.Join(syscall.Stat(a, &x), syscall.Stat(b, &y))
	return x.Dev != y.Dev, err
}

// sizeOf adds up what the files below a directory occupy.
func sizeOf(ctx context.Context, dir string) (bytes uint64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if info, err := d.Info(); err == nil { // else it is gone
			bytes += uint64(max(info.Size(), 0))
		}
		return nil
	})
	return bytes, err
}
