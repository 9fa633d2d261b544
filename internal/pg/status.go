package pg

import (
	"context"
	"fmt"

	"pgsqlms/internal/wal"
)

// Status is what an instance tells about itself in one round trip.
type Status struct {
	InRecovery bool

	// Of a primary.
	Current                 wal.Position // how far it has written; zero on a standby
	SynchronousStandbyNames string       // set on a standby too, without effect there

	// Of a standby. An LSN is nil where the server says NULL.
	Receive      *wal.LSN  // the last received; a mere segment's start after a restart
	Replay       *wal.LSN  // the last replayed
	Receiver     *Receiver // nil while no WAL receiver runs
	ReplayPaused bool

	// Who streams from this instance, also from a standby.
	Standbys []Standby
}

// Receiver is a standby's WAL receiver.
type Receiver struct {
	Status   string       // "starting", "streaming", "waiting", "restarting", "stopping"
	Timeline wal.Timeline // of what it has received; zero if unknown

	// End is how far the WAL goes that the primary has, on the timeline that it sends, as it
	// has last said; nil while it has said nothing.
	End *wal.LSN
}

// Streams says that a standby's WAL receiver streams, and is at least where the replay is.
//
// One that is told of less has diverged: PostgreSQL streams the end of the timeline that both
// have, again and again, and in between it says that it streams (seen on 15). What it has
// received does not tell by itself: after a restart that is a mere segment's start, and stays
// so until the primary writes again, since what was replayed already counts as flushed
// (WalReceiverMain and XLogWalRcvFlush in walreceiver.c).
func (s Status) Streams() bool {
	if s.Receiver == nil || s.Receiver.Status != "streaming" {
		return false
	}
	return s.Receive == nil || s.Replay == nil || *s.Receive >= *s.Replay || s.Receiver.End != nil && *s.Receiver.End >= *s.Replay
}

// Standby is one row of pg_stat_replication. LSNs are nil where it has NULL,
// as it has for everything when the role may not read it.
type Standby struct {
	ApplicationName string // chosen by the other side: compare it whole, expect anything
	State           string // "startup", "catchup", "streaming", "backup", "stopping"
	SyncState       string // "async", "potential", "sync", "quorum"
	Sent            *wal.LSN
	Write           *wal.LSN
	Flush           *wal.LSN
	Replay          *wal.LSN
}

// statusSQL asks two questions in one message. The role is found out once, in
// the first line: the functions of a primary fail on a standby, and the other
// way round, and are not called in the branch not taken.
const statusSQL = `
WITH role AS (SELECT pg_catalog.pg_is_in_recovery() AS standby)
SELECT role.standby,
       CASE WHEN NOT role.standby THEN pg_catalog.pg_current_wal_lsn() END,
       CASE WHEN NOT role.standby THEN pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()) END,
       pg_catalog.current_setting('synchronous_standby_names'),
       CASE WHEN role.standby THEN pg_catalog.pg_last_wal_receive_lsn() END,
       CASE WHEN role.standby THEN pg_catalog.pg_last_wal_replay_lsn() END,
       CASE WHEN role.standby THEN pg_catalog.pg_is_wal_replay_paused() END,
       receiver.pid,
       receiver.status,
       receiver.received_tli,
       receiver.latest_end_lsn
FROM role LEFT JOIN pg_catalog.pg_stat_wal_receiver AS receiver ON role.standby;
SELECT application_name, state, sync_state, sent_lsn, write_lsn, flush_lsn, replay_lsn
FROM pg_catalog.pg_stat_replication
ORDER BY application_name, pid`

const statusColumns = 11

// Status asks for the whole of it in one round trip.
func (c *Conn) Status(ctx context.Context) (Status, error) {
	tables, err := c.query(ctx, statusSQL)
	if sqlState(err) == codeNotInState { // promoted between two of its function calls
		tables, err = c.query(ctx, statusSQL)
	}
	if err != nil {
		return Status{}, err
	}
	if len(tables) != 2 {
		return Status{}, fmt.Errorf("the server gave %d results to a status query, expected 2", len(tables))
	}
	return readStatusTables(tables[0], tables[1])
}

func readStatusTables(self, standbys []row) (s Status, err error) {
	r, err := only(self, statusColumns)
	if err != nil {
		return Status{}, err
	}
	s.InRecovery = r.bool(0)
	s.SynchronousStandbyNames = r.text(3)
	if s.InRecovery {
		err = s.readStandbySide(r)
	} else {
		s.Current, err = currentPosition(r)
	}
	if err != nil {
		return Status{}, fmt.Errorf("the server's status: %w", err)
	}
	for _, r := range standbys {
		standby, err := readStandby(r)
		if err != nil {
			return Status{}, fmt.Errorf("the server's pg_stat_replication: %w", err)
		}
		s.Standbys = append(s.Standbys, standby)
	}
	return s, nil
}

func currentPosition(r row) (wal.Position, error) {
	lsn, err := wal.ParseLSN(r.text(1))
	if err != nil {
		return wal.Position{}, err
	}
	timeline, err := wal.TimelineOfSegment(r.text(2))
	return wal.Position{Timeline: timeline, LSN: lsn}, err
}

func (s *Status) readStandbySide(r row) (err error) {
	if s.Receive, err = r.lsn(4); err != nil {
		return err
	}
	if s.Replay, err = r.lsn(5); err != nil {
		return err
	}
	s.ReplayPaused = r.bool(6)
	if r.null(7) {
		return nil
	}
	s.Receiver = &Receiver{Status: r.text(8)}
	if s.Receiver.Timeline, err = r.timeline(9); err != nil {
		return err
	}
	s.Receiver.End, err = r.lsn(10)
	return err
}

func readStandby(r row) (s Standby, err error) {
	s = Standby{ApplicationName: r.text(0), State: r.text(1), SyncState: r.text(2)}
	for n, field := range []**wal.LSN{&s.Sent, &s.Write, &s.Flush, &s.Replay} {
		if *field, err = r.lsn(3 + n); err != nil {
			return Standby{}, err
		}
	}
	return s, nil
}
