package pg

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"pgsqlms/internal/pattern"
)

// Premises are what a rejoin finds around a data directory. Sizes are in bytes.
type Premises struct {
	DataDir    string // the directory itself, behind links
	Exists     bool   // it is there, or is in Aside
	Aside      string // where it is instead: a rejoin that was broken off has moved it and changed nothing; empty as a rule
	Empty      bool   // nothing is in it
	Strange    bool   // something is, and it is nothing of PostgreSQL's
	Contested  string // where whole data of a rejoin that was broken off are, in whose place is something that is not whole; empty as a rule
	Work       string // where a rejoin works
	Unfinished bool   // one was broken off, or is under way
	OwnApart   string // where it has put this node's own files, which count, and not those in the data directory; empty as a rule
	Size       uint64 // of the files in the data directory, without what lies elsewhere
	Sized      bool   // Size, Own and Left are whole: else there was no time, or a directory that could not be read
	Own        uint64 // of this node's own files in it
	OwnErr     error  // why one of these cannot be read by the system user, or not be looked at
	Left       uint64 // of what is in Work, and removed before new data are made
	Free       uint64 // of the file system on which Work is, for others than root
	Writable   bool   // its parent directory is, by the system user

	Mounted     []string  // mount points: the data directory itself, or in it
	MountedWork []string  // the same of Work
	Unmounted   []string  // mount points in /etc/fstab, of the data directory, above or below it, at which nothing is mounted
	Unremovable string    // a directory in the data directory that the system user cannot empty; empty for none
	StuckInWork string    // the same of Work
	Slots       []OwnSlot // of the instance itself: neither pg_rewind nor a copy leaves any
	Elsewhere
}

// Elsewhere is what of a data directory is not in it.
type Elsewhere struct {
	WALLink     string // where pg_wal leads, when it is a link
	Tablespaces int    // links of pg_tblspc
	Relative    string // one of these links that leads from where the data directory is, so that it is lost when that is moved
}

// Premises looks, as the system user. The sizes are those of every file, so they take a
// while with very many of them; ctx bounds that, and its end is no error.
func (i *Instance) Premises(ctx context.Context) (p Premises, err error) {
	mounted, mountsErr := i.mounts() // these two are root's
	fstab, fstabErr := readFstab()
	err = i.asUser(func() error {
		p, err = i.premises(ctx, mounted, fstab)
		return err
	})
	return p, errors.Join(mountsErr, fstabErr, err)
}

// Aside is the instance with its data in another directory, for a look at data that a rejoin
// has moved.
func (i *Instance) Aside(dir string) *Instance {
	c := i.cfg
	if c.PGData == c.DataDir {
		c.PGData = dir
	}
	c.DataDir = dir
	return i.with(c)
}

func (i *Instance) premises(ctx context.Context, mounted []string, fstab string) (p Premises, err error) {
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
	p.Mounted, p.MountedWork = within(mounted, p.DataDir), within(mounted, p.Work)
	p.Unmounted = unmounted(fstab, mounted, p.DataDir)
	found, err := contentsOf(p.DataDir)
	if err != nil {
		p.Exists = true // as something
		return p, err
	}
	dir, leftovers := p.place(found)
	if p.Exists {
		if other, err := otherDevice(dir, parent); err != nil {
			return p, err
		} else if other && len(p.Mounted) == 0 {
			p.Mounted = []string{dir}
		}
		p.Elsewhere, p.Slots = elsewhere(dir), slotsOf(dir)
	}
	return p, p.measure(ctx, dir, leftovers)
}

// place finds where the data are, and what of Work is removed before new ones are made.
func (p *Premises) place(found contents) (dir string, leftovers []string) {
	whole := isWhole(p.Work)
	switch {
	case found == contentsNone, found == contentsEmpty && (whole || hasOwn(p.Work)): // see takeBack
		if whole {
			p.Exists, p.Aside = true, filepath.Join(p.Work, newData)
			return p.Aside, []string{filepath.Join(p.Work, oldData)} // this node's own files stay
		}
		p.Elsewhere = notedElsewhere(filepath.Join(p.Work, noteElsewhere))
	case whole && found != contentsWhole:
		p.Contested = filepath.Join(p.Work, newData)
		fallthrough
	default:
		p.Exists, p.Strange = true, found == contentsStrange
	}
	if needsOwn(p.Work, found) {
		if p.Exists && hasOwn(p.Work) {
			p.OwnApart = filepath.Join(p.Work, ownFiles)
		}
		return p.DataDir, []string{filepath.Join(p.Work, oldData), filepath.Join(p.Work, newData)}
	}
	return p.DataDir, []string{p.Work}
}

// measure finds the sizes, and whether this node's own files can be read.
func (p *Premises) measure(ctx context.Context, dir string, leftovers []string) error {
	var errs []error
	if p.Exists {
		names, err := listNames(dir)
		errs = append(errs, err)
		p.Empty = err == nil && len(names) == 0
		p.Own, err = readableSize(ctx, dir, names)
		if ctx.Err() == nil {
			p.OwnErr = err
		}
		size, stuck, err := sizeOf(ctx, dir)
		p.Size, p.Unremovable = size, stuck
		errs = append(errs, err)
	}
	for _, left := range leftovers {
		size, stuck, err := sizeOf(ctx, left)
		p.Left += size
		if p.StuckInWork == "" {
			p.StuckInWork = stuck
		}
		errs = append(errs, err)
	}
	err := errors.Join(errs...)
	if p.Sized = err == nil; ctx.Err() != nil {
		return nil
	}
	return err
}

