package pg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"pgsqlms/internal/command"
)

// Launched is a server that was started and is not waited for.
type Launched struct {
	process *command.Process
}

// Pid is the postmaster's process ID.
func (l *Launched) Pid() int { return l.process.Pid }

// Exited says whether the server has already ended, and how: nil for exit
// code 0. Why, stands in its log. While it has not ended, PostmasterStatus and
// Connect tell how far it is.
func (l *Launched) Exited() (bool, error) { return l.process.Exited() }

// Killed says whether it has ended by SIGKILL, of which it knew nothing.
func (l *Launched) Killed() bool {
	_, how := l.process.Exited()
	return command.WasKilled(how)
}

// Done is closed when the server has ended.
func (l *Launched) Done() <-chan struct{} { return l.process.Done() }

// Launch starts the server, in a session of its own, and does not wait for it.
// The server lives on when ctx or this process ends. Only a server that could
// not be started at all is an error here.
//
// It runs postgres itself and not pg_ctl, which hands its -o options to a
// shell. What pg_ctl does besides, a new session and no input, is done here;
// and being the parent, the caller sees at once when the server gives up.
// Its output goes to LogPath, or nowhere: a pipe would be inherited by the
// server and bind us to its life. It starts in the data directory, where it
// goes anyway: so Processes knows it for the server from its first moment.
// What SkipTimeline left behind is taken away before.
func (i *Instance) Launch(ctx context.Context) (*Launched, error) {
	if err := i.forgetSkipped(); err != nil && !errors.Is(err, fs.ErrNotExist) { // without pg_wal the server speaks
		return nil, err
	}
	args, err := i.serverArgs()
	if err != nil {
		return nil, err
	}
	log, err := i.openLog()
	if err != nil {
		return nil, fmt.Errorf("cannot open the server's log: %w", err)
	}
	if log != nil {
		defer log.Close() // the server has it by then
	}
	process, err := command.Start(ctx, command.Cmd{
		Path: i.tool("postgres"), Args: args, User: &i.cfg.User, Dir: i.cfg.DataDir,
		Stdout: log, Stderr: log,
	})
	if err != nil {
		return nil, err
	}
	return &Launched{process: process}, nil
}

// openLog opens LogPath for appending, as the system user.
func (i *Instance) openLog() (log *os.File, err error) {
	if i.cfg.LogPath == "" {
		return nil, nil
	}
	err = i.asUser(func() error {
		log, err = openRegular(i.cfg.LogPath, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
		return err
	})
	return log, err
}
