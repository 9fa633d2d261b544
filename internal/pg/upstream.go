package pg

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"pgsqlms/internal/wal"
)

// Upstream is what the server that primary_conninfo names says to this standby.
type Upstream struct {
	Address string // where it was reached: host and port, or the path of a socket

	// Its timeline, and how far it has written or, being a standby itself, received;
	// zero where it did not come to that.
	Timeline wal.Timeline
	End      wal.LSN

	History wal.History // of that timeline

	// Foreign says that it is a server of other data: its system identifier is another.
	// Their timelines have nothing in common with the log here.
	Foreign bool

	// Behind says that its timeline is lower than that of the log here: it is an old
	// primary, or the log here was never the cluster's.
	Behind bool

	// Refusal is why it does not send its write-ahead log to this standby, in
	// PostgreSQL's own words where it has any; empty when it does. It never holds a
	// password.
	Refusal string

	// Divergence is set when the log here has left the primary's history. It can be
	// without a refusal: PostgreSQL compares less.
	Divergence *Divergence

	// Compared says that none is set because there is none, and not because the histories
	// have nothing in common, or nobody came to compare them.
	Compared bool

	// Replaying says that this standby has not come to the end of the WAL that it was
	// started with, in pg_wal and in an archive. It asks for streaming when it has.
	Replaying bool

	// Astray is a timeline of which the log here has nothing yet, and which the standby
	// waits for, although it is not in the primary's history: it would follow if it were
	// started again. 0 is none.
	Astray wal.Timeline
}

// Divergence says where a standby's log left its primary's, and how far it has gone
// on since.
type Divergence struct {
	Left  wal.Position // the last place both have
	Bytes uint64       // of log here that the primary does not have

	// Pending says that these were received and not replayed yet, so that the data
	// have not diverged. They will: PostgreSQL replays all it has received before it
	// looks for another timeline (seen on 13, 15 and 17).
	Pending bool
}

// ErrConninfo says that primary_conninfo cannot be used from here, though
// PostgreSQL itself may be able to.
var ErrConninfo = errors.New("primary_conninfo cannot be used to ask the primary")

// LetsStream says whether the server would let this standby stream, and it would follow.
func (u Upstream) LetsStream() bool { return u.Refusal == "" && u.Divergence == nil }

// AskPrimary asks the primary what this running standby's WAL receiver asks it:
// it connects by primary_conninfo as the system user, has it identify itself, and
// begins to stream from the place that was replayed, to leave again at once. An
// error means that nobody answered, or could be asked; a server that answers and
// refuses, be it the connection, is a Refusal. ctx bounds it all.
//
// To the primary it is a standby called pgsqlms that never says what it has
// written, and so never counts as a synchronous one. A slot that primary_slot_name
// names is taken for the moment, and given back as it was. A WAL receiver that
// wants it in that moment is refused and comes back after
// wal_retrieve_retry_interval; so ask only while none streams.
//
// See primaryConfigs for what of primary_conninfo is not understood.
func (i *Instance) AskPrimary(ctx context.Context) (Upstream, error) {
	self, err := i.follower(ctx)
	if err != nil {
		return Upstream{}, err
	}
	if strings.TrimSpace(self.conninfo) == "" {
		return Upstream{}, fmt.Errorf("%w: it is empty", ErrConninfo)
	}
	conn, u, err := i.connectPrimary(ctx, self.conninfo)
	if err != nil || u.Refusal != "" {
		return u, err
	}
	defer conn.Close()
	err = i.ask(ctx, conn, self, &u)
	var said *pgconn.PgError
	if errors.As(err, &said) {
		u.Refusal, err = inItsWords(said), nil
	}
	if err != nil {
		return u, fmt.Errorf("%s: %s", u.Address, unanswered(err))
	}
	return u, nil
}

// inItsWords is what a server said, with the detail it gave.
func inItsWords(said *pgconn.PgError) string {
	text := said.Message
	if said.Detail != "" {
		text += " (" + said.Detail + ")"
	}
	return oneLine(errors.New(text))
}

func unanswered(err error) string {
	if IsTimeout(err) {
		return "the server did not answer in time"
	}
	return oneLine(err)
}

// follower is what a standby has to tell its primary.
type follower struct {
	conninfo, slot   string
	systemIdentifier string
	started          time.Time // the zero time if unknown
	replayed, end    wal.Position
	complete         bool // replay has come to the end of what was there at the start
}

const followerSQL = `
SELECT pg_catalog.current_setting('primary_conninfo'), pg_catalog.current_setting('primary_slot_name'),
       (pg_catalog.pg_control_system()).system_identifier, extract(epoch FROM pg_catalog.pg_postmaster_start_time())`

func (i *Instance) follower(ctx context.Context) (f follower, err error) {
	w, replaying, err := i.walEnds(ctx)
	if err != nil {
		return follower{}, err
	}
	if !w.inRecovery {
		return follower{}, errors.New("this instance is a primary and has nobody to ask")
	}
	f.complete = w.complete
	if f.replayed, err = i.replayedPosition(w, replaying); err != nil {
		return follower{}, err
	}
	if f.end, err = i.endPosition(w, replaying, f.replayed); err != nil {
		return follower{}, err
	}
	c, err := i.Connect(ctx)
	if err != nil {
		return follower{}, err
	}
	defer c.Close()
	r, err := c.single(ctx, followerSQL, 4)
	if err != nil {
		return follower{}, fmt.Errorf("cannot ask the instance for its primary: %w", err)
	}
	f.conninfo, f.slot, f.systemIdentifier, f.started = r.text(0), r.text(1), r.text(2), unixTime(r, 3)
	return f, nil
}