// elsewhere looks at the links of a data directory.
func elsewhere(dir string) (e Elsewhere) {
	links := []string{"pg_wal"}
	if spaces, err := listNames(filepath.Join(dir, "pg_tblspc")); err == nil {
		e.Tablespaces = len(spaces)
		for _, name := range spaces {
			links = append(links, filepath.Join("pg_tblspc", name))
		}
	}
	for n, name := range links {
		target, err := os.Readlink(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		if n == 0 {
			e.WALLink = target
		}
		if !filepath.IsAbs(target) {
			e.Relative = name
		}
	}
	return e
}

// slotName is what PostgreSQL takes for the name of a slot, and of its directory
// (ReplicationSlotValidateName in slot.c). While it makes one it has another name for it.
var slotName = pattern.New(`^[a-z0-9_]{1,63}$`)

// IsSlotName says whether a slot can have the name.
func IsSlotName(name string) bool { return slotName.MatchString(name) }

// SlotKind is what a slot is for.
type SlotKind string

// The kinds of slots.
const (
	SlotUnknown  SlotKind = "unknown"
	SlotPhysical SlotKind = "physical"
	SlotLogical  SlotKind = "logical"
)

// OwnSlot is a slot of a data directory, as its files have it.
type OwnSlot struct {
	Name string
	Kind SlotKind
}

// slotsOf are the slots of a data directory, without those that would be gone after its next
// start anyway; none where they cannot be read.
func slotsOf(dir string) (found []OwnSlot) {
	all := filepath.Join(dir, "pg_replslot")
	names, _ := listNames(all)
	slices.Sort(names)
	for _, name := range names {
		if !IsSlotName(name) {
			continue
		}
		state, _ := readRegular(filepath.Join(all, name, "state"), maxSmallFile)
		if kind, lasts := readSlotState(state, name); lasts {
			found = append(found, OwnSlot{name, kind})
		}
	}
	return found
}

// What a slot's file begins with (ReplicationSlotOnDisk and ReplicationSlotPersistentData in
// slot.c and slot.h, the same since 9.4): the magic number, the checksum, the version and the
// length; then the name, the database's OID, and how long the slot lasts.
const (
	slotMagic      = 0x1051CA1
	slotNameAt     = 4 * 4
	slotNameLength = 64 // NAMEDATALEN
	slotDatabaseAt = slotNameAt + slotNameLength
	slotLastsAt    = slotDatabaseAt + 4
	slotPersistent = 0 // RS_PERSISTENT
	slotTemporary  = 2 // RS_TEMPORARY; between them one that is being made
)

// readSlotState reads the kind of a slot, and whether it outlives its session. One that cannot
// be read is of an unknown kind, and taken to last.
func readSlotState(state []byte, name string) (kind SlotKind, lasts bool) {
	number := func(at int) uint32 { return binary.NativeEndian.Uint32(state[at:]) }
	if len(state) < slotLastsAt+4 || number(0) != slotMagic {
		return SlotUnknown, true
	}
	written, _, _ := bytes.Cut(state[slotNameAt:slotDatabaseAt], []byte{0})
	database, persistency := number(slotDatabaseAt), number(slotLastsAt)
	switch {
	case string(written) != name || persistency > slotTemporary: // it is built otherwise
		return SlotUnknown, true
	case database == 0:
		return SlotPhysical, persistency == slotPersistent
	}
	return SlotLogical, persistency == slotPersistent
}

// elsewhereNote is what is kept of it where the data directory is to be changed, so that the
// next rejoin knows it when that is gone.
func elsewhereNote(dir string) string {
	text, _ := json.Marshal(elsewhere(dir)) // strings and a number
	return string(text)
}

// notedElsewhere reads that note, if there is one.
func notedElsewhere(path string) (e Elsewhere) {
	if text, err := readRegular(path, maxSmallFile); err == nil {
		_ = json.Unmarshal(text, &e) // a broken one says nothing
	}
	return e
}

// readableSize adds up this node's own files among these of a directory, and tries whether
// each can be read.
func readableSize(ctx context.Context, dir string, names []string) (bytes uint64, err error) {
	for _, name := range names {
		if !isOwn(name) {
			continue
		}
		err := filepath.WalkDir(filepath.Join(dir, name), func(path string, d fs.DirEntry, err error) error {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			f, err := openRegular(path, os.O_RDONLY, 0)
			if err != nil {
				return gone(err)
			}
			defer f.Close()
			info, err := f.Stat()
			if err == nil {
				bytes += uint64(max(info.Size(), 0))
			}
			return err
		})
		if gone(err) != nil {
			return bytes, err
		}
	}
	return bytes, nil
}

// gone takes it for no error that a file is not there any more.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// accessWrite is W_OK of faccessat(2), which package syscall does not name.
const accessWrite = 0x2

func otherDevice(a, b string) (bool, error) {
	var x, y syscall.Stat_t
	err := errors.Join(syscall.Stat(a, &x), syscall.Stat(b, &y))
	return x.Dev != y.Dev, err
}

// sizeOf adds up what the files below a directory occupy, and finds the first directory that
// the system user cannot empty, as one of root's.
func sizeOf(ctx context.Context, dir string) (bytes uint64, stuck string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if stuck == "" && d != nil && d.IsDir() && !canEmpty(path) {
			stuck = path
		}
		if err != nil || !d.Type().IsRegular() {
			return gone(err) // a temporary directory of a server that runs
		}
		if info, err := d.Info(); err == nil { // else it is gone
			bytes += uint64(max(info.Size(), 0))
		}
		return nil
	})
	return bytes, stuck, err
}

// canEmpty says whether this user can remove what is in a directory. One that is empty, or
// gone, has nothing.
func canEmpty(dir string) bool {
	err := syscall.Faccessat(currentDir, dir, accessWrite|accessExecute, accessEffective)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return true
	}
	names, err := listNames(dir)
	return err == nil && len(names) == 0
}
