package pg

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/command"
)

// rejoinDir is a data directory of nobody's, with a rejoin of it.
type rejoinDir struct {
	*Rejoin
	t *testing.T
}

func newRejoinDir(t *testing.T) rejoinDir {
	t.Helper()
	me, err := user.Current()
	require.NoError(t, err)
	uid, err := strconv.ParseUint(me.Uid, 10, 32)
	require.NoError(t, err)
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	i := New(Config{BinDir: dir, PGData: filepath.Join(dir, "main"), User: command.User{Name: me.Username, UID: uint32(uid), Home: dir}})
	w := rejoinDir{t: t}
	w.data(filepath.Join(dir, "main"))
	w.Rejoin, err = i.LockRejoin()
	require.NoError(t, err)
	t.Cleanup(w.Close)
	return w
}

// data makes whole ones.
func (w rejoinDir) data(dir string) {
	w.t.Helper()
	w.file(filepath.Join(dir, "PG_VERSION"), "15\n")
	w.file(filepath.Join(dir, "global/pg_control"), strings.Repeat("x", controlSize))
	w.file(filepath.Join(dir, "base/1/1"), "x")
	w.file(filepath.Join(dir, "postgresql.conf"), filepath.Base(dir))
}

func (w rejoinDir) file(path, text string) {
	w.t.Helper()
	require.NoError(w.t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(w.t, os.WriteFile(path, []byte(text), 0o600))
}

// ownStays wants this node's own files to be where they were put aside.
func (w rejoinDir) ownStays() {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.work, ownFiles, "postgresql.conf"))
	require.NoError(w.t, err)
	require.Equal(w.t, "main", string(text))
	require.True(w.t, hasOwn(w.work))
}

// PostgreSQL shows a time with the largest unit that gives a whole number.
func TestShownTime(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30s": 30 * time.Second, "5min": 5 * time.Minute, "90min": 90 * time.Minute, "1h": time.Hour, "1d": 24 * time.Hour, "": 0, "5": 0, "min": 0, "5 fortnights": 0, "999999999d": 24 * time.Hour,
	} {
		require.Equal(t, want, shownTime(text), text)
	}
}

// What is locked is the parent directory, and so it is said.
func TestRejoinsLockTheirParentDirectory(t *testing.T) {
	w := newRejoinDir(t)
	beside := w.i.cfg
	beside.PGData, beside.DataDir = beside.PGData+"2", ""
	for _, c := range []Config{w.i.cfg, beside} {
		_, err := New(c).LockRejoin()
		require.ErrorIs(t, err, ErrRejoining)
		require.EqualError(t, err, "another rejoin of this data directory, or of one beside it, is under way: "+filepath.Dir(w.dir)+" is locked")
	}
	w.Close()
	r, err := New(beside).LockRejoin()
	require.NoError(t, err)
	r.Close()
}

// PostgreSQL 18 has words of its own for a slot whose log is gone.
func TestRemoved(t *testing.T) {
	for text, want := range map[string]bool{
		"requested WAL segment 000000020000000000000001 has already been removed":                                       true,
		`can no longer access replication slot "n2" (This replication slot has been invalidated due to "wal_removed".)`: true,
		`replication slot "n2" does not exist`:                                                                          false,
		"":                                                                                                              false,
	} {
		require.Equal(t, want, Source{Refusal: text}.Removed(), text)
	}
}

// A directory is taken for data by what PostgreSQL cannot be without.
func TestContentsOf(t *testing.T) {
	for name, c := range map[string]struct {
		files []string
		want  contents
	}{
		"empty":                 {nil, contentsEmpty},
		"damaged":               {[]string{"base/1/1", "global/1", "pg_wal/1"}, contentsDamaged},
		"no pg_control":         {[]string{"PG_VERSION", "base/1/1"}, contentsDamaged},
		"configuration only":    {[]string{"postgresql.conf", "conf.d/mine.conf"}, contentsDamaged},
		"somebody else's":       {[]string{"etc/passwd"}, contentsStrange},
		"a parent":              {[]string{"main/PG_VERSION", "main/base/1/1"}, contentsStrange},
		"a parent, with a file": {[]string{"main/PG_VERSION", "postgresql.conf"}, contentsStrange},
	} {
		dir := t.TempDir()
		for _, file := range c.files {
			require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte("15\n"), 0o600))
		}
		got, err := contentsOf(dir)
		require.NoError(t, err, name)
		require.Equal(t, c.want, got, name)
	}
	w := newRejoinDir(t)
	got, err := contentsOf(w.dir)
	require.NoError(t, err)
	require.Equal(t, contentsWhole, got)
	for _, breaks := range []func() error{
		func() error { return os.Truncate(filepath.Join(w.dir, "global/pg_control"), 100) },
		func() error { return os.Truncate(filepath.Join(w.dir, "PG_VERSION"), 0) },
	} {
		require.NoError(t, breaks())
		got, err = contentsOf(w.dir)
		require.NoError(t, err)
		require.Equal(t, contentsDamaged, got)
		require.NoError(t, os.RemoveAll(w.dir))
		w.data(w.dir)
	}
	got, err = contentsOf(filepath.Join(w.dir, "missing"))
	require.NoError(t, err)
	require.Equal(t, contentsNone, got)
	_, err = contentsOf(filepath.Join(w.dir, "PG_VERSION"))
	require.ErrorContains(t, err, "expected a directory")
}

