package pg

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"syscall"
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

// Streaming is the process of the WAL receiver that has a connection, zero where none has.
func (i *Instance) Streaming(ctx context.Context) (int, error) {
	return i.receiver(ctx, streamingSQL)
}

const streamingSQL = "SELECT pid FROM pg_catalog.pg_stat_wal_receiver WHERE status = 'streaming'"

// EndStreaming is RestartReceiver for the one that has this process ID and a connection.
func (i *Instance) EndStreaming(ctx context.Context, pid int) (bool, error) {
	return i.endReceiver(ctx, fmt.Sprintf("%s AND pid = %d", streamingSQL, pid))
}

// EndSeeking is RestartReceiver for one that has sought a connection for longer than
// wal_retrieve_retry_interval. It is started when the one before has failed, and after two
// failures within that time the startup process waits for the rest of it
// (WaitForWALToBecomeAvailable in xlogrecovery.c).
func (i *Instance) EndSeeking(ctx context.Context) (bool, error) {
	return i.endReceiver(ctx, `SELECT pid FROM pg_catalog.pg_stat_activity WHERE backend_type = 'walreceiver'
		AND pg_catalog.clock_timestamp() - backend_start > pg_catalog.current_setting('wal_retrieve_retry_interval')::interval
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_wal_receiver)`)
}

func (i *Instance) endReceiver(ctx context.Context, which string) (bool, error) {
	pid, err := i.receiver(ctx, which)
	if err != nil || pid == 0 {
		return false, err
	}
	found, err := i.Processes()
	if err != nil || !slices.Contains(found.Children, pid) {
		return false, err
	}
	return true, i.tell(syscall.SIGTERM, pid)
}

// receiver is the process that a query finds, zero where it finds none.
func (i *Instance) receiver(ctx context.Context, which string) (int, error) {
	c, err := i.Connect(ctx)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	tables, err := c.query(ctx, which)
	if err != nil || len(tables) != 1 || len(tables[0]) != 1 {
		return 0, err
	}
	return strconv.Atoi(tables[0][0].text(0))
}
