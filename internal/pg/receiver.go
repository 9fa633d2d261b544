package pg

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"syscall"

	"pgsqlms/internal/wal"
)

// RestartReceiver ends the WAL receiver of a standby, if one runs, and says whether it
// did: the startup process starts another one. One that waits for a primary's address
// which has moved meanwhile waits for the kernel to send its first packet again, with
// pauses that double; one whose connection died with its primary waits for
// wal_receiver_timeout.
//
// pg_stat_wal_receiver does not show one that has no connection yet, so its process is
// found in pg_stat_activity, and must be the postmaster's child.
func (i *Instance) RestartReceiver(ctx context.Context) (bool, error) {
	return i.endReceiver(ctx, "SELECT pid FROM pg_catalog.pg_stat_activity WHERE backend_type = 'walreceiver'")
}

// Streaming is the WAL receiver that has a connection, zero where none has: its process, and
// the timeline that it receives.
func (i *Instance) Streaming(ctx context.Context) (pid int, t wal.Timeline, err error) {
	c, err := i.Connect(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	tables, err := c.query(ctx, streamingSQL)
	if err != nil || len(tables) != 1 || len(tables[0]) != 1 {
		return 0, 0, err
	}
	r := tables[0][0]
	if t, err = r.timeline(1); err == nil {
		pid, err = strconv.Atoi(r.text(0))
	}
	return pid, t, err
}

const streamingSQL = "SELECT pid, received_tli FROM pg_catalog.pg_stat_wal_receiver WHERE status = 'streaming'"

// EndStreaming is RestartReceiver for the one that has this process ID and a connection. One
// that seeks a connection has failed before, and after two failures the startup process waits
// for wal_retrieve_retry_interval (WaitForWALToBecomeAvailable in xlogrecovery.c).
func (i *Instance) EndStreaming(ctx context.Context, pid int) (bool, error) {
	return i.endReceiver(ctx, fmt.Sprintf("%s AND pid = %d", streamingSQL, pid))
}

func (i *Instance) endReceiver(ctx context.Context, which string) (bool, error) {
	c, err := i.Connect(ctx)
	if err != nil {
		return false, err
	}
	defer c.Close()
	tables, err := c.query(ctx, which)
	if err != nil || len(tables) != 1 || len(tables[0]) != 1 {
		return false, err
	}
	pid, err := strconv.Atoi(tables[0][0].text(0))
	if err != nil {
		return false, err
	}
	found, err := i.Processes()
	if err != nil || !slices.Contains(found.Children, pid) {
		return false, err
	}
	return true, i.tell(syscall.SIGTERM, pid)
}
