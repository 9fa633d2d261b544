package pg

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgsqlms/internal/command"
	"pgsqlms/internal/wal"
)

// What is looked for in the output of pg_rewind, the same from 10 to 18 under LC_ALL=C.
const (
	saysNotNeeded = "no rewind required"
	saysDone      = "Done!"
)

// ErrRewindNotNeeded says that pg_rewind finds nothing that the server does not have.
var ErrRewindNotNeeded = errors.New("pg_rewind finds no write-ahead log here that the primary does not have")

// ErrStalled says that a program of PostgreSQL's has told of no progress for too long.
var ErrStalled = errors.New("no progress")

// Progress takes how much is done, in bytes, and of how much; the latter is 0 while it is
// not known, and may grow.
type Progress func(done, total uint64)

// HasRejoinTools says which of the programs that a rejoin needs is missing.
func (i *Instance) HasRejoinTools() error {
	return i.asUser(func() error {
		for _, name := range []string{"pg_basebackup", "pg_rewind"} {
			if err := checkExecutable(i.tool(name)); err != nil {
				return err
			}
		}
		return nil
	})
}

// RejoinControl is what pg_control says that a rejoin wants to know.
type RejoinControl struct {
	ControlData
	System    string
	Hints     bool // wal_log_hints was on
	Checksums bool
	Minimum   wal.Position // up to where a standby has to replay; zero for a primary
	Segment   uint64       // bytes of a WAL segment
}

// Clean says that the instance was shut down, and not lost.
func (c RejoinControl) Clean() bool {
	return c.State == StateShutDown || c.State == StateShutDownRecovery
}

// Rewindable says whether the pages that were changed can be told from the log alone.
func (c RejoinControl) Rewindable() bool { return c.Hints || c.Checksums }

// Replayed is how far the data go at least, on which timeline.
func (c RejoinControl) Replayed() wal.Position {
	checkpoint := wal.Position{Timeline: c.Timeline, LSN: c.Checkpoint}
	if c.Minimum.LSN > checkpoint.LSN {
		return c.Minimum
	}
	return checkpoint
}

// RejoinControl runs pg_controldata as Control does, with the same errors.
func (i *Instance) RejoinControl(ctx context.Context) (RejoinControl, error) {
	basic, err := i.Control(ctx)
	if err != nil {
		return RejoinControl{}, err
	}
	out, err := command.Run(ctx, command.Cmd{Path: i.tool("pg_controldata"), Args: []string{"-D", i.cfg.DataDir}, User: &i.cfg.User})
	if err != nil {
		return RejoinControl{}, err
	}
	return parseRejoinControl(basic, out.Stdout)
}

func parseRejoinControl(basic ControlData, output string) (RejoinControl, error) {
	r := labelReader{values: labelled(output)}
	c := RejoinControl{
		ControlData: basic, System: r.text("Database system identifier"),
		Hints: r.text("wal_log_hints setting") == "on", Checksums: r.text("Data page checksum version") != "0",
		Minimum: wal.Position{LSN: r.lsn("Minimum recovery ending location")},
	}
	if c.Minimum.LSN == 0 {
		c.Minimum = wal.Position{}
	} else {
		c.Minimum.Timeline = r.timeline("Min recovery ending loc's timeline")
	}
	segment, err := strconv.ParseUint(r.text("Bytes per WAL segment"), 10, 64)
	if err != nil && r.err == nil {
		r.fail("Bytes per WAL segment", "expected a number")
	}
	c.Segment = segment
	if r.err != nil {
		return RejoinControl{}, fmt.Errorf("%w: %w", ErrControlUnreadable, r.err)
	}
	return c, nil
}

// StoppedEnd is where the log of an instance that does not run ends: what its data have
// for certain, and how far pg_wal goes on from there. One that was not shut down will
// replay all of that before anything else.
func (i *Instance) StoppedEnd(ctx context.Context, c RejoinControl) (replayed, end wal.Position) {
	replayed = c.Replayed()
	end, _ = i.localEnd(ctx, Standing{Replayed: replayed, End: replayed}, c.Segment)
	if !c.Clean() || c.State == StateShutDown {
		replayed = end
	}
	return replayed, end
}

