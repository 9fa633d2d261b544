package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"pgsqlms/internal/command"
	"pgsqlms/internal/ocf"
	"pgsqlms/internal/pg"
	"pgsqlms/metadata"
)

// config is the agent's parameters, read. A value that is wrong is replaced by its
// default and remembered as a problem: start and validate-all refuse it, a monitor
// warns of it, and stop goes on without it.
type config struct {
	systemUser string
	user       command.User
	binDir     string
	pgData     string
	dataDir    string
	host       string
	port       int
	portBroken bool // port is the default, in the place of one that cannot be read
	template   string
	startOpts  string
	maxLag     uint64
	guard      bool // of acknowledged commits, in an election
	logPath    string
	problems   []*ocf.Error

	// Where user is not system_user: why, and whose data these are. runsAs is system_user
	// then where it has a server there nevertheless.
	noStart *ocf.Error
	data    dataOwner
	runsAs  *command.User
}

func readConfig(ctx context.Context, r ocf.Request, logs string) config {
	get := parameterReader(r)
	c := config{
		systemUser: get("system_user"),
		binDir:     get("bindir"),
		pgData:     get("pgdata"),
		dataDir:    get("datadir"),
		host:       get("pghost"),
		template:   get("recovery_template"),
		startOpts:  get("start_opts"),
		logPath:    filepath.Join(cmp.Or(logs, logDir), fileName(r.Instance)+".log"),
	}
	if c.dataDir == "" {
		c.dataDir = c.pgData
	}
	if c.template == "" {
		c.template = filepath.Join(c.pgData, "recovery.conf.pcmk")
	}
	c.checkPaths()
	c.readPort(get("pgport"))
	c.readMaxLag(get("maxlag"))
	c.readGuard(get("sync_guard"))
	c.readUser(ctx)
	return c
}

func parameterReader(r ocf.Request) func(string) string {
	defaults := map[string]string{}
	for _, p := range metadata.Parameters() {
		defaults[p.Name] = p.Default
	}
	return func(name string) string {
		if v, ok := r.Param(name); ok {
			return v
		}
		return defaults[name]
	}
}

func (c *config) problem(e *ocf.Error) { c.problems = append(c.problems, e) }

func (c *config) checkPaths() {
	for _, p := range []struct{ name, value string }{
		{"bindir", c.binDir}, {"pgdata", c.pgData}, {"datadir", c.dataDir}, {"recovery_template", c.template},
	} {
		if !filepath.IsAbs(p.value) {
			c.problem(reasonPath.With(p.name, p.value))
		}
	}
}

func (c *config) readPort(value string) {
	port, err := strconv.ParseUint(value, 10, 16)
	if err != nil || port == 0 {
		c.problem(reasonPort.With(value))
		port, c.portBroken = 5432, true
	}
	c.port = int(port)
}

// Only digits: no sign, no exponent, no unit, no "nan".
func (c *config) readMaxLag(value string) {
	lag, err := strconv.ParseUint(value, 10, 63)
	if err != nil {
		c.problem(reasonMaxLag.With(value))
		lag = 0
	}
	c.maxLag = lag
}

// What is no boolean leaves the guard on.
func (c *config) readGuard(value string) {
	c.guard = ocf.IsTrue(value) || !ocf.IsFalse(value)
	if c.guard && !ocf.IsTrue(value) {
		c.problem(reasonSyncGuard.With(value))
	}
}

// userPart is the part of an action's time that a name service such as LDAP gets to
// answer. Without an answer there is still the owner of the data to act as.
const userPart = 0.25

// lookupUser is a variable for the test of a name service that hangs.
var lookupUser = command.LookupUser

func (c *config) readUser(ctx context.Context) {
	ctx, cancel := part(ctx, userPart)
	defer cancel()
	found, err := lookupUser(ctx, c.systemUser)
	data := ownerOf(c.dataDir)
	switch {
	case err != nil:
		c.replaceUser(noUser(err, c.systemUser), data)
		c.user = c.actAs(ctx, c.trusted(data))
	case data.there && data.owner.UID != 0 && data.owner.UID != found.UID && os.Geteuid() == 0:
		c.replaceUser(reasonDataDirPerm.Because(fmt.Errorf("%s belongs to uid %d, expected %s (uid %d)",
			c.dataDir, data.owner.UID, c.systemUser, found.UID)), data)
		c.user = found
		if data.planted == "" {
			c.user = c.actAs(ctx, data.owner)
			c.findServerOf(found)
		}
	default:
		c.user = found
	}
}

// noUser tells a user that there is not from one that could not be looked up, which bans
// no node. That the time was over is orLate's to say.
func noUser(err error, name string) *ocf.Error {
	if errors.Is(err, command.ErrUnknownUser) || pg.IsTimeout(err) {
		return reasonUser.Because(err, name)
	}
	return reasonUnchecked.Because(err)
}

// findServerOf looks whether the system user has a server in the data directory that is
// another's: a chown under a server ends none of its sessions, and stops none of their
// commits. It is asked, and ended, as what it was started as; what there is to read of the
// data, their owner reads. Where it cannot be told it is taken to be there, so that nobody
// says that nothing runs. Root has no server, as PostgreSQL itself sees to.
func (c *config) findServerOf(user command.User) {
	if user.UID == 0 {
		return
	}
	i := c.instance()
	i.RunsAs = &user
	if found, err := pg.New(i).Processes(); err != nil || found.Running() {
		c.runsAs = &user
	}
}

func (c *config) replaceUser(why *ocf.Error, data dataOwner) {
	c.problem(why)
	c.noStart, c.data = why, data
}

// trusted is the owner, or root, for whom nobody acts, where somebody else has led us to
// that owner's data.
func (c *config) trusted(data dataOwner) command.User {
	if data.planted != "" {
		return command.User{}
	}
	return data.owner
}

// actAs is the owner of the data in the place of a system user that does not exist, or
// does not own them: PostgreSQL runs as the owner of its data directory and as nobody
// else, and what runs there must be found, asked and stopped whatever the parameter
// says. The role in the database has the owner's name then, if that has one here.
//
// Root never stands in, neither where it owns the directory nor where there is none
// yet: what may appear there is not to be touched with root's rights. Nor does an owner
// to whose data a third user may have led us, see ownerOf. And nothing is started or set
// up as a standby in another's place: a wrong parameter stops an instance at most.
func (c *config) actAs(ctx context.Context, owner command.User) command.User {
	if owner.UID == 0 && os.Geteuid() == 0 {
		owner.UID, owner.GID = nobody, nobody
	}
	account, err := user.LookupId(strconv.FormatUint(uint64(owner.UID), 10))
	if err == nil {
		if known, err := command.LookupUser(ctx, account.Username); err == nil && known.UID == owner.UID {
			return known
		}
	}
	owner.Name, owner.Home = c.systemUser, "/"
	return owner
}

// nobody is the kernel's number for a user without any rights (overflowuid).
const nobody = 65534

func (c *config) instance() pg.Config {
	return pg.Config{
		BinDir: c.binDir, PGData: c.pgData, DataDir: c.dataDir, Host: c.host, Port: c.port,
		StartOpts: c.startOpts, User: c.user, RunsAs: c.runsAs, LogPath: c.logPath,
	}
}

// where is the address PostgreSQL is asked at.
func (c *config) where() string { return fmt.Sprintf("%s port %d", c.host, c.port) }