// Killed while old data are removed, a rejoin leaves no half of them with the data directory's name, and never loses the
// own files that it has put aside, whatever has that name by then.
func TestOwnFilesOutliveTheData(t *testing.T) {
	w := newRejoinDir(t)
	require.NoError(t, w.Begin(t.Context()))
	require.NoError(t, w.Drop())
	require.NoDirExists(t, w.dir)
	require.NoDirExists(t, filepath.Join(w.work, oldData))
	unfinished, err := w.Abandon()
	require.NoError(t, err)
	require.True(t, unfinished)
	w.ownStays()

	for name, made := range map[string]func(){
		"nothing":      func() {},
		"an empty one": func() { require.NoError(t, os.Mkdir(w.dir, 0o700)) },
		"half of it": func() {
			w.file(filepath.Join(w.dir, "base/1/1"), "x")
			w.file(filepath.Join(w.dir, "PG_VERSION"), "15\n")
		},
		"without magic": func() { w.file(filepath.Join(w.dir, "postgresql.conf"), "other") },
	} {
		made()
		w.untouched = false // another process
		p, err := w.i.Premises(t.Context())
		require.NoError(t, err)
		require.Equal(t, name != "nothing" && name != "an empty one", p.Exists, name)
		require.False(t, p.Strange, name)
		require.NoError(t, w.Begin(t.Context()), name)
		w.ownStays()
		unfinished, err = w.Abandon()
		require.NoError(t, err)
		require.True(t, unfinished, name)
		w.ownStays()
		require.NoError(t, os.RemoveAll(w.dir))
	}
	w.file(filepath.Join(w.dir, "etc/passwd"), "x")
	require.ErrorContains(t, w.Begin(t.Context()), "nothing was changed")
	p, err := w.i.Premises(t.Context())
	require.NoError(t, err)
	require.True(t, p.Strange)
	w.ownStays()
	unfinished, err = w.Abandon()
	require.NoError(t, err)
	require.True(t, unfinished)
	w.ownStays()
	require.NoError(t, os.RemoveAll(w.dir))

	// The new data get the place of an empty directory, and the own files.
	require.NoError(t, os.Mkdir(w.dir, 0o700))
	require.NoError(t, w.Begin(t.Context()))
	w.data(filepath.Join(w.work, newData))
	kept, err := w.Finish(true, time.Now())
	require.NoError(t, err)
	require.Empty(t, kept)
	text, err := os.ReadFile(filepath.Join(w.dir, "postgresql.conf"))
	require.NoError(t, err)
	require.Equal(t, "main", string(text))
	require.NoDirExists(t, w.work)
}

// Damaged data that nobody has touched stay what they are when the work is given up, and nothing is left beside them.
func TestAbandonBesideDamagedData(t *testing.T) {
	w := newRejoinDir(t)
	require.NoError(t, os.Remove(filepath.Join(w.dir, "global/pg_control")))
	require.NoError(t, w.Begin(t.Context()))
	unfinished, err := w.Abandon()
	require.NoError(t, err)
	require.False(t, unfinished)
	require.NoDirExists(t, w.work)
	require.FileExists(t, filepath.Join(w.dir, "base/1/1"))
}

