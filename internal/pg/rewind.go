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
	"slices"
	"strconv"
	"strings"
	"time"

	"pgsqlms/internal/command"
	"pgsqlms/internal/pattern"
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

// ErrDamaged says that a file of the data is missing, or has not the contents that
// PostgreSQL gives it. Any other failure to read them says nothing about the data: they may
// be whole on a disk that is slow, fails, or is not mounted.
var ErrDamaged = errors.New("the data are damaged")

// damage is an error that is ErrDamaged, in its own words.
type damage struct{ error }

func (d damage) Is(target error) bool { return target == ErrDamaged }
func (d damage) Unwrap() error        { return d.error }

// RejoinVersion is Version, whose errors wrap ErrDamaged where PG_VERSION, or the directory
// itself, is not there, or is nothing of PostgreSQL's.
func (i *Instance) RejoinVersion() (int, error) {
	major, err := i.Version()
	if errors.Is(err, ErrDataDirMissing) || errors.Is(err, ErrVersionMissing) || errors.Is(err, ErrVersionGarbage) {
		err = damage{err}
	}
	return major, err
}

// controlSize is that of pg_control in bytes, from 12 to 18 (PG_CONTROL_FILE_SIZE in pg_control.h).
const controlSize = 8192

// judgeControl says whether an error of Control is about the file, and not about the reading
// of it: pg_controldata's exit code is the same for both.
func (i *Instance) judgeControl(err error) error {
	if errors.Is(err, ErrControlCRC) {
		return damage{err}
	}
	if !errors.Is(err, ErrControlUnreadable) {
		return err
	}
	text, readErr := i.readFile("global/pg_control", maxSmallFile)
	if errors.Is(readErr, fs.ErrNotExist) || readErr == nil && len(text) != controlSize {
		return damage{err}
	}
	return err
}

