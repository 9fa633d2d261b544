package pg

import (
	"context"
	"fmt"
	"strconv"

	"pgsqlms/internal/wal"
)

// Position is the end of the write-ahead log the running instance has on disk,
// and the timeline that end is on. It takes no checkpoint.
//
// The replication command IDENTIFY_SYSTEM tells both: on a standby the larger
// of what it has received and replayed, also where pg_last_wal_receive_lsn()
// has nothing yet or, after a restart without a primary, the start of a
// segment. It keeps to the timeline that is being replayed, though; what a
// standby has received of a newer one, and not replayed, comes from SQL.
// Without a free WAL sender slot or the right to replicate, all comes from SQL.
func (i *Instance) Position(ctx context.Context) (wal.Position, error) {
	c, err := i.connect(ctx, map[string]string{"replication": "database"})
	if IsTooManyConnections(err) || sqlState(err) == codeNoPrivilege || IsAuth(err) {
		return i.positionBySQL(ctx)
	}
	if err != nil {
		return wal.Position{}, err
	}
	defer c.Close()
	identified, err := c.identify(ctx)
	if err != nil {
		return wal.Position{}, err
	}
	w, err := c.walEnds(ctx)
	if err != nil {
		return wal.Position{}, err
	}
	if w.inRecovery && w.end() > identified.LSN {
		return i.onTimeline(w, identified.Timeline)
	}
	return identified, nil
}

func (i *Instance) positionBySQL(ctx context.Context) (wal.Position, error) {
	c, err := i.Connect(ctx)
	if err != nil {
		return wal.Position{}, err
	}
	defer c.Close()
	w, err := c.walEnds(ctx)
	if err != nil {
		return wal.Position{}, err
	}
	if !w.inRecovery {
		return w.current, nil
	}
	return i.onTimeline(w, w.controlTimeline)
}

// identify asks IDENTIFY_SYSTEM: system identifier, timeline, LSN, database.
func (c *Conn) identify(ctx context.Context) (wal.Position, error) {
	r, err := c.single(ctx, "IDENTIFY_SYSTEM", 3)
	if err != nil {
		return wal.Position{}, err
	}
	timeline, err := wal.ParseTimeline(r.text(1))
	if err != nil {
		return wal.Position{}, fmt.Errorf("IDENTIFY_SYSTEM: %w", err)
	}
	lsn, err := wal.ParseLSN(r.text(2))
	if err != nil {
		return wal.Position{}, fmt.Errorf("IDENTIFY_SYSTEM: %w", err)
	}
	return wal.Position{Timeline: timeline, LSN: lsn}, nil
}

// walEnds is what SQL tells about where the write-ahead log ends.
type walEnds struct {
	inRecovery      bool
	current         wal.Position // of a primary
	receive, replay wal.LSN      // of a standby, zero if unknown
	receiver        wal.Timeline // of a running WAL receiver, else zero
	controlTimeline wal.Timeline // the latest pg_control names; may lag behind
	segmentBytes    uint64
}

// end is where a standby's log ends. Both of its LSNs are on disk, and the
// larger one is the end whichever timelines they are on.
func (w walEnds) end() wal.LSN { return max(w.receive, w.replay) }

const walEndsSQL = `
WITH role AS (SELECT pg_catalog.pg_is_in_recovery() AS standby)
SELECT role.standby,
       CASE WHEN NOT role.standby THEN pg_catalog.pg_current_wal_flush_lsn() END,
       CASE WHEN NOT role.standby THEN pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_flush_lsn()) END,
       CASE WHEN role.standby THEN pg_catalog.pg_last_wal_receive_lsn() END,
       CASE WHEN role.standby THEN pg_catalog.pg_last_wal_replay_lsn() END,
       receiver.received_tli,
       GREATEST((pg_catalog.pg_control_checkpoint()).timeline_id,
                (pg_catalog.pg_control_recovery()).min_recovery_end_timeline),
       (pg_catalog.pg_control_init()).bytes_per_wal_segment
FROM role LEFT JOIN pg_catalog.pg_stat_wal_receiver AS receiver ON role.standby`

func (c *Conn) walEnds(ctx context.Context) (w walEnds, err error) {
	r, err := c.single(ctx, walEndsSQL, 8)
	if err != nil {
		return walEnds{}, err
	}
	w.inRecovery = r.bool(0)
	if !w.inRecovery {
		w.current, err = currentPosition(r)
		return w, err
	}
	return w, w.readStandby(r)
}

func (w *walEnds) readStandby(r row) (err error) {
	var receive, replay *wal.LSN
	if receive, err = r.lsn(3); err != nil {
		return err
	}
	if replay, err = r.lsn(4); err != nil {
		return err
	}
	w.receive, w.replay = orZero(receive), orZero(replay)
	if w.receiver, err = r.timeline(5); err != nil {
		return err
	}
	if w.controlTimeline, err = r.timeline(6); err != nil {
		return err
	}
	w.segmentBytes, err = strconv.ParseUint(r.text(7), 10, 64)
	return err
}

func orZero(l *wal.LSN) wal.LSN {
	if l == nil {
		return 0
	}
	return *l
}
