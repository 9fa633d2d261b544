package pg

import (
	"context"
	"time"

	"pgsqlms/internal/wal"
)

// Standing is how much of the write-ahead log a running instance holds: what it
// has to say before a promotion.
type Standing struct {
	// End is the end of the log on disk, and its timeline: of a primary what it
	// has flushed, of a standby the larger of what it has received and replayed.
	// While neither Complete nor Read is true it may be less than what there is,
	// never more.
	End wal.Position

	// Replayed is how much of it is in the data, and on which timeline.
	Replayed wal.Position

	// Complete says that PostgreSQL knows what it holds. A standby that was started
	// and has not yet replayed all it finds in pg_wal and in the archive does not.
	Complete bool

	// Read says that End was read from pg_wal instead, up to the end of what is
	// there. Only an archive could hold more.
	Read bool

	// Known is how far the primary had written when it last spoke to the WAL
	// receiver of this standby; zero on a primary and while none runs.
	Known wal.LSN
}

// Whole says that End is the end of what there is, as far as can be known here. Else there
// may be more.
func (s Standing) Whole() bool { return s.Complete || s.Read }

// Standing asks the running instance what it holds. It takes no checkpoint.
//
// SQL tells the ends, and IDENTIFY_SYSTEM the timeline that is replayed, which
// pg_control may name late. Without a free WAL sender slot or the right to
// replicate the timeline comes from pg_control and from the files of pg_wal.
//
// A standby asks for streaming when it has come to the end of all it finds,
// and not before (WaitForWALToBecomeAvailable in PostgreSQL's xlogrecovery.c, in
// xlog.c until 14), and pg_last_wal_receive_lsn() is NULL until then. Where no
// primary_conninfo is set it never asks; then what its startup process waits for
// tells the same. Until then the rest of the log is read here, for at most
// localEndWait.
func (i *Instance) Standing(ctx context.Context) (Standing, error) {
	w, replaying, err := i.walEnds(ctx)
	if err != nil {
		return Standing{}, err
	}
	return i.standing(ctx, w, replaying)
}

func (i *Instance) standing(ctx context.Context, w walEnds, replaying wal.Position) (s Standing, err error) {
	if !w.inRecovery {
		return Standing{End: w.current, Replayed: w.current, Complete: true}, nil
	}
	s = Standing{Complete: w.complete, Known: w.known}
	if s.Replayed, err = i.replayedPosition(w, replaying); err != nil {
		return Standing{}, err
	}
	if s.End, err = i.endPosition(w, replaying, s.Replayed); err != nil {
		return Standing{}, err
	}
	if !s.Complete {
		s.End, s.Read = i.localEnd(ctx, s, w.segmentBytes)
	}
	return s, nil
}

// ReplayedOwn says whether the running instance has come to the end of the WAL that it was
// started with. It is Standing's Complete, and cheaper: no log is read.
func (i *Instance) ReplayedOwn(ctx context.Context) (bool, error) {
	w, _, err := i.walEnds(ctx)
	return err == nil && (w.complete || !w.inRecovery), err
}

// answerWait bounds what an instance gets to tell what it holds. A failover waits for
// the answers of all nodes that could be promoted; one that gives none in this time
// counts as absent.
const answerWait = 3 * time.Second

// walEnds asks both questions, within answerWait. The timeline is asked for last: it may then be
// newer than the place that was replayed, never older, and its history tells on
// which of its ancestors that place is. It is zero where it could not be asked.
func (i *Instance) walEnds(ctx context.Context) (w walEnds, replaying wal.Position, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	c, err := i.connect(ctx, map[string]string{"replication": "database"})
	alone := IsTooManyConnections(err) || IsNoPrivilege(err) || IsAuth(err)
	if alone {
		c, err = i.Connect(ctx)
	}
	if err != nil {
		return walEnds{}, wal.Position{}, err
	}
	defer c.Close()
	w, err = c.walEnds(ctx)
	if err == nil && w.inRecovery && !alone {
		replaying, err = c.identify(ctx)
	}
	return w, replaying, err
}

func (i *Instance) replayedPosition(w walEnds, replaying wal.Position) (wal.Position, error) {
	if replaying.Timeline == 0 {
		return i.onTimeline(w.replay, w.controlTimeline, w.segmentBytes)
	}
	return i.along(replaying.Timeline, w.replay)
}

// endPosition finds the timeline of the end. IDENTIFY_SYSTEM counts what was
// received on the timeline that is replayed; what was received of a newer one,
// and not replayed, it does not know.
func (i *Instance) endPosition(w walEnds, replaying, replayed wal.Position) (wal.Position, error) {
	switch {
	case w.receive <= w.replay:
		return replayed, nil
	case w.receive <= replaying.LSN:
		return i.along(replaying.Timeline, w.receive)
	}
	return i.onTimeline(w.receive, max(replaying.Timeline, w.receiver, w.controlTimeline), w.segmentBytes)
}
