package agent

import (
	"context"
	"os"
	"time"

	"pgsqlms/internal/command"
	"pgsqlms/internal/ocf"
)

// A standby whose primary is lost with its node goes on believing in the connection, until
// wal_receiver_timeout ends it or the answer to its next message. With synchronous
// replication nobody can write until a standby streams from the new primary. By then no
// action of the agent's is under way on the standby, and none that begins before may wait: so
// the vote leaves a process of its own that waits for the new primary, and ends.

// followAction is the first argument of that process. It is no action of Pacemaker's.
const followAction = "follow-new-primary"

// followWait is how long it waits at most: as long as a node that voted keeps its score
// without being connected. followPause comes before, as there is no new primary so soon, and
// the election has a use for the processor.
const (
	followWait  = connectGrace
	followPause = 100 * time.Millisecond
)

// followLater starts it.
func (a *agent) followLater(ctx context.Context) {
	self, err := os.Executable()
	if err == nil {
		_, err = command.Start(ctx, command.Cmd{Path: self, Args: []string{followAction}, Env: a.environ})
	}
	if err != nil {
		a.log.Infof("the WAL receiver has to notice by itself that its primary is gone: %v", err)
	}
}

// follow waits for the new primary, and ends a WAL receiver that has been connected to another
// one all the time, or waits for the kernel to send its first packet again: the startup
// process starts one that connects to this.
func (a *agent) follow(ctx context.Context) (ocf.ExitCode, error) {
	time.Sleep(followPause)
	ctx, cancel := context.WithTimeout(ctx, followWait)
	defer cancel()
	before, err := a.db.Streaming(ctx)
	there := false
	if err == nil {
		there, err = a.db.AwaitPrimary(ctx)
	}
	if err == nil && there {
		err = poll(ctx, connectEvery, func() (bool, error) { return a.leaves(ctx, before) })
	}
	if err != nil {
		a.log.Infof("the WAL receiver has to notice by itself that there is a new primary: %v", err)
	}
	return ocf.Success, nil
}

// leaves ends the WAL receiver, if it is still the one before or still seeks, and says whether
// there is nothing more to do.
func (a *agent) leaves(ctx context.Context, before int) (bool, error) {
	now, err := a.db.Streaming(ctx)
	var ended bool
	switch {
	case err != nil:
	case now == 0:
		ended, err = a.db.EndSeeking(ctx)
	case now == before:
		ended, err = a.db.EndStreaming(ctx, now)
	default:
		return true, nil
	}
	if ended {
		a.log.Infof("there is a new primary: a WAL receiver that did not know of it was ended")
	}
	return ended, err
}
