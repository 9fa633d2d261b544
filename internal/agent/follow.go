package agent

import (
	"context"
	"os"

	"pgsqlms/internal/command"
	"pgsqlms/internal/election"
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
// without being connected.
const followWait = connectGrace

// followLater starts it, where there is a connection to end.
func (a *agent) followLater(ctx context.Context, vote election.Vote) {
	if vote.Known == 0 {
		return
	}
	self, err := os.Executable()
	if err == nil {
		_, err = command.Start(ctx, command.Cmd{Path: self, Args: []string{followAction}, Env: a.environ})
	}
	if err != nil {
		a.log.Infof("the WAL receiver has to notice by itself that its primary is gone: %v", err)
	}
}

// follow waits for the new primary, and ends a WAL receiver that has been connected to another
// one all the time: the startup process starts one that connects to this.
func (a *agent) follow(ctx context.Context) (ocf.ExitCode, error) {
	ctx, cancel := context.WithTimeout(ctx, followWait)
	defer cancel()
	receiver, timeline, err := a.db.Streaming(ctx)
	if err != nil || receiver == 0 {
		return ocf.Success, nil //nolint:nilerr // it seeks already
	}
	there, err := a.db.AwaitPrimary(ctx, timeline)
	if err == nil && there {
		there, err = a.db.EndStreaming(ctx, receiver)
	}
	switch {
	case err != nil:
		a.log.Infof("the WAL receiver has to notice by itself that its primary is gone: %v", err)
	case there:
		a.log.Infof("there is a new primary: WAL receiver %d, still connected to the one before, was ended", receiver)
	}
	return ocf.Success, nil
}
