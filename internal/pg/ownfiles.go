package pg

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// dataNames are what PostgreSQL itself keeps on the first level of its data directory, from
// 12 to 18 ("Database File Layout" in its manual, and subdirs of initdb.c).
var dataNames = []string{
	"PG_VERSION", "base", "global", "pg_commit_ts", "pg_dynshmem", "pg_logical", "pg_multixact", "pg_notify", "pg_replslot", "pg_serial",
	"pg_snapshots", "pg_stat", "pg_stat_tmp", "pg_subtrans", "pg_tblspc", "pg_twophase", "pg_wal", "pg_xact",
	"backup_manifest", "current_logfiles",
}

// isData knows these. Whatever else is there belongs to the node: its configuration, also
// what that includes and is called pg_hba.d, its certificates, and its logs.
func isData(name string) bool { return slices.Contains(dataNames, name) }

// isOfRecovery knows the files that tell PostgreSQL, or pg_ctl, how to start, or how it
// was. Those of another server, or of before, are not to be believed.
func isOfRecovery(name string) bool {
	return slices.Contains([]string{
		"backup_label.old", "tablespace_map.old", "standby.signal", "recovery.signal", "recovery.done", "postmaster.pid", "postmaster.opts",
	}, name)
}

// isOwn says whether a file of the data directory's first level is the node's.
func isOwn(name string) bool {
	return !isData(name) && !isOfRecovery(name) && name != "backup_label" && name != "tablespace_map"
}

// removeEntries removes what fits from a directory.
func removeEntries(dir string, fits func(string) bool) error {
	names, err := listNames(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if fits(name) {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// copyEntries copies what fits from one directory into another.
func copyEntries(ctx context.Context, from, to string, fits func(string) bool) error {
	c := copier{ctx: ctx, sync: true}
	names, err := listNames(from)
	if err != nil {
		return err
	}
	for _, name := range names {
		if fits(name) {
			if err := c.copy(filepath.Join(from, name), filepath.Join(to, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// copier copies trees: plain files with their modes and times, directories, and links as
// links. Pipes and sockets are left out.
type copier struct {
	ctx  context.Context //nolint:containedctx // of one copy
	sync bool            // each file is on disk when it is done
	told func(bytes uint64)
}

func (c *copier) copy(from, to string) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		return c.directory(from, to, info)
	case mode.IsRegular():
		return c.file(from, to, info)
	case mode&fs.ModeSymlink != 0:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	}
	return nil
}

// directory gives the copy its mode at the end, and by chmod: the umask of whoever runs this
// has no part in it. Its owner can always empty it.
func (c *copier) directory(from, to string, info fs.FileInfo) error {
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	names, err := listNames(from)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := c.copy(filepath.Join(from, name), filepath.Join(to, name)); err != nil {
			return err
		}
	}
	return os.Chmod(to, info.Mode().Perm()|0o700)
}

func (c *copier) file(from, to string, info fs.FileInfo) error {
	source, err := openRegular(from, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	err = target.Chmod(copiedMode(info)) // by which the umask has no part in it
	if err == nil {
		err = c.content(target, source)
	}
	if err == nil && c.sync {
		err = target.Sync()
	}
	return errors.Join(err, target.Close(), os.Chtimes(to, info.ModTime(), info.ModTime()))
}

// copiedMode is a file's mode, and only its owner's where that becomes another one:
// PostgreSQL takes a private key that its group can read from root, and from nobody else
// (check_ssl_key_file_permissions in be-secure-common.c).
func copiedMode(info fs.FileInfo) fs.FileMode {
	mode := info.Mode().Perm()
	if status, ok := info.Sys().(*syscall.Stat_t); ok && int(status.Uid) != syscall.Geteuid() {
		mode = mode&0o700 | 0o600
	}
	return mode
}

// piece is how much is copied between two looks at whether to go on.
const piece = 32 << 20

// content copies in pieces. On file systems that can share blocks the kernel does so, and
// a copy costs next to nothing (copy_file_range(2)).
func (c *copier) content(to, from *os.File) error {
	for {
		n, err := io.CopyN(to, from, piece)
		if c.told != nil {
			c.told(uint64(max(n, 0)))
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = c.ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

// Copy makes a copy of the data directory what is worked on, and tells how many bytes it
// has copied in all. A rewind that follows puts it on disk.
func (r *Rejoin) Copy(ctx context.Context, told func(done uint64)) error {
	if err := r.nothingRuns(); err != nil {
		return err
	}
	done := uint64(0)
	c := copier{ctx: ctx, told: func(bytes uint64) { done += bytes; told(done) }}
	return r.i.asUser(func() error { return c.copy(r.dir, filepath.Join(r.work, newData)) })
}
