package pg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"pgsqlms/internal/wal"
)

// Source is a server from which data could be fetched, as it tells over a connection for
// replication, which pg_basebackup uses too.
type Source struct {
	System  string // the system identifier
	Major   int    // version
	Standby bool
	End     wal.Position // how far it has written
	History wal.History

	// CheckpointTimeout is over how long it spreads a checkpoint at most; 0 if unknown.
	CheckpointTimeout time.Duration

	// Of where the local log ends, see AskSource.
	Divergence *Divergence
	Compared   bool   // none is set because there is none
	Refusal    string // why it would not stream from there, in PostgreSQL's words
}

// Removed says whether the refusal is that the write-ahead log asked for is not kept any
// more (walsender.c and xlogreader.c have these words since 9.x), or the slot has lost it
// (slot.c since 18). A slot that was invalidated for another reason, as one that was idle for
// too long, says nothing of the log.
func (s Source) Removed() bool {
	return strings.Contains(s.Refusal, "has already been removed") || SlotInvalidated(s.Refusal) && strings.Contains(s.Refusal, `"wal_removed"`)
}

// SlotInvalidated says whether a refusal, in PostgreSQL's words, is that the slot is of no use
// any more.
func SlotInvalidated(refusal string) bool {
	return strings.Contains(refusal, "can no longer access replication slot")
}

// replication connects to a server as this instance's WAL receiver would.
func (i *Instance) replication(ctx context.Context, c Conninfo) (*Conn, error) {
	configs, err := i.primaryConfigs(ctx, c.values)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConninfo, err)
	}
	var errs []error
	for _, config := range configs {
		conn, err := pgconn.ConnectConfig(ctx, config)
		if err == nil {
			return &Conn{conn: conn}, nil
		}
		errs = append(errs, &connectError{address: addressOf(config.Host, int(config.Port)), err: err})
	}
	if len(errs) == 0 {
		return nil, errors.New("primary_conninfo names no server")
	}
	return nil, joined(errs)
}

// AskSource asks a server for itself, and whether an instance that has replayed up to the
// one place, and holds log up to the other, could stream from it. A zero place is not
// compared. Nothing is asked of the slot in primary_slot_name; see RewindSource.
func (i *Instance) AskSource(ctx context.Context, c Conninfo, replayed, end wal.Position) (s Source, err error) {
	conn, err := i.replication(ctx, c)
	if err != nil {
		return s, err
	}
	defer conn.Close()
	if s.Major, err = majorOf(conn.conn.ParameterStatus("server_version")); err != nil {
		return s, err
	}
	if s.Standby, err = conn.isStandby(ctx); err != nil {
		return s, err
	}
	if s.CheckpointTimeout, err = conn.checkpointTimeout(ctx); err != nil {
		return s, err
	}
	r, err := conn.single(ctx, "IDENTIFY_SYSTEM", 3)
	if err != nil {
		return s, err
	}
	s.System = r.text(0)
	if s.End, err = positionOf(r); err != nil {
		return s, err
	}
	if s.History, err = conn.history(ctx, s.End.Timeline); err != nil || end.IsZero() {
		return s, err
	}
	if s.Divergence, s.Compared, err = i.divergence(ctx, conn, follower{replayed: replayed, end: end}, s.History, s.End.LSN); err != nil || s.Divergence != nil {
		return s, err
	}
	err = conn.startReplication(ctx, "", end, s.End)
	var said *pgconn.PgError
	if errors.As(err, &said) {
		s.Refusal, err = inItsWords(said), nil
	}
	return s, err
}

// shownUnits are those in which PostgreSQL shows a setting that is in seconds, the largest
// that gives a whole number (time_unit_conversion_table in guc.c).
var shownUnits = map[string]time.Duration{"s": time.Second, "min": time.Minute, "h": time.Hour, "d": 24 * time.Hour}

// checkpointTimeout asks a server over a connection for replication.
func (c *Conn) checkpointTimeout(ctx context.Context) (time.Duration, error) {
	r, err := c.single(ctx, "SHOW checkpoint_timeout", 1)
	return shownTime(r.text(0)), err
}

// longestCheckpoint is the most that PostgreSQL takes for checkpoint_timeout.
const longestCheckpoint = 24 * time.Hour

