package operator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"pgsqlms/internal/command"
	"pgsqlms/internal/pg"
	"pgsqlms/internal/wal"
)

// Whatever is asked of this node's instance reads files: ~/.pgpass and PG_VERSION before
// a connection, postmaster.pid, pg_control, the configuration. On storage that hangs (a
// SAN without a path, a dead NFS server) the kernel keeps who reads them, and no deadline
// and no Ctrl-C gets there. So every question is given up here when its time is over.

// lateAnswer is what a question may take beyond its bound to come back with an answer of
// its own: a program that was killed may leave its output open for as long (see
// command.Run).
const lateAnswer = time.Second

// errHangs is the mark of what was given up.
var errHangs = errors.New("its storage may hang")

// hung knows of the questions that this command has given up and that have not come back
// yet. Until then no other one is asked: it would take its whole time as well, and leave
// a thread behind. nil knows of none.
type hung struct {
	mu      sync.Mutex
	waiting int
	why     error

	// stand is called before each question, by the tests of storage that hangs.
	stand func()
}

// await notes one, until it is back.
func (h *hung) await(back <-chan struct{}, why error) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiting++
	h.why = why
	go func() {
		<-back
		h.mu.Lock()
		defer h.mu.Unlock()
		h.waiting--
	}()
}

// err is why nothing is asked now; nil if it can be.
func (h *hung) err() error {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting == 0 {
		return nil
	}
	return h.why
}

// ask asks the instance something, as long as ctx and lateAnswer allow. An error that
// wraps errHangs says that it was given up.
func ask[T any](ctx context.Context, i instance, question func(*pg.Instance) (T, error)) (T, error) {
	return within(ctx, i.hung, i.dataDir, func() (T, error) { return question(i.Instance) })
}

// within is ask for a question to whatever storage. where names that.
func within[T any](ctx context.Context, h *hung, where string, question func() (T, error)) (T, error) {
	var nothing T
	if err := h.err(); err != nil {
		return nothing, err
	}
	began := time.Now()
	back := make(chan struct{})
	answer, err := command.Within(ctx, lateAnswer, func() (T, error) {
		defer close(back)
		if h != nil && h.stand != nil {
			h.stand()
		}
		return question()
	})
	if !errors.Is(err, command.ErrGivenUp) {
		return answer, err
	}
	err = fmt.Errorf("%s: no answer within %s: %w (then the kernel's log says so, and ps shows processes in state D)",
		where, durationText(time.Since(began)), errHangs)
	h.await(back, err)
	return nothing, err
}

// look is ask for what knows no ctx. It takes a few system calls.
func look[T any](ctx context.Context, i instance, question func(*pg.Instance) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, instanceWait)
	defer cancel()
	return ask(ctx, i, question)
}

// The questions, by the names that they have in package pg.

func (i instance) Report(ctx context.Context) (pg.Report, error) {
	return ask(ctx, i, func(of *pg.Instance) (pg.Report, error) { return of.Report(ctx) })
}

func (i instance) ReportAt(ctx context.Context, c pg.Conninfo) (pg.Report, error) {
	return ask(ctx, i, func(of *pg.Instance) (pg.Report, error) { return of.ReportAt(ctx, c) })
}

func (i instance) Control(ctx context.Context) (pg.ControlData, error) {
	return ask(ctx, i, func(of *pg.Instance) (pg.ControlData, error) { return of.Control(ctx) })
}

func (i instance) Conninfo(ctx context.Context) (pg.Conninfo, error) {
	return ask(ctx, i, func(of *pg.Instance) (pg.Conninfo, error) { return of.Conninfo(ctx) })
}

func (i instance) Checkup(ctx context.Context) (pg.Checkup, error) {
	return ask(ctx, i, func(of *pg.Instance) (pg.Checkup, error) { return of.Checkup(ctx) })
}

func (i instance) CheckupAt(ctx context.Context, c pg.Conninfo) (pg.Checkup, error) {
	return ask(ctx, i, func(of *pg.Instance) (pg.Checkup, error) { return of.CheckupAt(ctx, c) })
}

func (i instance) TryReplication(ctx context.Context, c pg.Conninfo) (string, error) {
	return ask(ctx, i, func(of *pg.Instance) (string, error) { return of.TryReplication(ctx, c) })
}

