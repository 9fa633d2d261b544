package operator

import (
	"bufio"
	"bytes"
	"cmp"
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
	"sync"
	"syscall"
	"time"

	"pgsqlms/internal/command"
	"pgsqlms/internal/crm"
)

// logs are the places where Pacemaker and the agent leave their words.
type logs struct {
	path     string // of Pacemaker's own log; those rotated away stand beside it
	defaults []string
	journal  string // the program that reads the journal
	hung     *hung
}

func systemLogs() logs {
	return logs{
		path:     "/var/log/pacemaker/pacemaker.log",
		defaults: []string{"/etc/default/pacemaker", "/etc/sysconfig/pacemaker"},
		journal:  "/usr/bin/journalctl",
		hung:     &hung{},
	}
}

const (
	// logsWait bounds the reading of all logs.
	logsWait = 5 * time.Second
	// logPart is, in bytes, how much of a log is read at a time, from its end. It takes a
	// tenth of a second of a processor, so that also one that is busy gets through some.
	logPart = 8 << 20
	// journalPart is the same of the journal, whose lines are held until they are in order.
	journalPart = 1 << 20
	// maxLine is, in bytes, longer than any line that matters here.
	maxLine = 1 << 20
)

// logSpan is what of the logs was read.
type logSpan struct {
	Source string     `json:"source"`
	Since  *time.Time `json:"since"` // the first line that was read; from there on all was, or the error names what was not
}

// theJournal is its name in what is said.
const theJournal = "the journal"

// logTaker takes a part of the logs: its lines with a time, in their order, and keep when
// it was read to its end. One that is not kept counts for nothing: what it had behind the
// last line is not known.
type logTaker struct {
	line func(at time.Time, line string)
	keep func()
}

// errTooMuch is for what was not read any more.
var errTooMuch = fmt.Errorf("the %.0f seconds that are spent on it were over", logsWait.Seconds())

// errSilent is for a journal with nothing in it that could be of use.
var errSilent = errors.New("no line of Pacemaker's or of the agent's is in it (PCMK_logfacility says where Pacemaker's go)")

// logWanted is what the logs are read for.
type logWanted struct {
	now      time.Time
	promoted time.Time // the last promotion of which the CIB knows; zero for none
	resource string
}

// read has each part of the logs taken by one that begin makes, the newest part first: what
// is looked for has most often just happened, and a year of rotated logs takes longer to
// read than anybody waits. Its error says that there is no log to be read, or that not all
// of it was. The journal is read where there is no file, and what it has behind the last
// line of one in which a promotion is missing: every node's log has every promotion.
func (l logs) read(ctx context.Context, wanted logWanted, begin func() logTaker) (logSpan, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, logsWait, errTooMuch)
	defer cancel()
	path := l.configuredPath()
	r := newLogReader(wanted.now, begin, logPart)
	err := l.within(ctx, r, filepath.Dir(path), func() error { return r.files(ctx, path) })
	why, from := "Pacemaker keeps no log file (PCMK_logfile=none)", "-90days"
	switch {
	case r.since != nil && !r.newest.Add(clockError).Before(wanted.promoted): // the CIB has it by that node's clock
		r.deliver()
		return logSpan{path, r.since}, err
	case ctx.Err() != nil:
		r.deliver()
		return logSpan{path, r.since}, cmp.Or(err, context.Cause(ctx))
	case r.since != nil:
		why = fmt.Sprintf("%s ends at %s, before the last promotion", path, timeText(r.newest))
		from = fmt.Sprintf("@%d", r.newest.Unix()+1)
	case path != "":
		why = path + " has nothing"
	}
	j := newLogReader(wanted.now, begin, journalPart)
	journalErr := l.within(ctx, j, l.journal, func() error { return j.journal(ctx, l.journal, wanted.resource, from) })
	j.deliver() // what it has is newer
	r.deliver()
	switch {
	case j.since == nil:
		journalErr = fmt.Errorf("%s, and the journal cannot be read: %w", why, cmp.Or(journalErr, errSilent))
		return logSpan{path, r.since}, errors.Join(err, journalErr)
	case r.since == nil:
		return logSpan{theJournal, j.since}, errors.Join(err, journalErr)
	}
	return logSpan{path + " and " + theJournal, r.since}, errors.Join(err, journalErr)
}

// within gives reading up that stands still on storage that hangs. What was read before
// counts.
func (l logs) within(ctx context.Context, r *logReader, where string, read func() error) error {
	_, err := within(ctx, l.hung, where, func() (struct{}, error) { return struct{}{}, read() })
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	return err
}