// shownTime reads "5min"; 0 for what is nothing of the kind.
func shownTime(text string) time.Duration {
	unit := strings.TrimLeft(text, "0123456789")
	n, _ := strconv.ParseInt(strings.TrimSuffix(text, unit), 10, 64)
	n = min(n, int64(longestCheckpoint/time.Second))
	return min(time.Duration(n)*shownUnits[unit], longestCheckpoint)
}

// majorOf reads "15.6 (Debian ...)", "17devel".
func majorOf(version string) (int, error) {
	digits := version[:len(version)-len(strings.TrimLeft(version, "0123456789"))]
	major, err := parseMajor(digits)
	if err != nil {
		return 0, fmt.Errorf("the server's version is %q, expected something like 15.6", clip(version))
	}
	return major, nil
}

// RewindSource is what pg_rewind needs of the server that it fetches from, and what a
// standby needs that is to stream from there.
type RewindSource struct {
	Allowed        bool // the role may read the server's files, as pg_rewind does
	MayCheckpoint  bool
	FullPageWrites bool
	Timeline       wal.Timeline // which it writes
	Checkpoint     wal.Timeline // of its last checkpoint
	Tablespaces    int          // beside the two that every server has
	Slots          []Slot
	SlotsErr       error // why these are not known
}

// Settled says that the last checkpoint is of the timeline that the server writes. Before,
// pg_rewind up to PostgreSQL 15 takes the server for what it was before its promotion, and
// does nothing.
func (s RewindSource) Settled() bool { return s.Timeline == s.Checkpoint }

// rewindSourceSQL asks for the functions of "Notes" on pg_rewind in PostgreSQL's manual.
const rewindSourceSQL = `
SELECT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)
       OR (pg_catalog.has_function_privilege('pg_catalog.pg_ls_dir(text,boolean,boolean)', 'execute')
           AND pg_catalog.has_function_privilege('pg_catalog.pg_stat_file(text,boolean)', 'execute')
           AND pg_catalog.has_function_privilege('pg_catalog.pg_read_binary_file(text)', 'execute')
           AND pg_catalog.has_function_privilege('pg_catalog.pg_read_binary_file(text,bigint,bigint,boolean)', 'execute')),
       (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)
       OR EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pg_checkpoint' AND pg_catalog.pg_has_role(oid, 'member')),
       pg_catalog.current_setting('full_page_writes') = 'on',
       pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()),
       (pg_catalog.pg_control_checkpoint()).timeline_id,
       (SELECT count(*) FROM pg_catalog.pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global'))`

// AskRewindSource asks a primary for it, by SQL.
func (i *Instance) AskRewindSource(ctx context.Context, c Conninfo) (s RewindSource, err error) {
	conn, err := i.Neighbour(ctx, c)
	if err != nil {
		return s, err
	}
	defer conn.Close()
	r, err := conn.single(ctx, rewindSourceSQL, 6)
	if err != nil {
		return s, err
	}
	s.Slots, s.SlotsErr = conn.slots(ctx)
	s.Allowed, s.MayCheckpoint, s.FullPageWrites = r.bool(0), r.bool(1), r.bool(2)
	if s.Timeline, err = wal.TimelineOfSegment(r.text(3)); err != nil {
		return s, err
	}
	if s.Checkpoint, err = r.timeline(4); err != nil {
		return s, err
	}
	s.Tablespaces, err = strconv.Atoi(r.text(5))
	return s, err
}

// slots asks for them by themselves: a role may be kept from seeing them that may do all else.
func (c *Conn) slots(ctx context.Context) ([]Slot, error) {
	tables, err := c.query(ctx, slotsSQL)
	if err == nil && len(tables) != 1 {
		err = fmt.Errorf("the server gave %d results, expected 1", len(tables))
	}
	if err != nil {
		return nil, err
	}
	return readSlots(tables[0]), nil
}

const sizeSQL = `
SELECT sum(pg_catalog.pg_database_size(oid)) FROM pg_catalog.pg_database WHERE pg_catalog.has_database_privilege(oid, 'connect')`

// AskSize asks a server how many bytes all databases have that the role may connect to. The
// server looks at each of their files for that.
func (i *Instance) AskSize(ctx context.Context, c Conninfo) (bytes uint64, err error) {
	conn, err := i.Neighbour(ctx, c)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	r, err := conn.single(ctx, sizeSQL, 1)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(r.text(0), 10, 64)
}

