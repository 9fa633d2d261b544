package operator

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"pgsqlms/internal/command"
)

// logs are the places where Pacemaker and the agent leave their words.
type logs struct {
	path     string // of Pacemaker's own log; those rotated away stand beside it
	defaults []string
	journal  string // the program that reads the journal
}

func systemLogs() logs {
	return logs{
		path:     "/var/log/pacemaker/pacemaker.log",
		defaults: []string{"/etc/default/pacemaker", "/etc/sysconfig/pacemaker"},
		journal:  "/usr/bin/journalctl",
	}
}

const (
	// logsWait bounds the reading of all logs.
	logsWait = 5 * time.Second
	// logPart is, in bytes, how much of a log is read at a time, from its end. It takes a
	// tenth of a second of a processor, so that also one that is busy gets through some.
	logPart = 8 << 20
	// maxLine is, in bytes, longer than any line that matters here.
	maxLine = 1 << 20
)

// logSpan is what of the logs was read.
type logSpan struct {
	Source string     `json:"source"`
	Since  *time.Time `json:"since"` // the first line that was read; from there on all was, or the error names what was not
}

// logTaker takes a part of the logs: its lines with a time, in their order, and keep when
// it was read to its end. One that is not kept counts for nothing: what it had behind the
// last line is not known.
type logTaker struct {
	line func(at time.Time, line string)
	keep func()
}

// errTooMuch is for what was not read any more.
var errTooMuch = fmt.Errorf("the %.0f seconds that are spent on it were over", logsWait.Seconds())

// read has each part of the logs taken by one that begin makes, the newest part first: what
// is looked for has most often just happened, and a year of rotated logs takes longer to
// read than anybody waits. Its error says that there is no log to be read, or that not all
// of it was.
func (l logs) read(ctx context.Context, now time.Time, begin func() logTaker) (logSpan, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, logsWait, errTooMuch)
	defer cancel()
	r := logReader{span: logSpan{Source: l.configuredPath()}, now: now, begin: begin, most: logPart}
	errs := r.files(ctx)
	if r.span.Since != nil {
		return r.span, errors.Join(errs...)
	}
	if err := r.journal(ctx, l.journal); err != nil {
		err = fmt.Errorf("%s has nothing, and the journal cannot be read: %w", r.span.Source, err)
		return r.span, errors.Join(append(errs, err)...)
	}
	r.span.Source = "the journal"
	return r.span, errors.Join(errs...)
}

// configuredPath is Pacemaker's log file: PCMK_logfile in its environment file, else the
// default.
func (l logs) configuredPath() string {
	for _, file := range l.defaults {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			value, found := strings.CutPrefix(strings.TrimSpace(line), "PCMK_logfile=")
			if value = strings.Trim(value, `"' `); found && filepath.IsAbs(value) {
				return value
			}
		}
	}
	return l.path
}

// rotated are a log and those that logrotate has put beside it, the oldest first. Of a
// directory that cannot be listed it is the log alone, with the reason.
func rotated(path string) (files []string, err error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return []string{path}, err
	}
	base := filepath.Base(path)
	modified := map[string]time.Time{}
	for _, entry := range entries {
		rest, ours := strings.CutPrefix(entry.Name(), base)
		if !ours || rest != "" && rest[0] != '.' && rest[0] != '-' {
			continue
		}
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			name := filepath.Join(filepath.Dir(path), entry.Name())
			modified[name] = info.ModTime()
			files = append(files, name)
		}
	}
	slices.SortFunc(files, func(a, b string) int { return modified[a].Compare(modified[b]) })
	return files, nil
}

// logReader reads the parts of the logs.
type logReader struct {
	span  logSpan
	now   time.Time
	begin func() logTaker
	most  int64 // bytes of a part
	lines *bufio.Reader
}

