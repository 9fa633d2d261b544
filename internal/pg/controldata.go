package pg

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"pgsqlms/internal/command"
	"pgsqlms/internal/wal"
)

// What is wrong with pg_control, for errors.Is.
var (
	ErrControlCRC        = errors.New("pg_control has a wrong checksum")
	ErrControlUnreadable = errors.New("pg_control cannot be read")
)

// State is the cluster state in pg_control, in pg_controldata's words.
type State string

// The states PostgreSQL knows (DBState in pg_control.h).
const (
	StateStartingUp       State = "starting up"
	StateShutDown         State = "shut down"
	StateShutDownRecovery State = "shut down in recovery"
	StateShuttingDown     State = "shutting down"
	StateCrashRecovery    State = "in crash recovery"
	StateArchiveRecovery  State = "in archive recovery"
	StateInProduction     State = "in production"
)

func (s State) known() bool {
	switch s {
	case StateStartingUp, StateShutDown, StateShutDownRecovery, StateShuttingDown,
		StateCrashRecovery, StateArchiveRecovery, StateInProduction:
		return true
	}
	return false
}

// ControlData is what pg_control says, as far as anybody asks: a line that nobody
// needs must not keep the rest from being believed.
type ControlData struct {
	State      State
	Checkpoint wal.LSN      // the latest checkpoint's own record
	Timeline   wal.Timeline // the checkpoint's

	// MinRecovery is how far the data files hold changes of the log, where PostgreSQL knows
	// them to be further than the checkpoint, as in a standby; zero elsewhere.
	MinRecovery wal.Position

	// Segment is the size of a file of the log in bytes; zero where that cannot be told.
	Segment uint64
}

// The labels pg_controldata prints under LC_ALL=C, the same from 10 to 18.
const (
	labelState       = "Database cluster state"
	labelCheckpoint  = "Latest checkpoint location"
	labelTimeline    = "Latest checkpoint's TimeLineID"
	labelRecovery    = "Minimum recovery ending location"
	labelRecoveryTLI = "Min recovery ending loc's timeline"
	labelSegment     = "Bytes per WAL segment"
)

// crcWarning stands in the warning pg_controldata gives, on standard output
// or, since 17, on standard error, while it still exits with 0.
const crcWarning = "crc checksum does not match"

// tornReads is how often a wrong checksum is looked at again. The server may
// be writing pg_control just now, and that is not atomic for a reader.
const (
	tornReads    = 2
	tornReadWait = 20 * time.Millisecond
)

// Control runs pg_controldata as the system user. Its errors wrap
// ErrControlCRC or ErrControlUnreadable, unless the program could not be run.
func (i *Instance) Control(ctx context.Context) (ControlData, error) {
	c, err := i.controlOnce(ctx)
	for n := 0; n < tornReads && errors.Is(err, ErrControlCRC); n++ {
		if pauseErr := pause(ctx, tornReadWait); pauseErr != nil {
			break
		}
		c, err = i.controlOnce(ctx)
	}
	if errors.Is(err, ErrControlCRC) || errors.Is(err, ErrControlUnreadable) {
		return ControlData{}, fmt.Errorf("%s: %w", i.path("global/pg_control"), err)
	}
	return c, err
}

func (i *Instance) controlOnce(ctx context.Context) (ControlData, error) {
	out, err := command.Run(ctx, command.Cmd{
		Path: i.tool("pg_controldata"),
		Args: []string{"-D", i.cfg.DataDir},
		User: &i.cfg.User,
	})
	if err != nil {
		return ControlData{}, err
	}
	if warnsOfCRC(out.Stderr) {
		return ControlData{}, ErrControlCRC
	}
	if out.Code != 0 {
		return ControlData{}, fmt.Errorf("%w: %s", ErrControlUnreadable, command.FirstLine(out.Stderr))
	}
	return ParseControlData(out.Stdout)
}

func warnsOfCRC(output string) bool {
	return strings.Contains(strings.ToLower(output), crcWarning)
}

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ParseControlData reads what pg_controldata prints under LC_ALL=C. Lines are
// found by their labels; a label that is missing, stands there twice, or has
// a value that cannot be understood is an error. Its errors wrap ErrControlCRC
// or ErrControlUnreadable.
func ParseControlData(output string) (ControlData, error) {
	if warnsOfCRC(output) {
		return ControlData{}, ErrControlCRC
	}
	r := labelReader{values: labelled(output)}
	c := ControlData{State: State(r.text(labelState)), Checkpoint: r.lsn(labelCheckpoint), Timeline: r.timeline(labelTimeline)}
	if r.err == nil && !c.State.known() {
		r.fail(labelState, "no state of PostgreSQL")
	}
	if r.err != nil {
		return ControlData{}, fmt.Errorf("%w: %w", ErrControlUnreadable, r.err)
	}
	c.MinRecovery = minRecovery(r.values)
	optional := labelReader{values: r.values}
	c.Segment, _ = strconv.ParseUint(optional.text(labelSegment), 10, 64)
	return c, nil
}

// minRecovery is zero where there is none, which PostgreSQL prints as 0/0 on timeline 0, and
// where it cannot be understood: nobody needs it to run an instance.
func minRecovery(values map[string][]string) wal.Position {
	r := labelReader{values: values}
	p := wal.Position{Timeline: r.timeline(labelRecoveryTLI), LSN: r.lsn(labelRecovery)}
	if r.err != nil {
		return wal.Position{}
	}
	return p
}

// labelled collects the values that follow each label.
func labelled(output string) map[string][]string {
	values := map[string][]string{}
	for line := range strings.Lines(output) {
		label, value, found := strings.Cut(line, ":")
		if found {
			values[label] = append(values[label], strings.TrimSpace(value))
		}
	}
	return values
}

// labelReader takes values out by label and remembers the first thing wrong.
type labelReader struct {
	values map[string][]string
	err    error
}

func (r *labelReader) fail(label, reason string) {
	if r.err == nil {
		r.err = fmt.Errorf("%q: found %q, %s", label, clip(strings.Join(r.values[label], ", ")), reason)
	}
}

func (r *labelReader) text(label string) string {
	if len(r.values[label]) != 1 {
		r.fail(label, "expected one line with this label")
		return ""
	}
	return r.values[label][0]
}

func (r *labelReader) timeline(label string) wal.Timeline {
	t, err := wal.ParseTimeline(r.text(label))
	if err != nil {
		r.fail(label, "expected a timeline ID")
	}
	return t
}

func (r *labelReader) lsn(label string) wal.LSN {
	l, err := wal.ParseLSN(r.text(label))
	if err != nil {
		r.fail(label, "expected an LSN such as 0/46351A8")
	}
	return l
}
