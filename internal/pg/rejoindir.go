package pg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A rejoin makes new data for an instance that cannot follow its primary any more. It
// works in a directory beside the data directory, and that directory is there as long as
// the work is not done: a data directory beside which there is one is never started. So
// nothing has to be written into the data, of which pg_rewind removes whatever the
// primary does not have.
//
//	main                           the data directory
//	main.pgsqlms-rejoin/data       what becomes the data directory
//	main.pgsqlms-rejoin/whole      says that these can be started, and have only to be moved
//	main.pgsqlms-rejoin/elsewhere  says what of the data directory is not in it, see elsewhereNote
//	main.pgsqlms-rejoin/own        this node's own files of the data directory
//	main.pgsqlms-rejoin/standby    says that the data directory had a standby.signal, while it has none
//	main.pgsqlms-rejoin/old        the old data that are not to be kept, while they are removed
//	main.before-rejoin-TIME        what the data directory was
const (
	rejoinSuffix  = ".pgsqlms-rejoin"
	keptSuffix    = ".before-rejoin-"
	newData       = "data"
	oldData       = "old"
	noteWhole     = "whole"
	noteElsewhere = "elsewhere"
	noteStandby   = "standby"
	ownFiles      = "own"
	ownComplete   = "own.complete"
)

// maxLinks is how many links are followed from the data directory's name, as the kernel
// itself gives up after 40.
const maxLinks = 40

// realDataDir is the data directory behind the links on its path, as the kernel would name
// it, whether it is there or not. It runs as the system user.
func (i *Instance) realDataDir() (string, error) {
	path := linkless(filepath.Clean(i.cfg.DataDir), maxLinks)
	if _, err := os.Readlink(path); err == nil { // a ring of them
		return "", fmt.Errorf("%s: %w", i.cfg.DataDir, syscall.ELOOP)
	}
	return path, nil
}

// UnfinishedRejoin finds the directory of a rejoin that is under way, or was broken off;
// empty for none. Whatever has its name counts. It is looked for as the system user; a
// parent directory that this user cannot search has none.
func (i *Instance) UnfinishedRejoin() (found string, err error) {
	err = i.asUser(func() error {
		dir, err := i.realDataDir()
		if err == nil {
			_, err = os.Lstat(dir + rejoinSuffix)
		}
		switch {
		case err == nil:
			found = dir + rejoinSuffix
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ELOOP):
			return nil // what is wrong with the data directory, others say
		}
		return err
	})
	return found, err
}

// A Rejoin is that work. All of it is done as the system user.
type Rejoin struct {
	i      *Instance
	dir    string // the data directory itself
	work   string
	parent *os.File // locked
	ready  bool     // what is worked on are new data, and whole
	placed bool     // they have the data directory's name
	left   string   // where what could not be removed of the old data is

	// untouched says that the data directory is where it was when Begin copied this node's own
	// files from it, so that these are no more than a copy.
	untouched bool
}

// ErrRejoining says that another rejoin is under way; see LockRejoin for which.
var ErrRejoining = errors.New("another rejoin of this data directory, or of one beside it, is under way")

