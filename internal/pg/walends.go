package pg

import (
	"context"
	"fmt"
	"strconv"

	"pgsqlms/internal/wal"
)

// walEnds is what SQL tells about where the write-ahead log ends.
type walEnds struct {
	inRecovery      bool
	current         wal.Position // of a primary
	receive, replay wal.LSN      // of a standby, zero if unknown
	complete        bool         // replay has come to the end of what was there at the start
	known           wal.LSN      // where the primary last said its log ends, zero if unknown
	receiver        wal.Timeline // of a running WAL receiver, else zero
	controlTimeline wal.Timeline // the latest pg_control names; may lag behind
	segmentBytes    uint64
}

// walEndsSQL looks at the startup process only where nothing was received. What
// it waits for with all sources exhausted was called RecoveryWalStream and
// RecoveryWalAll in PostgreSQL 12, and RecoveryRetrieveRetryInterval and
// RecoveryWalStream since 13.
const walEndsSQL = `
WITH role AS (SELECT pg_catalog.pg_is_in_recovery() AS standby),
received AS (SELECT CASE WHEN standby THEN pg_catalog.pg_last_wal_receive_lsn() END AS lsn FROM role)
SELECT role.standby,
       CASE WHEN NOT role.standby THEN pg_catalog.pg_current_wal_flush_lsn() END,
       CASE WHEN NOT role.standby THEN pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_flush_lsn()) END,
       received.lsn,
       received.lsn IS NOT NULL OR (role.standby AND EXISTS (
           SELECT FROM pg_catalog.pg_stat_activity WHERE backend_type = 'startup'
           AND wait_event IN ('RecoveryRetrieveRetryInterval', 'RecoveryWalStream', 'RecoveryWalAll'))),
       CASE WHEN role.standby THEN pg_catalog.pg_last_wal_replay_lsn() END,
       receiver.latest_end_lsn,
       receiver.received_tli,
       GREATEST((pg_catalog.pg_control_checkpoint()).timeline_id,
                (pg_catalog.pg_control_recovery()).min_recovery_end_timeline),
       (pg_catalog.pg_control_init()).bytes_per_wal_segment
FROM role CROSS JOIN received LEFT JOIN pg_catalog.pg_stat_wal_receiver AS receiver ON role.standby`

func (c *Conn) walEnds(ctx context.Context) (w walEnds, err error) {
	r, err := c.single(ctx, walEndsSQL, 10)
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

func (w *walEnds) readStandby(r row) error {
	w.complete = r.bool(4)
	for n, field := range map[int]*wal.LSN{3: &w.receive, 5: &w.replay, 6: &w.known} {
		lsn, err := r.lsn(n)
		if err != nil {
			return err
		}
		*field = orZero(lsn)
	}
	for n, field := range map[int]*wal.Timeline{7: &w.receiver, 8: &w.controlTimeline} {
		timeline, err := r.timeline(n)
		if err != nil {
			return err
		}
		*field = timeline
	}
	var err error
	w.segmentBytes, err = strconv.ParseUint(r.text(9), 10, 64)
	return err
}

func orZero(l *wal.LSN) wal.LSN {
	if l == nil {
		return 0
	}
	return *l
}

// identify asks IDENTIFY_SYSTEM: system identifier, timeline, LSN, database.
func (c *Conn) identify(ctx context.Context) (wal.Position, error) {
	r, err := c.single(ctx, "IDENTIFY_SYSTEM", 3)
	if err != nil {
		return wal.Position{}, err
	}
	return positionOf(r)
}

// positionOf reads timeline and LSN of an answer to IDENTIFY_SYSTEM.
func positionOf(r row) (wal.Position, error) {
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