// TryBackup has of a server what pg_basebackup will want of it, and gives it back: two
// connections for replication at once, and a temporary slot for the log that is written
// meanwhile (StartLogStreamer in pg_basebackup.c).
func (i *Instance) TryBackup(ctx context.Context, c Conninfo) error {
	data, err := i.replication(ctx, c)
	if err != nil {
		return err
	}
	defer data.Close()
	log, err := i.replication(ctx, c)
	if err != nil {
		return fmt.Errorf("a second connection for replication: %w", err)
	}
	defer log.Close()
	_, err = log.single(ctx, fmt.Sprintf(`CREATE_REPLICATION_SLOT "pgsqlms_%d" TEMPORARY PHYSICAL`, log.conn.PID()), 1)
	if err != nil {
		return fmt.Errorf("a temporary replication slot: %w", err)
	}
	if err := errors.Join(log.leave(ctx), data.leave(ctx)); err != nil { // with the first of which the slot goes
		return fmt.Errorf("it does not take back what it has given for a try: %w", err)
	}
	return nil
}

// leave says goodbye and waits until the server has ended the session. It closes the
// connection when it has given up all that the session held (socket_close in pqcomm.c).
func (c *Conn) leave(ctx context.Context) error {
	c.conn.Frontend().Send(&pgproto3.Terminate{})
	if err := c.conn.Frontend().Flush(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.conn.Conn().SetReadDeadline(time.Now()) })
	defer stop()
	_, err := io.Copy(io.Discard, c.conn.Conn())
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.ErrUnexpectedEOF) { // which is an end, too
		return nil
	}
	return err
}

// CheckpointAt has another server make a checkpoint, and waits for it.
func (i *Instance) CheckpointAt(ctx context.Context, c Conninfo) error {
	conn, err := i.Neighbour(ctx, c)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Checkpoint(ctx)
}

// requireAuthMajor is the first version whose libpq knows require_auth.
const requireAuthMajor = 16

// ErrWithheld says that a connection string has a secret that PostgreSQL's own programs take
// in their arguments only, where every user of the machine can read it.
var ErrWithheld = errors.New("pg_rewind and pg_basebackup take it in their arguments only, where everybody can read it")

// Withheld names such a secret; its error wraps ErrWithheld. libpq has environment variables
// for passwords of roles, and none for that of a client's key (PQconninfoOptions in fe-connect.c).
func (c Conninfo) Withheld() error {
	if c.values["sslpassword"] != "" {
		return fmt.Errorf("sslpassword in primary_conninfo: %w", ErrWithheld)
	}
	return nil
}

// libpq is a connection string for PostgreSQL's own programs, without the password, and
// the environment that has it: other users cannot read a process's environment, and can
// read its arguments. Its errors wrap ErrConninfo or ErrWithheld.
func (i *Instance) libpq(ctx context.Context, c Conninfo, database string, major int) (dsn string, env []string, err error) {
	if err := c.Withheld(); err != nil {
		return "", nil, err
	}
	configs, err := i.primaryConfigs(ctx, c.values)
	if err != nil {
		return "", nil, fmt.Errorf("%w: %w", ErrConninfo, err)
	}
	if len(configs) == 1 { // with several servers each may have its own, which libpq looks up
		if database != "" {
			err = i.makeOrdinary(configs[0], c.values)
		}
		if configs[0].Password != "" {
			env = []string{"PGPASSWORD=" + configs[0].Password}
		}
	} else if c.values["password"] != "" {
		env = []string{"PGPASSWORD=" + c.values["password"]}
	}
	values := map[string]string{}
	maps.Copy(values, c.values)
	for _, name := range []string{"password", "dbname", "replication"} {
		delete(values, name)
	}
	if major < requireAuthMajor {
		delete(values, "require_auth")
	}
	values["application_name"] = applicationName
	if values["user"] == "" {
		values["user"] = i.runner().Name
	}
	if database != "" {
		values["dbname"] = database
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		parts = append(parts, fmt.Sprintf("%s='%s'", name, strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(values[name])))
	}
	return strings.Join(parts, " "), env, err
}