// configuredPath is Pacemaker's log file: PCMK_logfile in its environment file, else the
// default; empty where that says that there is none. As for systemd, the last one counts.
func (l logs) configuredPath() string {
	for _, file := range l.defaults {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		path, told := "", false
		for line := range strings.Lines(string(text)) {
			value, found := strings.CutPrefix(strings.TrimSpace(line), "PCMK_logfile=")
			value = strings.Trim(value, `"' `)
			switch {
			case !found:
			case strings.EqualFold(value, "none"), value == os.DevNull:
				path, told = "", true
			case filepath.IsAbs(value):
				path, told = value, true
			}
		}
		if told {
			return path
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

// logReader reads the parts of the logs. It may be given up where it stands: from then on
// it changes nothing.
type logReader struct {
	now   time.Time
	begin func() logTaker
	most  int64 // bytes of a part
	lines *bufio.Reader

	mu     sync.Mutex
	over   bool
	kept   []func()   // of the parts that count, the newest first
	since  *time.Time // of the oldest line in them; nil without any
	newest time.Time
}

func newLogReader(now time.Time, begin func() logTaker, part int64) *logReader {
	return &logReader{now: now, begin: begin, most: part, lines: bufio.NewReaderSize(nil, maxLine)}
}

// deliver has the parts kept by who takes them. Only who has ended the reading calls it.
func (r *logReader) deliver() {
	for _, keep := range r.kept {
		keep()
	}
}

// taking is a part that is being taken.
type taking struct {
	logTaker
	since, newest time.Time // zero without a line
}

func (t *taking) take(line string, latest time.Time) {
	at, ok := stampOf(line, latest)
	if !ok {
		return
	}
	if t.since.IsZero() || at.Before(t.since) {
		t.since = at
	}
	if at.After(t.newest) {
		t.newest = at
	}
	t.line(at, line)
}

// keep is for a part that counts.
func (r *logReader) keep(t taking) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	r.kept = append(r.kept, t.keep)
	if t.since.IsZero() {
		return
	}
	if r.since == nil || t.since.Before(*r.since) {
		r.since = &t.since
	}
	if t.newest.After(r.newest) {
		r.newest = t.newest
	}
}

// files reads the log and those that were rotated away. A file that is gone is no error.
func (r *logReader) files(ctx context.Context, path string) error {
	if path == "" {
		return nil
	}
	var errs []error
	note := func(err error) {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	files, err := rotated(path)
	note(err)
	for _, file := range slices.Backward(files) {
		err := r.file(ctx, file)
		if over := context.Cause(ctx); over != nil && errors.Is(err, over) {
			note(fmt.Errorf("%s, and what is older than it: %w", file, over))
			break
		}
		note(err)
	}
	return errors.Join(errs...)
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
	r.lines.Reset(text)
	t := taking{logTaker: r.begin()}
	err := eachLine(ctx, r.lines, from, end, func(line string, _ bool) { t.take(line, newest) })
	if err != nil && errors.Is(err, context.Cause(ctx)) {
		return err
	}
	r.keep(t)
	return err
}

// eachLine says of each line whether it has an end: the last one may be cut. It leaves out a
// line of more than maxLine, such as the hole that a crash of the machine leaves in a file.
func eachLine(ctx context.Context, lines *bufio.Reader, from, end int64, do func(line string, ended bool)) error {
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
			do(string(bytes.TrimRight(line, "\r\n")), err == nil)
		}
		if err != nil {
			return nil
		}
		whole = true
	}
	return nil
}

// journalWords are those of the lines of which something is made. What Pacemaker writes
// there is less than in its file: the record's changes are known from the agent's own lines
// only.
var journalWords = `Result of (start|stop|promote|demote|notify)|Requesting (local execution|fencing)|Operation '\w+' targeting|state is now lost|` +
	`Setting (fail-count|shutdown|master-)|Starting Pacemaker |record of its timelines|diverged: left|` + strings.Join(sayings, "|")

// journalArgs ask for the newest lines first. They are known by who wrote them, as the
// facility is up to PCMK_logfacility: Pacemaker's daemons, and the agent, for which the
// executor writes where Pacemaker has neither a file nor a facility.
func journalArgs(resource, since string) []string {
	args := []string{"--quiet", "--no-pager", "--reverse", "--output=short-unix", "--since=" + since, "--grep=" + journalWords}
	for _, name := range []string{"pacemakerd", "pacemaker-attrd", "pacemaker-based", "pacemaker-controld", "pacemaker-execd", "pacemaker-fenced",
		"pacemaker-schedulerd", crm.AgentType + "(" + resource + ")"} {
		args = append(args, "--identifier="+name)
	}
	return args
}

// journal is for where Pacemaker keeps no file of its own. Its lines are read as they come:
// when the time is over they are all there is from the oldest of them on.
func (r *logReader) journal(ctx context.Context, program, resource, since string) error {
	if _, err := os.Stat(program); err != nil {
		return err
	}
	lines, out, err := os.Pipe()
	if err != nil {
		return err
	}
	defer lines.Close()
	stop := context.AfterFunc(ctx, func() { _ = lines.SetReadDeadline(time.Now()) }) // others may hold the pipe
	defer stop()
	ended := make(chan error, 1)
	go func() {
		defer out.Close()
		result, err := command.Run(ctx, command.Cmd{Path: program, Args: journalArgs(resource, since), Stdout: out})
		if text := command.FirstLine(result.Stderr); err == nil && result.Code != 0 && text != "" { // else nothing was found
			err = fmt.Errorf("%s ended with exit code %d: %s", program, result.Code, text)
		}
		ended <- err
	}()
	err = r.newestFirst(ctx, lines)
	err = cmp.Or(<-ended, err)
	if over := context.Cause(ctx); over != nil && err != nil {
		err = over
	}
	if err != nil && r.since != nil {
		return fmt.Errorf("%s before %s: %w", theJournal, timeText(*r.since), err)
	}
	return err
}

// newestFirst has lines taken that come in reverse, until they end, whatever ends them. One
// that is cut then is none.
func (r *logReader) newestFirst(ctx context.Context, text io.Reader) error {
	r.lines.Reset(text)
	var part []string
	size := int64(0)
	err := eachLine(ctx, r.lines, 0, math.MaxInt64, func(line string, ended bool) {
		if !ended {
			return
		}
		if size >= r.most {
			r.inOrder(part)
			part, size = nil, 0
		}
		part = append(part, line)
		size += int64(len(line))
	})
	r.inOrder(part)
	return err
}

// inOrder has lines taken the other way round.
func (r *logReader) inOrder(lines []string) {
	t := taking{logTaker: r.begin()}
	for _, line := range slices.Backward(lines) {
		t.take(line, r.now)
	}
	r.keep(t)
}