// Recover has PostgreSQL end the crash recovery of the new data, as pg_rewind wants them
// shut down: in single-user mode, which takes no connections, with the node's own
// configuration. It does nothing for data that are.
func (r *Rejoin) Recover(ctx context.Context) error {
	fresh := r.new()
	control, err := fresh.Control(ctx)
	if err != nil || control.State == StateShutDown || control.State == StateShutDownRecovery {
		return err
	}
	err = r.i.asUser(func() error {
		// Single-user mode refuses to be a standby, and any mode to run with a recovery.conf;
		// and the process that postmaster.pid names may be anybody by now.
		for _, name := range []string{standbySignal, "recovery.signal", "recovery.conf", "postmaster.pid"} {
			if err := os.Remove(fresh.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	options, err := SplitOptions(fresh.cfg.StartOpts)
	if err != nil {
		return err
	}
	args := append([]string{"--single", "-F", "-D", fresh.cfg.PGData}, options...)
	args = append(args, "-c", "data_directory="+fresh.cfg.DataDir, "-c", "logging_collector=off", database)
	out, err := command.Run(ctx, command.Cmd{Path: fresh.tool("postgres"), Args: args, User: &fresh.cfg.User, Dir: fresh.cfg.DataDir})
	if err == nil && out.Code != 0 {
		err = fmt.Errorf("postgres --single ended with exit code %d: %s", out.Code, complaint(out.Stderr))
	}
	return err
}

// Rewindable has pg_rewind look whether it can, and changes nothing: at the data directory,
// which has to be shut down. Its errors wrap ErrRewindNotNeeded, or have pg_rewind's words.
func (r *Rejoin) Rewindable(ctx context.Context, c Conninfo) error {
	return r.rewind(ctx, r.dir, c, 0, nil, "--dry-run")
}

// Rewind makes the new data a standby's of the server again: pg_rewind takes back what
// the server does not have, and fetches what it has instead. After any error the data are
// half-done, and nothing but a removal can be made of them.
func (r *Rejoin) Rewind(ctx context.Context, c Conninfo, stall time.Duration, told Progress) error {
	return r.rewind(ctx, filepath.Join(r.work, newData), c, stall, told, "--progress")
}

// ensureShutdownMajor is the first version whose pg_rewind runs crash recovery by itself,
// without the node's start_opts.
const ensureShutdownMajor = 13

func (r *Rejoin) rewind(ctx context.Context, dir string, c Conninfo, stall time.Duration, told Progress, more ...string) error {
	major, err := r.programMajor(ctx)
	if err != nil {
		return err
	}
	dsn, env, err := r.i.libpq(ctx, c, database, major)
	if err != nil {
		return err
	}
	args := append([]string{"--target-pgdata=" + dir, "--source-server=" + dsn}, more...)
	if major >= ensureShutdownMajor {
		args = append(args, "--no-ensure-shutdown")
	}
	tail, err := r.i.runTool(ctx, "pg_rewind", args, env, stall, told)
	switch {
	case err != nil:
		return err
	case contains(tail, saysNotNeeded):
		return ErrRewindNotNeeded
	case !contains(tail, saysDone):
		return fmt.Errorf("pg_rewind did not say that it was done, but: %s", strings.Join(tail, "; "))
	}
	return nil
}

// BaseBackup makes the new data a copy of the server's, by pg_basebackup, with the log that
// is written meanwhile. fast has the server make its checkpoint at once, and not in its own
// time.
func (r *Rejoin) BaseBackup(ctx context.Context, c Conninfo, fast bool, stall time.Duration, told Progress) error {
	major, err := r.programMajor(ctx)
	if err != nil {
		return err
	}
	dsn, env, err := r.i.libpq(ctx, c, "", major)
	if err != nil {
		return err
	}
	checkpoint := "--checkpoint=spread"
	if fast {
		checkpoint = "--checkpoint=fast"
	}
	_, err = r.i.runTool(ctx, "pg_basebackup", []string{
		"--pgdata=" + filepath.Join(r.work, newData), "--dbname=" + dsn, "--wal-method=stream", "--no-password", "--progress", checkpoint,
	}, env, stall, told)
	return err
}

// programMajor is the version of the programs: the data may be gone.
func (r *Rejoin) programMajor(ctx context.Context) (int, error) { return r.i.ProgramVersion(ctx) }

// ProgramVersion is the major version of the programs in BinDir.
func (i *Instance) ProgramVersion(ctx context.Context) (int, error) {
	out, err := command.Run(ctx, command.Cmd{Path: i.tool("postgres"), Args: []string{"--version"}, User: &i.cfg.User})
	if err != nil {
		return 0, err
	}
	return parseVersionOutput(out.Stdout)
}

func contains(lines []string, text string) bool {
	return slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, text) })
}

// progressLine is how pg_basebackup and pg_rewind tell of theirs.
var progressLine = regexp.MustCompile(`^\s*(\d+)/(\d+) kB \(\d+%\)`)

// maxTail is how many lines of a program's output are kept, the last ones.
const maxTail = 20

// runTool runs one of PostgreSQL's programs as the system user, hands its progress on, and
// returns the last lines of the rest. With a stall it is ended when it has told of no
// progress for so long. Its error has the program's own words.
func (i *Instance) runTool(ctx context.Context, name string, args, env []string, stall time.Duration, told Progress) ([]string, error) {
	reading, writing, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer reading.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	alive := func() {}
	if stall > 0 {
		watch := time.AfterFunc(stall, func() { cancel(fmt.Errorf("%s: %w for %s", name, ErrStalled, stall)) })
		defer watch.Stop()
		alive = func() { watch.Reset(stall) }
	}
	lines := make(chan []string, 1)
	go func() { lines <- follow(reading, alive, told) }()
	out, err := command.Run(ctx, command.Cmd{Path: i.tool(name), Args: args, Env: env, User: &i.cfg.User, Stdout: writing, Stderr: writing})
	writing.Close()
	_ = reading.SetReadDeadline(time.Now().Add(time.Second)) // for what it may have left running
	tail := <-lines
	switch {
	case errors.Is(context.Cause(ctx), ErrStalled):
		return tail, context.Cause(ctx)
	case err != nil:
		return tail, err
	case out.Code != 0:
		return tail, fmt.Errorf("%s ended with exit code %d: %s", name, out.Code, strings.Join(tail, "; "))
	}
	return tail, nil
}

// follow reads a program's output to its end.
func follow(output *os.File, alive func(), told Progress) (tail []string) {
	text := bufio.NewScanner(output)
	text.Split(splitLines)
	last := ""
	for text.Scan() {
		line := strings.TrimSpace(text.Text())
		m := progressLine.FindStringSubmatch(line)
		if m == nil {
			if line != "" {
				tail = append(tail, line)
				tail = tail[max(0, len(tail)-maxTail):]
			}
			continue
		}
		if m[1] != last { // one that stands is told of again and again
			last = m[1]
			alive()
		}
		if told != nil {
			done, _ := strconv.ParseUint(m[1], 10, 53)
			total, _ := strconv.ParseUint(m[2], 10, 53)
			told(done<<10, total<<10)
		}
	}
	return tail
}

// splitLines splits at line ends and at carriage returns.
func splitLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if n := bytes.IndexAny(data, "\r\n"); n >= 0 {
		return n + 1, data[:n], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}