// files reads the log and those that were rotated away. A file that is gone is no error.
func (r *logReader) files(ctx context.Context) (errs []error) {
	note := func(err error) {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	files, err := rotated(r.span.Source)
	note(err)
	for _, file := range slices.Backward(files) {
		err := r.file(ctx, file)
		if over := context.Cause(ctx); over != nil && errors.Is(err, over) {
			return append(errs, fmt.Errorf("%s, and what is older than it: %w", file, over))
		}
		note(err)
	}
	return errs
}

// file reads one, packed by gzip or not. The directory is hacluster's: a link is not
// followed, and the writer of a pipe not waited for.
func (r *logReader) file(ctx context.Context, path string) error {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: not a regular file", path)
	}
	newest := info.ModTime()
	if newest.After(r.now) {
		newest = r.now
	}
	switch filepath.Ext(path) {
	case ".gz":
		text, packedErr := gzip.NewReader(f)
		if err = packedErr; err == nil {
			err = r.part(ctx, text, 0, math.MaxInt64, newest)
		}
	case ".xz", ".bz2", ".zst":
		return fmt.Errorf("%s: is packed in a way that is not read here", path)
	default:
		err = r.backwards(ctx, f, info.Size(), newest)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// backwards reads a file in parts, from its end.
func (r *logReader) backwards(ctx context.Context, f io.ReaderAt, size int64, newest time.Time) error {
	for end := size; end > 0; {
		from := max(end-r.most, 0)
		before := min(from, 1) // the byte that says whether a line begins there
		text := io.NewSectionReader(f, from-before, size-from+before)
		if err := r.part(ctx, text, before, end-from+before, newest); err != nil {
			return err
		}
		end = from
	}
	return nil
}

// part has the lines taken that begin from that byte of the text on, and before the other.
func (r *logReader) part(ctx context.Context, text io.Reader, from, end int64, newest time.Time) error {
	if r.lines == nil {
		r.lines = bufio.NewReaderSize(nil, maxLine)
	}
	r.lines.Reset(text)
	t := r.begin()
	var since *time.Time
	err := eachLine(ctx, r.lines, from, end, func(line string) {
		at, ok := stampOf(line, newest)
		if !ok {
			return
		}
		if since == nil || at.Before(*since) {
			since = &at
		}
		t.line(at, line)
	})
	if err != nil && errors.Is(err, context.Cause(ctx)) {
		return err
	}
	t.keep()
	if since != nil && (r.span.Since == nil || since.Before(*r.span.Since)) {
		r.span.Since = since
	}
	return err
}

// eachLine leaves out a line of more than maxLine, such as the hole that a crash of the
// machine leaves in a file.
func eachLine(ctx context.Context, lines *bufio.Reader, from, end int64, do func(line string)) error {
	whole := from == 0 // what is read next is a line from its begin on
	at := int64(0)
	for n := 0; at < end; n++ {
		if (n%1000 == 0 || !whole) && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		line, err := lines.ReadSlice('\n')
		at += int64(len(line))
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			whole = false
			continue
		case err != nil && !errors.Is(err, io.EOF):
			return err
		}
		if whole {
			do(string(bytes.TrimRight(line, "\r\n")))
		}
		if err != nil {
			return nil
		}
		whole = true
	}
	return nil
}

// journal is for where Pacemaker keeps no file of its own. What it writes there is less:
// the record's changes are known from the agent's own lines only.
func (r *logReader) journal(ctx context.Context, program string) error {
	if _, err := os.Stat(program); err != nil {
		return err
	}
	out, err := command.Run(ctx, command.Cmd{Path: program, Args: []string{
		"--quiet", "--no-pager", "--output=short-unix", "--since=-90days", "SYSLOG_FACILITY=3", // daemon; --facility is younger than EL 8's systemd
		`--grep=Result of (start|stop|promote|demote|notify)|Requesting (local execution|fencing)|Operation '\w+' targeting|state is now lost|` +
			`Setting (fail-count|shutdown|master-)|record of its timelines|diverged: left|` + strings.Join(sayings, "|"),
	}})
	if err != nil {
		return err
	}
	if out.Code > 1 { // 1: nothing was found
		return fmt.Errorf("%s ended with exit code %d: %s", program, out.Code, command.FirstLine(out.Stderr))
	}
	return r.part(ctx, strings.NewReader(out.Stdout), 0, math.MaxInt64, r.now)
}