// An empty directory does not keep whole data from their place; anything else that is no data is not touched, and they
// neither.
func TestTakeBackFromAnothersPlace(t *testing.T) {
	moved := func() rejoinDir {
		w := newRejoinDir(t)
		require.NoError(t, w.Begin(t.Context()))
		require.NoError(t, w.Take())
		return w
	}
	w := moved()
	require.NoError(t, os.Mkdir(w.dir, 0o755))
	p, err := w.i.Premises(t.Context())
	require.NoError(t, err)
	require.Equal(t, filepath.Join(w.work, newData), p.Aside)
	require.NoError(t, w.TakeBack())
	require.FileExists(t, filepath.Join(w.dir, "base/1/1"))
	require.False(t, isWhole(w.work))

	for _, file := range []string{"etc/passwd", "base/1/1", "postgresql.conf"} {
		w := moved()
		w.file(filepath.Join(w.dir, file), "x")
		for what, step := range map[string]func() error{
			"take back": w.TakeBack,
			"begin":     func() error { return w.Begin(t.Context()) },
			"discard":   w.Discard,
			"abandon":   func() error { _, err := w.Abandon(); return err },
		} {
			require.ErrorContains(t, step(), "whole data are in "+w.work+"/data", "%s beside %s", what, file)
			require.True(t, isWhole(w.work))
			require.FileExists(t, filepath.Join(w.dir, file))
			w.ownStays()
		}
		p, err := w.i.Premises(t.Context())
		require.NoError(t, err)
		require.Equal(t, filepath.Join(w.work, newData), p.Contested)
	}
}

// What says that something in the directory is whole goes before that, so that half of it never is: nothing else goes when
// that cannot. Behind a link nothing is removed.
func TestRemovalTakesTheNotesFirst(t *testing.T) {
	for _, note := range []string{noteWhole, ownComplete} {
		w := newRejoinDir(t)
		w.file(filepath.Join(w.work, note, "x"), "") // no file, which could be removed
		w.file(filepath.Join(w.work, ownFiles, "postgresql.conf"), "main")
		require.Error(t, w.removeWork())
		require.FileExists(t, filepath.Join(w.work, ownFiles, "postgresql.conf"), note)
	}
	w := newRejoinDir(t)
	require.NoError(t, os.Symlink(w.dir, w.work))
	require.NoError(t, w.removeWork())
	require.NoFileExists(t, w.work)
	require.FileExists(t, filepath.Join(w.dir, "PG_VERSION"))
	require.NoError(t, w.removeWork(), "it is gone")
}

// Killed in a crash recovery in place, a rejoin leaves a note, by which the next one makes the data a standby's again.
func TestStandbySignalComesBack(t *testing.T) {
	for name, step := range map[string]func(w rejoinDir) error{
		"taken back": func(w rejoinDir) error { return w.TakeBack() },
		"begun":      func(w rejoinDir) error { return w.Begin(t.Context()) },
		"abandoned":  func(w rejoinDir) error { _, err := w.Abandon(); return err },
	} {
		w := newRejoinDir(t)
		w.file(filepath.Join(w.work, noteStandby), "")
		require.NoError(t, step(w), name)
		require.FileExists(t, filepath.Join(w.dir, standbySignal), name)
		require.NoFileExists(t, filepath.Join(w.work, noteStandby), name)
	}
}

// Of what is mounted in the data directory, or in the directory of a rejoin, no step moves or removes anything.
func TestNothingMountedIsMoved(t *testing.T) {
	w := newRejoinDir(t)
	w.i.proc = t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(w.i.proc, "1"), 0o700)) // a process that is gone
	mounted := func(points ...string) {
		text := "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
		for _, point := range points {
			text += "36 22 98:0 /mnt1 " + strings.ReplaceAll(point, " ", `\040`) + " rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n"
		}
		w.file(filepath.Join(w.i.proc, "self/mountinfo"), text)
	}
	steps := map[string]func() error{
		"begin":     func() error { return w.Begin(t.Context()) },
		"take":      w.Take,
		"take back": w.TakeBack,
		"drop":      w.Drop,
		"finish":    func() error { _, err := w.Finish(false, time.Now()); return err },
	}
	for _, point := range []string{w.dir, w.dir + "/pg_wal", w.dir + "/a b", w.work + "/old/pg_wal"} {
		mounted(w.dir+"-other", filepath.Dir(w.dir), point)
		for name, step := range steps {
			err := step()
			require.ErrorIs(t, err, ErrMounted, name)
			require.ErrorContains(t, err, point, name)
		}
		require.NoDirExists(t, w.work)
		unfinished, err := w.Abandon()
		require.NoError(t, err)
		require.False(t, unfinished, "there is nothing to abandon")
	}
	mounted(w.dir+"-other", filepath.Dir(w.dir))
	require.NoError(t, w.Begin(t.Context()))
	mounted(w.dir + "/pg_wal")
	unfinished, err := w.Abandon()
	require.ErrorIs(t, err, ErrMounted)
	require.True(t, unfinished)
	w.ownStays()
	p, err := w.i.Premises(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{w.dir + "/pg_wal"}, p.Mounted)
	mounted(w.work + "/old/pg_wal")
	p, err = w.i.Premises(t.Context())
	require.NoError(t, err)
	require.Empty(t, p.Mounted)
	require.Equal(t, []string{w.work + "/old/pg_wal"}, p.MountedWork)

	require.NoError(t, os.Remove(filepath.Join(w.i.proc, "self/mountinfo")))
	require.ErrorIs(t, w.Drop(), ErrMountsUnknown)
	_, err = w.i.Premises(t.Context())
	require.ErrorIs(t, err, ErrMountsUnknown)
}

