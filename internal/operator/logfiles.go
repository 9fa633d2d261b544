package operator

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
	// maxLogBytes is how much of one log is read, from its end: days of the usual
	// level, hours of debug.
	maxLogBytes = 256 << 20
	// maxLine is, in bytes, longer than any line that matters here.
	maxLine = 1 << 20
)

// logSpan is what of the logs was read.
type logSpan struct {
	Source string     `json:"source"`
	Since  *time.Time `json:"since"` // the first line that was read
}

// read gives every line with a time to found, the older files first. Its error says that
// there is no log to be read, or that not all of it was.
func (l logs) read(ctx context.Context, now time.Time, found func(at time.Time, line string)) (logSpan, error) {
	ctx, cancel := context.WithTimeout(ctx, logsWait)
	defer cancel()
	path := l.configuredPath()
	span := logSpan{Source: path}
	take := func(at time.Time, line string) {
		if span.Since == nil || at.Before(*span.Since) {
			span.Since = &at
		}
		found(at, line)
	}
	files := rotated(path)
	var errs []error
	for _, file := range files {
		if err := readLog(ctx, file, now, take); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	if span.Since != nil {
		return span, errors.Join(errs...)
	}
	if err := l.readJournal(ctx, take); err != nil {
		return span, errors.Join(append(errs, err)...)
	}
	span.Source = "the journal"
	return span, nil
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

// rotated are a log and those that logrotate has put beside it, the oldest first.
func rotated(path string) (files []string) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return []string{path}
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
	return files
}

// readLog reads one file, packed by gzip or not. The directory is hacluster's: a link is
// not followed, and the writer of a pipe not waited for.
func readLog(ctx context.Context, path string, now time.Time, found func(time.Time, string)) error {
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
	var text io.Reader = f
	switch filepath.Ext(path) {
	case ".gz":
		if text, err = gzip.NewReader(f); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		text = io.LimitReader(text, maxLogBytes)
	case ".xz", ".bz2", ".zst":
		return fmt.Errorf("%s: is packed in a way that is not read here", path)
	default:
		if _, err := f.Seek(max(info.Size()-maxLogBytes, 0), io.SeekStart); err != nil {
			return err
		}
	}
	newest := info.ModTime()
	if newest.After(now) {
		newest = now
	}
	if err := eachLine(ctx, text, newest, found); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func eachLine(ctx context.Context, text io.Reader, newest time.Time, found func(time.Time, string)) error {
	lines := bufio.NewScanner(text)
	lines.Buffer(nil, maxLine)
	for n := 0; lines.Scan(); n++ {
		if n%1000 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if at, ok := stampOf(lines.Text(), newest); ok {
			found(at, lines.Text())
		}
	}
	return lines.Err()
}

// readJournal is for where Pacemaker keeps no file of its own. What it writes there is
// less: the record's changes are known from the agent's own lines only.
func (l logs) readJournal(ctx context.Context, found func(time.Time, string)) error {
	if _, err := os.Stat(l.journal); err != nil {
		return err
	}
	out, err := command.Run(ctx, command.Cmd{Path: l.journal, Args: []string{
		"--quiet", "--no-pager", "--output=short-unix", "--since=-90days", "--facility=daemon",
		`--grep=Result of (start|stop|promote|demote|notify)|Requesting (local execution|fencing)|Operation '\w+' targeting|state is now lost|` +
			`Setting (fail-count|shutdown|master-)|record of its timelines|diverged: left|` + strings.Join(sayings, "|"),
	}})
	if err != nil {
		return err
	}
	if out.Code > 1 { // 1: nothing was found
		return fmt.Errorf("%s ended with exit code %d: %s", l.journal, out.Code, command.FirstLine(out.Stderr))
	}
	return eachLine(ctx, strings.NewReader(out.Stdout), time.Now(), found)
}