// LockRejoin keeps other rejoins of the same data directory away, until Close or the end
// of this process, and those of others with the same parent directory: that is what is locked,
// since the data directory itself has other names meanwhile, or is not there, and a file for
// the lock others could make first. It changes nothing. Its errors wrap ErrRejoining, or tell why the
// directory in which the data directory is cannot be opened.
func (i *Instance) LockRejoin() (*Rejoin, error) {
	r := &Rejoin{i: i}
	err := i.asUser(func() (err error) {
		if r.dir, err = i.realDataDir(); err != nil {
			return err
		}
		r.work = r.dir + rejoinSuffix
		if r.parent, err = openDirectory(filepath.Dir(r.dir)); err != nil {
			return err
		}
		err = syscall.Flock(int(r.parent.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = fmt.Errorf("%w: %s is locked", ErrRejoining, filepath.Dir(r.dir))
		}
		if err != nil {
			r.parent.Close()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Close lets others in.
func (r *Rejoin) Close() { r.parent.Close() }

// Dir is the directory in which it works. While that is there, the agent starts nothing.
func (r *Rejoin) Dir() string { return r.work }

// new is the instance with the data that are being made.
func (r *Rejoin) new() *Instance {
	c := r.i.cfg
	if c.PGData == c.DataDir {
		c.PGData = filepath.Join(r.work, newData)
	}
	c.DataDir = filepath.Join(r.work, newData)
	return r.i.with(c)
}

// nothingRuns is the guard of all that changes a directory in which PostgreSQL may run.
func (r *Rejoin) nothingRuns() error {
	p, err := r.i.Processes()
	switch {
	case err != nil:
		return fmt.Errorf("it cannot be told whether PostgreSQL runs in %s: %w", r.dir, err)
	case p.Running():
		return fmt.Errorf("PostgreSQL runs in %s (postmaster %d, orphans %v), expected nothing of it: nothing was changed", r.dir, p.Postmaster, p.Orphans)
	}
	return nil
}

// free is the guard of all that gives the directory another name, or removes it.
func (r *Rejoin) free() error {
	if err := r.nothingRuns(); err != nil {
		return err
	}
	return r.nothingMounted()
}

// Begin makes the directory, instead of one that was left behind, and puts this node's own
// files into it: whatever of the data directory's first level is not data. Where a rejoin
// that was broken off has left no data directory, or one that is not whole, it has left those
// files, and they stay. Something that runs on the data directory, or a directory that is
// nothing of PostgreSQL's, is an error, and nothing is changed. So is the end of ctx while
// those files are copied.
func (r *Rejoin) Begin(ctx context.Context) error {
	if err := r.free(); err != nil {
		return err
	}
	return r.i.asUser(func() error {
		if err := r.takeBack(); err != nil {
			return err
		}
		found, err := contentsOf(r.dir)
		if err == nil && found == contentsStrange {
			err = fmt.Errorf("%s %s; nothing was changed", r.dir, nothingOfPostgres)
		}
		if err != nil {
			return err
		}
		own, again := filepath.Join(r.work, ownFiles), needsOwn(r.work, found)
		if !again {
			if err := r.removeWork(); err != nil {
				return err
			}
		}
		if err := os.Mkdir(r.work, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if again {
			return r.keepOwn(own)
		}
		if err := os.Mkdir(own, 0o700); err != nil {
			return err
		}
		if err := copyEntries(ctx, r.dir, own, isOwn); err != nil {
			return fmt.Errorf("this node's own files of %s cannot be put aside: %w", r.dir, err)
		}
		r.untouched = true
		return r.i.createOnce(filepath.Join(r.work, ownComplete), "")
	})
}

// keepOwn is Begin without a data directory, or with one that is not whole: only what was put
// aside before counts. What else there is, is half-done, or was being removed.
func (r *Rejoin) keepOwn(own string) error {
	if err := r.removeNew(); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(r.work, oldData)); err != nil {
		return err
	}
	if hasOwn(r.work) {
		return nil
	}
	if err := os.RemoveAll(own); err != nil {
		return err
	}
	return os.Mkdir(own, 0o700)
}

// Take makes the data directory itself what is worked on, and notes what of it lies
// elsewhere. From here on there is no data directory until Finish. Until something is
// changed in the data, whatever gives the work up moves them back: Discard, Abandon, or
// TakeBack of the next one.
func (r *Rejoin) Take() error {
	if err := r.free(); err != nil {
		return err
	}
	return r.i.asUser(func() error {
		if err := r.i.createOnce(filepath.Join(r.work, noteElsewhere), elsewhereNote(r.dir)); err != nil {
			return err
		}
		if err := r.mark(); err != nil {
			return err
		}
		return r.moveAway(filepath.Join(r.work, newData))
	})
}

// moveAway takes the data directory's name away from what has it.
func (r *Rejoin) moveAway(to string) error {
	err := r.rename(r.dir, to)
	if there, _ := isDirectory(r.dir); !there {
		r.untouched = false
	}
	return err
}

// mark notes that the data that are worked on are whole: they can be started as they are,
// and have only to be moved. The note is on disk before they are.
func (r *Rejoin) mark() error { return r.i.createOnce(filepath.Join(r.work, noteWhole), "") }

// unmark takes that note away, for good when it returns: before anything is changed in the
// data, or other ones are made.
func (r *Rejoin) unmark() error {
	err := os.Remove(filepath.Join(r.work, noteWhole))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, syncDirectory(r.work))
}

// TakeBack gives whole data the data directory's name, where a rejoin that was broken off
// has left them without: before anything was changed in them, or when they had become the
// new ones. An empty directory in their place goes; anything else there that is no data is an
// error. It does nothing where there is a data directory, or nothing of that kind; and it
// makes standby.signal anew where such a rejoin has left the data without.
func (r *Rejoin) TakeBack() error {
	if err := r.free(); err != nil {
		return err
	}
	return r.i.asUser(func() error { return errors.Join(r.takeBack(), r.putSignalBack()) })
}

func (r *Rejoin) takeBack() error {
	if r.untouched || !isWhole(r.work) {
		return nil
	}
	switch found, err := contentsOf(r.dir); {
	case err != nil:
		return err
	case found == contentsWhole:
		return nil
	case found != contentsNone && found != contentsEmpty:
		return errContested(r.dir, r.work)
	case found == contentsEmpty:
		if err := os.Remove(r.dir); err != nil { // which removes no other one
			return err
		}
	}
	if err := r.rename(filepath.Join(r.work, newData), r.dir); err != nil {
		return err
	}
	r.placed = r.ready
	return r.unmark()
}

// Drop removes the data directory, for room. From here on there is none until Finish: its
// name is taken away first, so that half of it is never taken for a data directory.
func (r *Rejoin) Drop() error {
	if err := r.free(); err != nil {
		return err
	}
	return r.i.asUser(func() error {
		there, err := isDirectory(r.dir)
		if err != nil || !there {
			return err
		}
		old := filepath.Join(r.work, oldData)
		if err := r.moveAway(old); err != nil {
			return err
		}
		return os.RemoveAll(old)
	})
}

// Abandon gives the work up, where there is a data directory as it was before, or data that
// have only to be moved back. Else the directory stays, for it has this node's own files and
// says what has happened; then the result is true.
func (r *Rejoin) Abandon() (unfinished bool, err error) {
	if err := r.nothingMounted(); err != nil {
		if _, missing := os.Lstat(r.work); errors.Is(missing, fs.ErrNotExist) {
			return false, nil // there is nothing to remove
		}
		return true, err
	}
	err = r.i.asUser(func() error {
		unfinished = true
		if err := r.takeBack(); err != nil {
			return err
		}
		found, err := contentsOf(r.dir)
		if err != nil || found == contentsNone || needsOwn(r.work, found) && !r.untouched {
			return err
		}
		unfinished = false
		return r.removeWork()
	})
	return unfinished, err
}

// Discard removes new data that came to nothing, for another attempt. The data directory
// itself, where nothing was changed in it since Take, is moved back instead.
func (r *Rejoin) Discard() error {
	return r.i.asUser(func() error {
		if err := r.takeBack(); err != nil {
			return err
		}
		return r.removeNew()
	})
}

// removeNew removes what is worked on.
func (r *Rejoin) removeNew() error {
	if err := r.unmark(); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Join(r.work, newData))
}

// Finish makes the new data this node's: with its own files, set up as a standby, in the
// data directory's place. What was there before is kept beside it, under the name that is
// returned, or removed; empty when there was nothing. What of it could not be removed is moved
// beside them, see Left: it keeps nobody from starting the new ones. After an error Placed
// says which data have the data directory's name, and what was to be kept is there if a name
// is returned.
func (r *Rejoin) Finish(keep bool, now time.Time) (kept string, err error) {
	if err := r.free(); err != nil {
		return "", err
	}
	fresh := r.new()
	err = r.i.asUser(func() error {
		own := filepath.Join(r.work, ownFiles)
		if err := removeEntries(fresh.cfg.DataDir, func(name string) bool { return isOwn(name) || isOfRecovery(name) }); err != nil {
			return err
		}
		if err := copyEntries(context.Background(), own, fresh.cfg.DataDir, func(string) bool { return true }); err != nil {
			return err
		}
		if err := fresh.createSignal(); err != nil {
			return err
		}
		kept, err = r.exchange(keep, now)
		return err
	})
	return kept, err
}

// Placed says whether Finish has given the new data the data directory's name.
func (r *Rejoin) Placed() bool { return r.placed }

// Left is where what could not be removed of the old data is; empty as a rule.
func (r *Rejoin) Left() string { return r.left }

func (r *Rejoin) exchange(keep bool, now time.Time) (kept string, err error) {
	found, err := contentsOf(r.dir)
	if err == nil && found == contentsStrange {
		err = fmt.Errorf("%s %s", r.dir, nothingOfPostgres)
	}
	if err != nil {
		return "", err
	}
	if err := r.mark(); err != nil {
		return "", err
	}
	r.ready = true
	old := filepath.Join(r.work, oldData)
	beside := r.dir + keptSuffix + now.UTC().Format("20060102T150405Z")
	switch {
	case found == contentsNone, found == contentsEmpty: // which takeBack removes
		r.untouched = false
	case keep:
		if err := r.moveAway(beside); err != nil {
			return "", err
		}
		kept = beside
	default:
		if err := r.moveAway(old); err != nil {
			return "", err
		}
	}
	if err := r.takeBack(); err != nil {
		return kept, err
	}
	err = r.removeWork() // and, with it, what is not to be kept
	if err == nil {
		return kept, nil
	}
	if there, _ := isDirectory(old); !there || r.rename(old, beside) != nil {
		return kept, err
	}
	r.left = beside
	return kept, r.removeWork()
}

// rename moves a directory, never onto another one, and makes that last.
func (r *Rejoin) rename(from, to string) error {
	if _, err := os.Lstat(to); err == nil {
		return fmt.Errorf("%s is there already, expected nothing of that name", to)
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return errors.Join(syncDirectory(filepath.Dir(from)), syncDirectory(filepath.Dir(to)))
}

// syncDirectory makes it last what names a directory has.
func syncDirectory(dir string) error {
	d, err := openDirectory(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// isDirectory says whether there is one of that name; anything else there is an error.
func isDirectory(path string) (bool, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case !info.IsDir():
		return false, fmt.Errorf("%s is %s, expected a directory", path, kind(info.Mode()))
	}
	return true, nil
}

// ErrConfigurationGone says that this node's configuration was in the data directory, and is
// not there any more: nothing says how the primary is reached.
var ErrConfigurationGone = errors.New("this node's configuration is gone")

// RejoinConninfo is Conninfo, with RejoinSettings.
func (i *Instance) RejoinConninfo(ctx context.Context) (Conninfo, error) {
	const name = "primary_conninfo"
	c, err := i.Conninfo(ctx)
	if err == nil {
		return c, nil
	}
	settings, err := i.RejoinSettings(ctx, name)
	if err != nil {
		return Conninfo{}, err
	}
	values, err := ParseConninfo(settings[name])
	if err != nil {
		return Conninfo{}, fmt.Errorf("%s: %w", name, err)
	}
	return Conninfo{values}, nil
}

// RejoinSettings is Settings; where the data directory, and the configuration in it, are gone
// with a rejoin that was broken off, they are those of the files that were put aside. Where
// there is no configuration at all its error wraps ErrConfigurationGone.
func (i *Instance) RejoinSettings(ctx context.Context, names ...string) (map[string]string, error) {
	settings, err := i.Settings(ctx, names...)
	if err == nil || i.cfg.PGData != i.cfg.DataDir {
		return settings, err
	}
	work, findErr := i.UnfinishedRejoin()
	if findErr != nil || work == "" {
		return nil, i.configurationGone(err)
	}
	aside := i.cfg
	aside.PGData = filepath.Join(work, ownFiles)
	settings, asideErr := i.with(aside).Settings(ctx, names...)
	if asideErr != nil {
		return nil, err
	}
	return settings, nil
}

// configurationGone looks whether that is why the configuration cannot be read: there is no
// file of it, and start_opts name no other one.
func (i *Instance) configurationGone(err error) error {
	const file = "postgresql.conf"
	lookErr := i.asUser(func() error {
		_, err := os.Lstat(filepath.Join(i.cfg.PGData, file))
		return err
	})
	if !errors.Is(lookErr, fs.ErrNotExist) || strings.Contains(i.cfg.StartOpts, "config_file") {
		return err
	}
	return fmt.Errorf("%w: there is no %s", ErrConfigurationGone, filepath.Join(i.cfg.PGData, file))
}