func TestUnescapeOctal(t *testing.T) {
	for text, want := range map[string]string{
		`/a\040b`: "/a b", `/a\134040b`: `/a\040b`, `/a\011\012`: "/a\t\n", `/a\04`: `/a\04`, `/a\990`: `/a\990`, `\`: `\`, "": "",
	} {
		require.Equal(t, want, unescapeOctal(text), text)
	}
}

// What fstab has and nothing is mounted on, where that concerns the data directory.
func TestUnmounted(t *testing.T) {
	const fstab = `# /dev/sdx /data ext4 defaults 0 0
UUID=1 / ext4 errors=remount-ro 0 1
/dev/sdb1 /data/pg\040sql/ xfs defaults 0 2
/dev/sdc1	/data/pg\040sql/15/main/pg_wal	xfs	defaults	0	2
/dev/sdd1 /data/pg\040sql/15/main2 xfs defaults 0 2
/dev/sde1 /srv ext4 defaults 0 2
/dev/sdf1 none swap sw 0 0
short
`
	const volume, wal, dir = "/data/pg sql", "/data/pg sql/15/main/pg_wal", "/data/pg sql/15/main"
	require.Equal(t, []string{volume, wal}, unmounted(fstab, []string{"/"}, dir))
	require.Equal(t, []string{wal}, unmounted(fstab, []string{"/", volume}, dir))
	require.Empty(t, unmounted(fstab, []string{"/", volume, wal}, dir))
	require.Empty(t, unmounted(fstab, []string{"/"}, "/var/lib/postgresql"))
}

// Links are followed as the kernel follows them, also those of a parent, and to what is not there.
func TestDataDirBehindLinks(t *testing.T) {
	top, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(top, "real/sub"), 0o700))
	require.NoError(t, os.Symlink("real/sub", filepath.Join(top, "dir")))
	require.NoError(t, os.Symlink("../data", filepath.Join(top, "real/sub/main")))
	require.NoError(t, os.Symlink("ring", filepath.Join(top, "ring")))
	for _, there := range []bool{false, true} {
		dir, err := New(Config{PGData: top + "/dir/main"}).realDataDir()
		require.NoError(t, err)
		require.Equal(t, top+"/real/data", dir)
		if !there {
			require.NoError(t, os.Mkdir(dir, 0o700))
		}
	}
	_, err = New(Config{PGData: top + "/ring"}).realDataDir()
	require.ErrorIs(t, err, syscall.ELOOP)
}

// Who runs this has a umask, which is not this node's.
func TestCopiesHaveTheirModes(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	modes := map[string]fs.FileMode{"conf.d": 0o755, "conf.d/a.conf": 0o644, "conf.d/key": 0o600, "conf.d/read-only": 0o555}
	require.NoError(t, os.Mkdir(filepath.Join(from, "conf.d"), 0o755))
	require.NoError(t, os.Mkdir(filepath.Join(from, "conf.d/read-only"), 0o755))
	for _, name := range []string{"conf.d/a.conf", "conf.d/key", "conf.d/read-only/file"} {
		require.NoError(t, os.WriteFile(filepath.Join(from, name), nil, 0o600))
	}
	for name, mode := range modes {
		require.NoError(t, os.Chmod(filepath.Join(from, name), mode))
	}
	was := syscall.Umask(0o077)
	err := errors.Join(os.Mkdir(to, 0o700), copyEntries(context.Background(), from, to, func(string) bool { return true }))
	syscall.Umask(was)
	require.NoError(t, err)
	modes["conf.d/read-only"] = 0o755 // its owner can empty it
	for name, mode := range modes {
		info, err := os.Stat(filepath.Join(to, name))
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), name)
	}
	require.FileExists(t, filepath.Join(to, "conf.d/read-only/file"))
}

// A secret that the programs take in their arguments only is not left out, but an error.
func TestSecretForTheToolsIsWithheld(t *testing.T) {
	c := Conninfo{map[string]string{"host": "n1", "sslpassword": "secret"}}
	_, _, err := New(Config{}).libpq(t.Context(), c, database, 15)
	require.ErrorIs(t, err, ErrWithheld)
	require.ErrorContains(t, err, "sslpassword")
	require.NotContains(t, err.Error(), "secret")
	delete(c.values, "sslpassword")
	require.NoError(t, c.Withheld())
}