// RejoinControl runs pg_controldata as Control does, with the same errors, which wrap
// ErrDamaged where they are about the file itself.
func (i *Instance) RejoinControl(ctx context.Context) (RejoinControl, error) {
	basic, err := i.Control(ctx)
	if err != nil {
		return RejoinControl{}, i.judgeControl(err)
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
	if c.Segment == 0 {
		r.fail(labelSegment, "expected a number")
	}
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
// configuration. It does nothing for data that are. What it writes is not put on disk: a
// copy that the node's loss has caught is thrown away.
func (r *Rejoin) Recover(ctx context.Context) error { return r.recover(ctx, r.new(), false) }

// RecoverInPlace does the same with the data directory, after Begin and before Take: nothing
// is lost by it, and what is broken off here goes on at the next start.
func (r *Rejoin) RecoverInPlace(ctx context.Context) error {
	if err := r.nothingRuns(); err != nil {
		return err
	}
	return r.recover(ctx, r.i, true)
}

func (r *Rejoin) recover(ctx context.Context, fresh *Instance, inPlace bool) error {
	control, err := fresh.Control(ctx)
	if err != nil || control.State == StateShutDown || control.State == StateShutDownRecovery {
		return err
	}
	standby, err := fresh.StandbySignal()
	if err != nil {
		return err
	}
	err = r.i.asUser(func() error {
		if inPlace && standby { // a kill from here on leaves none, see putSignalBack
			if err := r.i.createOnce(filepath.Join(r.work, noteStandby), ""); err != nil {
				return err
			}
		}
		// Single-user mode refuses to be a standby, and any mode to run with a recovery.conf;
		// and the process that postmaster.pid names may be anybody by now.
		for _, name := range []string{standbySignal, "recovery.signal", "recovery.conf", "postmaster.pid"} {
			if err := os.Remove(fresh.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = fresh.singleUser(ctx, inPlace)
	}
	if standby { // nobody who starts it by hand gets a primary
		err = errors.Join(err, r.i.asUser(fresh.createSignal))
	}
	if inPlace {
		err = errors.Join(err, r.i.asUser(r.putSignalBack))
	}
	return err
}

// singleUser starts PostgreSQL for one user, who says nothing. Only with lasting is what it
// writes on disk when its checkpoint says so.
func (i *Instance) singleUser(ctx context.Context, lasting bool) error {
	options, err := SplitOptions(i.cfg.StartOpts)
	if err != nil {
		return err
	}
	args := []string{"--single", "-D", i.cfg.PGData}
	if !lasting {
		args = append(args, "-F")
	}
	args = append(args, options...)
	args = append(args, "-c", "data_directory="+i.cfg.DataDir, "-c", "logging_collector=off", database)
	out, err := command.Run(ctx, command.Cmd{Path: i.tool("postgres"), Args: args, User: &i.cfg.User, Dir: i.cfg.DataDir})
	if err == nil && out.Code != 0 {
		err = fmt.Errorf("postgres --single ended with exit code %d: %s", out.Code, complaint(out.Stderr))
	}
	return err
}

// Rewindable has pg_rewind look whether it can, and changes nothing: at the data directory,
// which has to be shut down. Its errors are those of Rewind, and wrap ErrRewindNotNeeded.
func (r *Rejoin) Rewindable(ctx context.Context, c Conninfo, stall time.Duration) error {
	_, err := r.rewind(ctx, r.dir, c, stall, nil, "--dry-run")
	return err
}

// Rewind makes the new data a standby's of the server again: pg_rewind takes back what
// the server does not have, and fetches what it has instead. It is ended when it tells of
// no progress for so long. After any error the new data are half-done, and nothing but a
// removal can be made of them; unless they are the data directory itself (Take), and
// pg_rewind has not come to changing them: then they are as whole as they were. Errors wrap
// ErrStalled, ErrRewindNotNeeded or ErrConnectionLost, or have pg_rewind's words.
func (r *Rejoin) Rewind(ctx context.Context, c Conninfo, stall time.Duration, told Progress) error {
	whole := false
	err := r.i.asUser(func() error {
		whole = isWhole(r.work)
		return r.unmark()
	})
	if err != nil {
		return err
	}
	changed, err := r.rewind(ctx, filepath.Join(r.work, newData), c, stall, told, "--progress")
	if err != nil && whole && !changed {
		err = errors.Join(err, r.i.asUser(r.mark))
	}
	return err
}

// ensureShutdownMajor is the first version whose pg_rewind runs crash recovery by itself,
// without the node's start_opts.
const ensureShutdownMajor = 13

// rewind says besides whether pg_rewind may have changed something.
func (r *Rejoin) rewind(ctx context.Context, dir string, c Conninfo, stall time.Duration, told Progress, more ...string) (changed bool, err error) {
	major, err := r.programMajor(ctx)
	if err != nil {
		return false, err
	}
	dsn, env, err := r.i.libpq(ctx, c, database, major)
	if err != nil {
		return false, err
	}
	args := append([]string{"--target-pgdata=" + dir, "--source-server=" + dsn}, more...)
	if major >= ensureShutdownMajor {
		args = append(args, "--no-ensure-shutdown")
	}
	at := r.i
	if dir != r.dir {
		at = r.new()
	}
	args = append(args, at.restoreArgs(ctx, major)...)
	said, err := r.i.runTool(ctx, "pg_rewind", args, env, stall, told)
	switch {
	case err != nil:
		return said.working || !said.whole, err
	case contains(said.tail, saysNotNeeded):
		return said.working, ErrRewindNotNeeded
	case !contains(said.tail, saysDone):
		return true, fmt.Errorf("pg_rewind did not say that it was done, but: %s", strings.Join(said.tail, "; "))
	}
	return true, nil
}

// The first versions of pg_rewind that restore from an archive what pg_wal has not got any
// more, and that do so with a configuration outside of the data directory.
const (
	restoreTargetMajor = 13
	configFileMajor    = 15
)

// settingsWait bounds what is asked of the configuration, which takes some ten milliseconds.
const settingsWait = 10 * time.Second

// restoreArgs let pg_rewind use restore_command, where there is one.
func (i *Instance) restoreArgs(ctx context.Context, major int) []string {
	const restore, config = "restore_command", "config_file"
	ctx, cancel := context.WithTimeout(ctx, settingsWait)
	defer cancel()
	settings, err := i.Settings(ctx, restore, config)
	switch {
	case err != nil, settings[restore] == "", major < restoreTargetMajor: // it goes without
		return nil
	case settings[config] == i.path("postgresql.conf"):
		return []string{"--restore-target-wal"}
	case major < configFileMajor:
		return nil
	}
	return []string{"--restore-target-wal", "--config-file=" + settings[config]}
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
	if err := r.i.asUser(r.unmark); err != nil {
		return err
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
var progressLine = pattern.New(`^\s*(\d+)/(\d+) kB \(\d+%\)`)

// maxTail is how many lines of a program's output are kept, the last ones.
const maxTail = 20

// toolOutput is what a program has said.
type toolOutput struct {
	tail    []string // the last lines, without those of progress
	working bool     // it has said that it begins with its work, see saysBegins
	whole   bool     // it was read to its end
}

// saysBegins is what pg_rewind says under --progress, from 12 to 18, when it has looked at
// everything and has changed nothing yet: "this is the point of no return" in pg_rewind.c.
const saysBegins = "need to copy"

// ErrConnectionLost says that a program could not connect to the server, or lost the
// connection, or was thrown out. That says nothing about the data.
var ErrConnectionLost = errors.New("the connection to the server failed")

// connectionTrouble are libpq's words for it, from 12 to 18, and how the server's last
// message begins.
var connectionTrouble = []string{
	"could not connect to server", "connection to server", "server closed the connection", "no connection to the server", "connection pointer is NULL",
	"could not receive data from server", "could not send data to server", "could not translate host name", "SSL error", "SSL SYSCALL error",
	"timeout expired", "terminating connection", "FATAL:",
}

// runTool runs one of PostgreSQL's programs as the system user, and hands its progress on.
// It is ended when it has told of no progress for so long, which wraps ErrStalled. Its
// error has the program's own words, and wraps ErrConnectionLost where they are of that.
func (i *Instance) runTool(ctx context.Context, name string, args, env []string, stall time.Duration, told Progress) (toolOutput, error) {
	reading, writing, err := os.Pipe()
	if err != nil {
		return toolOutput{whole: true}, err
	}
	defer reading.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(stall, func() { cancel(fmt.Errorf("%s: %w for %s", name, ErrStalled, stall)) })
	defer watch.Stop()
	output := make(chan toolOutput, 1)
	go func() { output <- follow(reading, func() { watch.Reset(stall) }, told) }()
	out, err := command.Run(ctx, command.Cmd{Path: i.tool(name), Args: args, Env: env, User: &i.cfg.User, Stdout: writing, Stderr: writing})
	writing.Close()
	_ = reading.SetReadDeadline(time.Now().Add(outputWait))
	said := <-output
	switch {
	case errors.Is(context.Cause(ctx), ErrStalled):
		return said, context.Cause(ctx)
	case err != nil:
		return said, err
	case out.Code != 0 && slices.ContainsFunc(connectionTrouble, func(words string) bool { return contains(said.tail, words) }):
		return said, fmt.Errorf("%w: %s ended with exit code %d: %s", ErrConnectionLost, name, out.Code, strings.Join(said.tail, "; "))
	case out.Code != 0:
		return said, fmt.Errorf("%s ended with exit code %d: %s", name, out.Code, strings.Join(said.tail, "; "))
	}
	return said, nil
}

// outputWait is for the output of a program that has ended and has left something running,
// which still has the pipe: what is in that is read at once.
const outputWait = time.Second

// follow reads a program's output to its end.
func follow(output *os.File, alive func(), told Progress) (said toolOutput) {
	text := bufio.NewScanner(output)
	text.Split(splitLines)
	last := ""
	for text.Scan() {
		line := strings.TrimSpace(text.Text())
		m := progressLine.FindStringSubmatch(line)
		if said.working = said.working || m != nil || strings.Contains(line, saysBegins); m == nil {
			if line != "" {
				said.tail = append(said.tail, line)
				said.tail = said.tail[max(0, len(said.tail)-maxTail):]
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
	said.whole = text.Err() == nil
	return said
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
