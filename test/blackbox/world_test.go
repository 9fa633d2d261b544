package blackbox

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// world is what one script plays in: a node n1 of a cluster of three, with a healthy, stopped instance of PostgreSQL 15
// that was a standby.
type world struct {
	place
	user  *user.User        // system_user
	env   map[string]string // what the agent's environment is made of, see environment
	lists map[string]string // the lists of a notification, by their names without "_uname"
	tty   bool              // the agent's standard error is a terminal
	last  *run

	bystander *os.Process      // what the script started last
	guarded   []syscall.Stat_t // what root's files that nobody may open are like, see guard
}

type worldKey struct{}

func worldOf(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

func setUp(env *testscript.Env) error {
	u, err := systemUser()
	if err != nil {
		return err
	}
	w := &world{place: place(env.WorkDir), user: u}
	env.Values[worldKey{}] = w
	env.Defer(w.endAll)
	env.Setenv("USER", u.Username)
	env.Setenv("UID", u.Uid)
	env.Setenv("BELL", "\a")
	env.Setenv("ESCAPE", "\x1b")
	env.Setenv("BROKEN", "\xff")
	env.Setenv("LONGNAME", strings.Repeat("n", 300))
	env.Setenv("HUGE", strings.Repeat("n1 ", 30000))
	w.env = pacemakerEnvironment(w)
	w.setLists(nil)
	return errors.Join(w.makeDirectories(), w.installTools(), w.makeFacts(), w.makeInstance(w.data(), "5432"))
}

// systemUser is whoever runs the test, who can be nobody else. Root can: as on a real node, the agent is then root, and
// the instance another user's.
func systemUser() (*user.User, error) {
	if os.Geteuid() == 0 {
		return user.Lookup("nobody")
	}
	return user.Current()
}

func (w *world) makeDirectories() error {
	for _, dir := range []string{w.sbin(), w.bin(), w.run(), w.path("attributes")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for _, dir := range []string{w.data(), w.sockets(), w.path("facts")} {
		if err := errors.Join(os.MkdirAll(dir, 0o755), w.own(dir)); err != nil {
			return err
		}
	}
	for _, file := range []string{w.calls(), w.servers()} {
		if err := errors.Join(os.WriteFile(file, nil, 0o666), os.Chmod(file, 0o666)); err != nil {
			return err
		}
	}
	return nil
}

// own gives a file or directory to the system user.
func (w *world) own(file string) error {
	return os.Lchown(file, w.uid(), number(w.user.Gid))
}

func (w *world) uid() int { return number(w.user.Uid) }

func (w *world) installTools() error {
	for dir, tools := range map[string][]string{
		w.sbin(): {"attrd_updater", "crm_attribute", "crm_mon", "crm_node"},
		w.bin():  {"postgres", "pg_ctl", "pg_controldata", "pg_waldump"},
	} {
		for _, tool := range tools {
			if err := install(tool, filepath.Join(dir, tool)); err != nil {
				return err
			}
		}
	}
	return nil
}

// install puts a fake in its place. A link of its own, and not a symbolic one, makes /proc show its own path for the
// process, by which the agent knows PostgreSQL's processes, and the fake its place.
func install(tool, to string) error {
	from, err := exec.LookPath(tool)
	if err != nil {
		return err
	}
	if os.Link(from, to) == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func (w *world) makeFacts() error {
	for name, value := range map[string]string{
		"node":    "n1",
		"members": "n1 n2 n3",
		"nosuch":  "78", // how attrd_updater 2.1.5 ends for an attribute nobody set, 105 in later ones
		"version": "15",
		"user":    w.user.Username,
		"lsn":     "0/5000060",

		"receiver": "streaming", // a standby's
		"timeline": "1",         // of an instance at its start
	} {
		if err := w.setFact(name, value); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) setFact(name, value string) error {
	return w.writeOwned(w.fact(name), value+"\n")
}

// writeOwned writes a file of the system user's.
func (w *world) writeOwned(file, text string) error {
	return errors.Join(os.WriteFile(file, []byte(text), 0o600), os.Chmod(file, 0o600), w.own(file))
}

// secret is a password that must never be seen outside PostgreSQL's configuration.
const secret = "s3cret-pa55"

// makeInstance makes a data directory, of an instance that was shut down as a standby.
func (w *world) makeInstance(dir, port string) error {
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(os.MkdirAll(in("global"), 0o700), os.Mkdir(in("pg_wal"), 0o700), os.Chmod(dir, 0o700),
		w.own(in("global")), w.own(in("pg_wal"))); err != nil {
		return err
	}
	conninfo := "host=10.0.0.9 user=replication password=" + secret + " application_name=n1"
	return errors.Join(
		w.writeOwned(in("PG_VERSION"), "15\n"),
		w.writeOwned(in("postgresql.conf"),
			"port = "+port+"\nunix_socket_directories = '"+w.sockets()+"'\nprimary_conninfo = '"+conninfo+"'\n"),
		w.writeControl(in(controlName), "shut down in recovery"),
	)
}

func (w *world) setControl(state string) error {
	return w.writeControl(w.path("data", controlName), state)
}

func (w *world) writeControl(file, state string) error {
	c := controlFile{State: state, Timeline: number(w.read("timeline")), LSN: "0/5000028"}
	if state == "damaged" {
		c.State, c.Damaged = "in production", true
	}
	return w.writeOwned(file, c.String())
}