func (i instance) HistoryFiles(ctx context.Context) ([]pg.HistoryFile, error) {
	return ask(ctx, i, func(of *pg.Instance) ([]pg.HistoryFile, error) { return of.HistoryFiles() })
}

func (i instance) ProgramVersion(ctx context.Context) (int, error) {
	return ask(ctx, i, func(of *pg.Instance) (int, error) { return of.ProgramVersion(ctx) })
}

func (i instance) RejoinControl(ctx context.Context) (pg.RejoinControl, error) {
	return ask(ctx, i, func(of *pg.Instance) (pg.RejoinControl, error) { return of.RejoinControl(ctx) })
}

func (i instance) RejoinConninfo(ctx context.Context) (pg.Conninfo, error) {
	return ask(ctx, i, func(of *pg.Instance) (pg.Conninfo, error) { return of.RejoinConninfo(ctx) })
}

func (i instance) Premises(ctx context.Context) (pg.Premises, error) {
	return ask(ctx, i, func(of *pg.Instance) (pg.Premises, error) { return of.Premises(ctx) })
}

func (i instance) AskSource(ctx context.Context, c pg.Conninfo, replayed, end wal.Position) (pg.Source, error) {
	return ask(ctx, i, func(of *pg.Instance) (pg.Source, error) { return of.AskSource(ctx, c, replayed, end) })
}

func (i instance) AskRewindSource(ctx context.Context, c pg.Conninfo) (pg.RewindSource, error) {
	return ask(ctx, i, func(of *pg.Instance) (pg.RewindSource, error) { return of.AskRewindSource(ctx, c) })
}

func (i instance) AskSize(ctx context.Context, c pg.Conninfo) (uint64, error) {
	return ask(ctx, i, func(of *pg.Instance) (uint64, error) { return of.AskSize(ctx, c) })
}

func (i instance) AskPrimary(ctx context.Context) (pg.Upstream, error) {
	return ask(ctx, i, func(of *pg.Instance) (pg.Upstream, error) { return of.AskPrimary(ctx) })
}

func (i instance) CheckpointAt(ctx context.Context, c pg.Conninfo) error {
	_, err := ask(ctx, i, func(of *pg.Instance) (struct{}, error) { return struct{}{}, of.CheckpointAt(ctx, c) })
	return err
}

func (i instance) TryBackup(ctx context.Context, c pg.Conninfo) error {
	_, err := ask(ctx, i, func(of *pg.Instance) (struct{}, error) { return struct{}{}, of.TryBackup(ctx, c) })
	return err
}

func (i instance) StoppedEnd(ctx context.Context, c pg.RejoinControl) (replayed, end wal.Position) {
	ends, _ := ask(ctx, i, func(of *pg.Instance) (ends [2]wal.Position, err error) {
		ends[0], ends[1] = of.StoppedEnd(ctx, c)
		return ends, nil
	})
	return ends[0], ends[1]
}

func (i instance) Processes(ctx context.Context) (pg.Processes, error) {
	return look(ctx, i, func(of *pg.Instance) (pg.Processes, error) { return of.Processes() })
}

func (i instance) Version(ctx context.Context) (int, error) {
	return look(ctx, i, func(of *pg.Instance) (int, error) { return of.Version() })
}

func (i instance) RejoinVersion(ctx context.Context) (int, error) {
	return look(ctx, i, func(of *pg.Instance) (int, error) { return of.RejoinVersion() })
}

func (i instance) RejoinSettings(ctx context.Context, names ...string) (map[string]string, error) {
	return ask(ctx, i, func(of *pg.Instance) (map[string]string, error) { return of.RejoinSettings(ctx, names...) })
}

func (i instance) OldData(ctx context.Context) ([]string, error) {
	return look(ctx, i, func(of *pg.Instance) ([]string, error) { return of.OldData() })
}

func (i instance) Space(ctx context.Context) ([]pg.Space, error) {
	return look(ctx, i, func(of *pg.Instance) ([]pg.Space, error) { return of.Space() })
}

func (i instance) HasRejoinTools(ctx context.Context) error {
	_, err := look(ctx, i, func(of *pg.Instance) (struct{}, error) { return struct{}{}, of.HasRejoinTools() })
	return err
}

func (i instance) LockRejoin() (*pg.Rejoin, error) {
	return look(context.Background(), i, func(of *pg.Instance) (*pg.Rejoin, error) { return of.LockRejoin() })
}