// ask goes through the questions of a WAL receiver, until one has a bad answer.
// What the server says to that is returned as an error.
func (i *Instance) ask(ctx context.Context, c *Conn, f follower, u *Upstream) error {
	r, err := c.single(ctx, "IDENTIFY_SYSTEM", 3)
	if err != nil {
		return err
	}
	if found := r.text(0); found != f.systemIdentifier {
		u.Refusal = fmt.Sprintf("database system identifier differs between the primary and standby (the primary's is %s, the standby's %s)",
			clip(found), f.systemIdentifier)
		u.Foreign = true
		return nil
	}
	end, err := positionOf(r)
	if err != nil {
		return err
	}
	u.Timeline, u.End, u.Replaying = end.Timeline, end.LSN, !f.complete
	if u.History, err = c.history(ctx, end.Timeline); err != nil {
		return err
	}
	if u.Divergence, u.Compared, err = i.divergence(ctx, c, f, u.History, end.LSN); err != nil {
		return err
	}
	if end.Timeline < f.replayed.Timeline {
		u.Refusal = fmt.Sprintf("highest timeline %d of the primary is behind recovery timeline %d", end.Timeline, f.replayed.Timeline)
		u.Behind = true
		return nil
	}
	if u.Astray, err = i.astray(f, u.History); err != nil {
		return err
	}
	return c.startReplication(ctx, f.slot, f.replayed, end)
}

// divergence compares first what was replayed with the primary's history, then what
// was received, and at last how much there is. It says whether it could.
func (i *Instance) divergence(ctx context.Context, c *Conn, f follower, theirs wal.History, end wal.LSN) (d *Divergence, compared bool, err error) {
	for _, held := range []wal.Position{f.replayed, f.end} {
		ours, err := i.knownHistory(held.Timeline)
		if err != nil {
			return nil, false, err
		}
		switch left := theirs.Shared(ours, held); left {
		case held:
		case wal.Position{}:
			return nil, false, nil // it cannot be told
		default:
			return &Divergence{Left: left, Bytes: uint64(held.LSN - left.LSN), Pending: held != f.replayed}, true, nil
		}
	}
	if f.replayed.LSN > end {
		d, err = c.setBack(ctx, f.replayed, end)
	}
	return d, err == nil, err
}

// setBack judges a server whose log ends before what was replayed here. A primary
// had sent it and lost it since; a standby is only late.
func (c *Conn) setBack(ctx context.Context, replayed wal.Position, end wal.LSN) (*Divergence, error) {
	standby, err := c.isStandby(ctx)
	if err != nil || standby {
		return nil, err
	}
	return &Divergence{Left: wal.Position{Timeline: replayed.Timeline, LSN: end}, Bytes: uint64(replayed.LSN - end)}, nil
}

// history asks for a timeline's history file, which the first one has not.
func (c *Conn) history(ctx context.Context, t wal.Timeline) (wal.History, error) {
	if t == 1 {
		return wal.History{Timeline: 1}, nil
	}
	r, err := c.single(ctx, fmt.Sprintf("TIMELINE_HISTORY %d", t), 2)
	if err != nil {
		return wal.History{}, err
	}
	return wal.ParseHistory(t, r.text(1))
}

// isStandby asks the other side over a connection for physical replication. It
// reports in_hot_standby by itself since 14; before, all a standby's transactions
// are read-only, and few of a primary's.
func (c *Conn) isStandby(ctx context.Context) (bool, error) {
	if value := c.conn.ParameterStatus("in_hot_standby"); value != "" {
		return value == "on", nil
	}
	r, err := c.single(ctx, "SHOW transaction_read_only", 1)
	return r.text(0) == "on", err
}

// startReplication asks for the log from there on, and returns the server's
// refusal. A segment that is no longer there is only noticed when it is to be
// read, after the server has said that it begins; so the first piece of log is
// waited for, where there is any.
func (c *Conn) startReplication(ctx context.Context, slot string, from, end wal.Position) error {
	c.conn.Frontend().SendQuery(&pgproto3.Query{String: startReplicationSQL(slot, from)})
	if err := c.conn.Frontend().Flush(); err != nil {
		return err
	}
	for {
		message, err := c.conn.ReceiveMessage(ctx)
		if err != nil {
			return err
		}
		switch m := message.(type) {
		case *pgproto3.ErrorResponse:
			return pgconn.ErrorResponseToPgError(m)
		case *pgproto3.CopyBothResponse:
			if from == end {
				return nil
			}
		case *pgproto3.CopyData, *pgproto3.CopyDone, *pgproto3.CommandComplete, *pgproto3.RowDescription:
			return nil
		}
	}
}

func startReplicationSQL(slot string, from wal.Position) string {
	command := "START_REPLICATION "
	if slot != "" {
		command += `SLOT "` + strings.ReplaceAll(slot, `"`, `""`) + `" `
	}
	return command + fmt.Sprintf("PHYSICAL %s TIMELINE %d", from.LSN, from.Timeline)
}
