package pg

import (
	"path/filepath"
	"syscall"

	"pgsqlms/internal/command"
)

// Config says where an instance is and how it is run.
type Config struct {
	BinDir  string // directory of postgres, pg_ctl and pg_controldata
	PGData  string // what the server is started with; holds its configuration
	DataDir string // what holds the data; PGData when empty
	Host    string // directory of the Unix socket, or a host for TCP
	Port    int

	StartOpts string // options of postgres, quoted as for a shell; see SplitOptions

	User    command.User // the system user, who owns the data and the processes
	LogPath string       // file the server's output is appended to; /dev/null when empty

	// RunsAs is whose processes these are, where the data were given to another user under
	// a running server: it runs on, and User is who the data belong to now.
	RunsAs *command.User
}

// Instance is one PostgreSQL instance.
type Instance struct {
	cfg  Config
	proc string // where the proc file system is mounted

	// stat is stat(2), by itself for the tests of a file system that does not answer.
	stat func(path string, info *syscall.Stat_t) error
}

// New describes an instance. It looks at nothing yet.
func New(c Config) *Instance {
	if c.DataDir == "" {
		c.DataDir = c.PGData
	}
	return &Instance{cfg: c, proc: "/proc", stat: syscall.Stat}
}

// with is another instance of the same machine.
func (i *Instance) with(c Config) *Instance {
	other := *i
	other.cfg = c
	return &other
}

// runner is whose the server's processes are. A server is asked as that user.
func (i *Instance) runner() command.User {
	if i.cfg.RunsAs != nil {
		return *i.cfg.RunsAs
	}
	return i.cfg.User
}

func (i *Instance) asRunner(fn func() error) error { return command.AsUser(i.runner(), fn) }

// path is that of a file in the data directory.
func (i *Instance) path(name string) string { return filepath.Join(i.cfg.DataDir, name) }

// tool is the path of one of PostgreSQL's programs.
func (i *Instance) tool(name string) string { return filepath.Join(i.cfg.BinDir, name) }
