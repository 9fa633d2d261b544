package operator

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"pgsqlms/internal/crm"
	"pgsqlms/internal/pg"
	"pgsqlms/internal/wal"
)

// files are a node's history files: of the last timeline with all its ancestors, and the
// times at which each file was written there.
func files(t *testing.T, last wal.Timeline, text string, written ...string) (found []pg.HistoryFile) {
	t.Helper()
	h, err := wal.ParseHistory(last, text)
	require.NoError(t, err)
	for n, a := range written {
		at, err := time.Parse(time.DateTime, a)
		require.NoError(t, err)
		one := wal.History{Timeline: last, Ancestors: h.Ancestors[:n+1]}
		if n+1 < len(h.Ancestors) {
			one.Timeline = h.Ancestors[n+1].Timeline
		}
		found = append(found, pg.HistoryFile{History: one, Modified: at})
	}
	return found
}

// logged is what a log of the lab tells, read as it stands on a node.
func logged(t *testing.T, f *pastSurvey, name string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata/logs", name))
	require.NoError(t, err)
	l := logs{path: filepath.Join(t.TempDir(), "pacemaker.log")}
	require.NoError(t, os.WriteFile(l.path, text, 0o600))
	require.NoError(t, os.Chtimes(l.path, f.taken, f.taken))
	f.readLog(t.Context(), l, true)
	require.NoError(t, f.logErr)
	f.span.Source = "pacemaker.log"
}

// pasts are situations in which somebody asks for the past.
func pasts(t *testing.T) map[string]pastSurvey {
	t.Helper()
	// n1 was promoted, crashed, was recovered; then its node died and n2 was promoted.
	const three = "1\t0/1742110\tno recovery target specified\n\n2\t0/175E9C0\tno recovery target specified\n\n3\t0/175EAA0\tx\n"
	full := pastSurvey{survey: captured(t, "after", "n2")}
	full.files = files(t, 4, three, "2026-11-21 14:03:31", "2026-11-21 14:04:37", "2026-11-21 14:04:53")
	logged(t, &full, "n2.log")

	noLog := pastSurvey{survey: captured(t, "after", "n2"), logErr: os.ErrPermission}
	noLog.files = full.files

	// Asked on n1, which was cut off and has come back diverged.
	diverged := pastSurvey{survey: captured(t, "diverged", "n1")}
	diverged.files = files(t, 3, "1\t0/1742110\tx\n2\t0/1742228\tx\n", "2026-11-21 14:23:28", "2026-11-21 14:24:18")
	logged(t, &diverged, "n1-diverged.log")

	// A number that was left out, a timeline begun by hand, a file that is damaged.
	odd := pastSurvey{survey: onDisk(t, "n3")}
	odd.files = append(files(t, 4, three, "2026-11-21 14:03:31", "2026-11-21 14:04:37", "2026-11-21 14:04:53"),
		pg.HistoryFile{History: wal.History{Timeline: 5}, Skipped: true, Modified: odd.taken},
		pg.HistoryFile{History: wal.History{Timeline: 6, Ancestors: []wal.Ancestor{{Timeline: 2, End: 0x1750000}}}, Modified: odd.taken},
		pg.HistoryFile{History: wal.History{Timeline: 7}, Err: errors.New("not a regular file")})

	empty := pastSurvey{survey: captured(t, "healthy", "n1"), filesErr: os.ErrPermission, logErr: os.ErrNotExist}
	empty.cib.Properties = map[string]string{}

	return map[string]pastSurvey{"full": full, "no-log": noLog, "diverged": diverged, "odd": odd, "nothing": empty}
}

func TestHistoryOfEachPast(t *testing.T) {
	for name, f := range pasts(t) {
		t.Run(name, func(t *testing.T) {
			text := history(f).text(style{columns: leastColumns})
			golden(t, "history/"+name+".txt", text)
			require.NotContains(t, text, "\x1b")
		})
	}
}

func TestHistoryAsJSON(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, writeJSON(&call{Process: Process{Stdout: &out}}, history(pasts(t)["full"])))
	golden(t, "history/full.json", out.String())
	require.True(t, json.Valid(out.Bytes()))
}

func TestReadEvents(t *testing.T) {
	r := eventReader{
		resource: crm.Resource{Name: "pgsqld", Clone: "pgsqld-clone"},
		nodeOfID: nodeIDs{"1": "n1"}.get,
	}
	for line, want := range map[string]logEvent{
		"Nov 21 14:04:53.158 n2 pacemaker-controld  [64] (log_executor_event) \tnotice: Result of promote operation for pgsqld on n2: ok | CIB update 37":        {kind: eventPromoted, node: "n2"},
		"Nov 21 14:04:53 n2 pacemaker-controld  [64] (process_lrm_event) notice: Result of promote operation for pgsqld on n2: 0 (ok) | call=42":                 {kind: eventPromoted, node: "n2"},
		"x notice: Operation 'reboot' targeting n1 on n2 for pacemaker-controld.58@n3.c30efcf7: OK":                                                              {kind: eventFenced, node: "n1", text: "reboot"},
		"x notice: Setting fail-count-pgsqld#monitor_15000[n1]: (unset) -> 1 | from n3 with no write delay":                                                      {kind: eventFailed, node: "n1", text: "monitor"},
		"x notice: Setting shutdown[n1]: (unset) -> 1795269808 | from n1":                                                                                        {kind: eventShutdown, node: "n1"},
		`x info: ++ /cib/configuration/nodes/node[@id='1']/instance_attributes[@id='nodes-1']:  <nvpair id="nodes-1-standby" name="standby" value="on"/>`:        {kind: eventStandby, node: "n1"},
		`x info: ++ /cib/configuration/constraints:  <rsc_location id="cli-prefer-pgsqld-clone" rsc="pgsqld-clone" role="Promoted" node="n2" score="INFINITY"/>`: {kind: eventMoved, text: "cli-prefer-pgsqld-clone"},
		"pgsqlms(pgsqld)[5]:\tNov 21 14:04:52 INFO: switchover: this node is the candidate, with WAL up to 0/1 on timeline 3":                                    {kind: eventKindOf, text: "switchover"},
		"pgsqlms(pgsqld)[5]:\tNov 21 14:04:52 INFO: n2 alone votes, with WAL up to 0/1 on timeline 3; 40 bytes that were written after that may be lost":         {kind: eventOutcome, node: "n2", bytes: 40},
		"pgsqlms(pgsqld)[5]:\tNov 21 14:04:52 ERROR: diverged: left timeline 2 at 0/1742228, 162472 bytes of WAL beyond it are not the primary's, in /d": {
			kind: eventDiverged, left: wal.Position{Timeline: 2, LSN: 0x1742228}, bytes: 162472},
	} {
		got, found := r.read(line)
		require.True(t, found, line)
		require.Equal(t, want, got, line)
	}
	for _, line := range []string{
		"", "x Result of promote operation for pgsqld on n2: error", "x Result of promote operation for other on n2: ok",
		"x Operation 'reboot' targeting n1 by n2 for x: No such device", "x Operation 'reboot' [543] targeting n1 using fencing returned 0",
		"x Setting fail-count-other#monitor_1[n1]: (unset) -> 1 | from", "x Setting fail-count-pgsqld#monitor_1[n1]: 1 -> (unset) | from",
		"x Setting shutdown[n1]: 1795 -> (unset) | from n1",
		`x ++ <rsc_location id="cli-ban-ip-on-n1" rsc="ip" role="Started" node="n1"/>`,
		"x Setting ballot-pgsqld[n2]: (unset) -> serial=1 timeline=2 lsn=0/175E9C0 | from n2",
		"pgsqlms(other)[5]:\tNov 21 14:04:52 INFO: n2 alone votes, with WAL up to 0/1 on timeline 3",
		`x @name="pgsqlms-pgsqld" @value=serial=x timeline=2`,
	} {
		_, found := r.read(line)
		require.False(t, found, line)
	}
}

type nodeIDs map[string]string

func (n nodeIDs) get(id string) string { return n[id] }

func TestStampOf(t *testing.T) {
	newest := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	for line, want := range map[string]time.Time{
		"Jan  2 02:59:59.250 n1 pacemakerd":         time.Date(2026, 1, 2, 2, 59, 59, 250e6, time.UTC),
		"Jan 02 02:59:59 n1 pacemakerd":             time.Date(2026, 1, 2, 2, 59, 59, 0, time.UTC),
		"Dec 31 23:59:59 n1 pacemakerd":             time.Date(2025, 12, 31, 23, 59, 59, 0, time.UTC),
		"pgsqlms(p)[7]:\tDec 31 23:59:59 INFO: x":   time.Date(2025, 12, 31, 23, 59, 59, 0, time.UTC),
		"1767322799.000250 n1 pacemaker-attrd[6]: ": time.Date(2026, 1, 2, 2, 59, 59, 250e3, time.UTC),
	} {
		got, found := stampOf(line, newest)
		require.True(t, found, line)
		require.True(t, want.Equal(got), "%s: %s", line, got)
	}
	for _, line := range []string{"", "x", "Jan 32 00:00:00 x", "IPaddr2(ip)[7]: Dec 31 x", "1.5 x", "99 1767322799.000250"} {
		_, found := stampOf(line, newest)
		require.False(t, found, line)
	}
}

func FuzzEventReader(f *testing.F) {
	for _, name := range []string{"n2.log", "n1-diverged.log"} {
		text, err := os.ReadFile(filepath.Join("testdata/logs", name))
		if err != nil {
			f.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			f.Add(line)
		}
	}
	r := eventReader{resource: crm.Resource{Name: "pgsqld", Clone: "pgsqld-clone"}, nodeOfID: nodeIDs{"1": "n1"}.get}
	newest := time.Date(2026, 11, 21, 15, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, line string) {
		if at, found := stampOf(line, newest); found && at.After(newest.Add(clockSlack)) && !strings.Contains(line, ".") {
			t.Errorf("%q is from the future: %s", line, at)
		}
		r.read(line)
	})
}

// logDir is a directory of Pacemaker's logs.
type logDir struct {
	t    *testing.T
	path string
	now  time.Time
}

func newLogDir(t *testing.T) logDir {
	return logDir{t, t.TempDir(), time.Date(2026, 11, 21, 15, 0, 0, 0, time.UTC)}
}

func (d logDir) logs() logs { return logs{path: filepath.Join(d.path, "pacemaker.log")} }

// write makes a file, packed where its name says so.
func (d logDir) write(name, text string, age time.Duration) {
	d.t.Helper()
	path := filepath.Join(d.path, name)
	if filepath.Ext(name) == ".gz" {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, err := z.Write([]byte(text))
		require.NoError(d.t, err)
		require.NoError(d.t, z.Close())
		text = packed.String()
	}
	require.NoError(d.t, os.WriteFile(path, []byte(text), 0o600))
	require.NoError(d.t, os.Chtimes(path, d.now.Add(-age), d.now.Add(-age)))
}

// linesTaken are the lines of all parts, in the order of the log.
type linesTaken struct {
	parts [][]string
	seen  func(line string)
}

func (l *linesTaken) begin() logTaker {
	var part []string
	return logTaker{
		line: func(_ time.Time, line string) {
			part = append(part, line)
			if l.seen != nil {
				l.seen(line)
			}
		},
		keep: func() { l.parts = append(l.parts, part) },
	}
}

func (l *linesTaken) joined() (all []string) {
	for _, part := range slices.Backward(l.parts) {
		all = append(all, part...)
	}
	return all
}

// Logs that were rotated away are read, packed or not; what is none of Pacemaker's, and
// what leads elsewhere, is not.
func TestRotatedLogs(t *testing.T) {
	d := newLogDir(t)
	d.write("pacemaker.log", "Nov 21 10:00:00 newest\nno time\n", 0)
	d.write("pacemaker.log-20261120", "Nov 20 10:00:00 older\n", 24*time.Hour)
	d.write("pacemaker.log.2.gz", "Nov 19 10:00:00 oldest\n", 48*time.Hour)
	d.write("pacemaker.logger", "Nov 18 10:00:00 another\n", 72*time.Hour)
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(d.path, "pacemaker.log.3")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(d.path, "pacemaker.log.4"), 0o600))

	defaults := filepath.Join(d.path, "defaults")
	require.NoError(t, os.WriteFile(defaults, []byte("# PCMK_logfile=/x\nPCMK_logfile=\""+d.path+"/pacemaker.log\"\n"), 0o600))
	l := logs{path: "/nowhere", defaults: []string{"/nonexistent", defaults}}
	var taken linesTaken
	span, err := l.read(t.Context(), logWanted{now: d.now}, taken.begin)
	require.NoError(t, err)
	require.Equal(t, []string{"Nov 19 10:00:00 oldest", "Nov 20 10:00:00 older", "Nov 21 10:00:00 newest"}, taken.joined())
	require.Equal(t, time.Date(2026, 11, 19, 10, 0, 0, 0, time.UTC), *span.Since)

	d.write("pacemaker.log.5.xz", "x", 96*time.Hour)
	_, err = l.read(t.Context(), logWanted{now: d.now}, (&linesTaken{}).begin)
	require.ErrorContains(t, err, "is packed in a way that is not read here")

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = l.read(ended, logWanted{now: d.now}, (&linesTaken{}).begin)
	require.ErrorIs(t, err, context.Canceled)
}

// The time that is spent on the logs is over in the middle of an old one: what happened
// last is there, what is left of the old one and of those before it is not, and the view
// says how far back it goes.
func TestNewestLogFirst(t *testing.T) {
	f := pastSurvey{survey: captured(t, "after", "n2"), filesErr: os.ErrPermission}
	text, err := os.ReadFile("testdata/logs/n2.log")
	require.NoError(t, err)
	d := newLogDir(t)
	quiet := func(day string) string {
		return strings.Repeat("Nov "+day+" 10:00:00.000 n2 pacemaker-controld quiet\n", 2500)
	}
	d.write("pacemaker.log", string(text), 0)
	d.write("pacemaker.log.1", quiet("20"), 24*time.Hour)
	d.write("pacemaker.log.2.gz", quiet("19"), 48*time.Hour)
	d.write("pacemaker.log.3.gz", quiet("18"), 72*time.Hour)
	d.write("pacemaker.log.4", quiet("17"), 96*time.Hour)

	ctx, over := context.WithCancelCause(t.Context())
	parts := pastParts{of: f.survey, course: true}
	f.span, f.logErr = d.logs().read(ctx, logWanted{now: f.taken}, func() logTaker {
		one := parts.begin()
		return logTaker{keep: one.keep, line: func(at time.Time, line string) {
			if strings.HasPrefix(line, "Nov 19") {
				over(errTooMuch)
			}
			require.NotContains(t, line, "Nov 17")
			one.line(at, line)
		}}
	})
	f.events, f.happenings = parts.joined()
	require.Len(t, parts.kept, 2)
	require.ErrorIs(t, f.logErr, errTooMuch)
	require.Equal(t, time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC), *f.span.Since)
	v := history(f)
	require.Equal(t, "n2", v.Promotions[len(v.Promotions)-1].To)
	require.Equal(t, "n1 was fenced", v.Promotions[len(v.Promotions)-1].Reason)
	require.Contains(t, strings.Join(v.Notes, "\n"), "not all of the log could be read: "+
		d.path+"/pacemaker.log.2.gz, and what is older than it: the 5 seconds that are spent on it were over")
	require.Contains(t, v.text(style{columns: mostColumns}), "begins at 2026-11-20 10:00:00 UTC")
	told := explainAll(f, "", 9).Changes
	require.True(t, slices.ContainsFunc(told, func(c changeView) bool { return c.To == "n2" && len(c.Steps) > 0 }), "and explain has its course")
}

// A log is read in parts from its end, and each line of it once, as it stands there.
func TestLogInParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const stamp = "pgsqlms(p)[7]:\tNov 21 10:00:00 " // a part of it is one by itself
		var want []string
		text := ""
		for range rapid.IntRange(0, 30).Draw(t, "lines") {
			line := stamp + rapid.StringMatching(`[a-z ]{0,40}`).Draw(t, "line")
			text += line + "\n"
			want = append(want, strings.TrimRight(line, "\r\n"))
		}
		if rapid.Bool().Draw(t, "unended") {
			text += stamp + "unended"
			want = append(want, stamp+"unended")
		}
		var taken linesTaken
		newest := time.Date(2026, 11, 21, 15, 0, 0, 0, time.UTC)
		r := newLogReader(newest, taken.begin, rapid.Int64Range(8, 200).Draw(t, "part"))
		require.NoError(t, r.backwards(context.Background(), strings.NewReader(text), int64(len(text)), newest))
		r.deliver()
		require.Equal(t, want, taken.joined())
	})
}

// The hole that a crash of the machine leaves, and any other line that is far too long, is
// left out alone.
func TestLogWithAHole(t *testing.T) {
	d := newLogDir(t)
	d.write("pacemaker.log", "Nov 21 10:00:00 before\n"+strings.Repeat("\x00", 3*maxLine)+"\n"+
		strings.Repeat("Nov 21 10:00:00 ", maxLine/10)+"\nNov 21 10:00:01 after\n", 0)
	var taken linesTaken
	_, err := d.logs().read(t.Context(), logWanted{now: d.now}, taken.begin)
	require.NoError(t, err)
	require.Equal(t, []string{"Nov 21 10:00:00 before", "Nov 21 10:00:01 after"}, taken.joined())
}

// What is damaged has told what stands before the damage, and is named.
func TestDamagedLog(t *testing.T) {
	d := newLogDir(t)
	d.write("pacemaker.log.1.gz", strings.Repeat("Nov 20 10:00:00 older\n", 10), 24*time.Hour)
	path := filepath.Join(d.path, "pacemaker.log.1.gz")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, text[:len(text)-8], 0o600)) // without its checksum
	d.write("pacemaker.log", "Nov 21 10:00:00 newest\n", 0)
	var taken linesTaken
	_, err = d.logs().read(t.Context(), logWanted{now: d.now}, taken.begin)
	require.ErrorContains(t, err, path+": unexpected EOF")
	require.Len(t, taken.joined(), 11)
}

// A log that cannot be read, or is not there, is named, also where the journal says
// something instead.
func TestNoLog(t *testing.T) {
	d := newLogDir(t)
	journal := filepath.Join(t.TempDir(), "journalctl")
	notes := func(l logs) string {
		f := pastSurvey{survey: captured(t, "healthy", "n1")}
		f.readLog(t.Context(), l, false)
		return strings.Join(history(f).Notes, "\n")
	}
	l := d.logs()
	l.journal = journal
	require.Contains(t, notes(l), "no log of Pacemaker could be read on this node ("+l.path+" has nothing, and the journal cannot be read: stat "+journal)

	require.NoError(t, os.WriteFile(journal, []byte("#!/bin/sh\necho '1767322799.000250 n1 pacemaker-fenced[6]: notice'\n"), 0o755))
	require.NotContains(t, notes(l), "log", "a node without a log file")
	require.NoError(t, os.Symlink("nowhere", l.path))
	require.NotContains(t, notes(l), "log", "a link is none")
	l.path = filepath.Join(journal, "pacemaker.log") // below what is no directory
	require.Contains(t, notes(l), "not all of the log could be read: open "+journal+": not a directory")
}

// newJournal is a program that has what a script prints, for a node whose Pacemaker keeps no file.
func newJournal(t *testing.T, script string) (fakeTools, logs) {
	w := fakeTools{t: t, dir: t.TempDir()}
	w.tool("journalctl", script)
	return w, logs{path: filepath.Join(w.dir, "none"), journal: filepath.Join(w.dir, "journalctl")}
}

// Without a file of Pacemaker's own the journal is asked, in words that are ours: for the lines of Pacemaker's daemons and
// of the agent, by whatever facility they came.
func TestJournal(t *testing.T) {
	w, l := newJournal(t, "echo '1767322799.000250 n1 pacemaker-fenced[6]: notice'")
	var taken linesTaken
	span, err := l.read(t.Context(), logWanted{now: time.Now(), resource: "pgsqld"}, taken.begin)
	require.NoError(t, err)
	require.Len(t, taken.joined(), 1)
	require.Equal(t, "the journal", span.Source)
	for _, arg := range []string{
		"--reverse", "--since=-90days", "--identifier=pacemakerd", "--identifier=pacemaker-controld", "--identifier=pacemaker-execd", "--identifier=pgsqlms(pgsqld)",
	} {
		require.Contains(t, w.calls(), " "+arg)
	}
	require.NotContains(t, w.calls(), "FACILITY")

	for script, says := range map[string]string{
		"exit 1": "the journal cannot be read: no line of Pacemaker's or of the agent's",
		"exit 0": "the journal cannot be read: no line of Pacemaker's or of the agent's",
		"echo 'Compiled without pattern matching support' >&2; exit 1": "ended with exit code 1: Compiled without",
	} {
		_, l := newJournal(t, script)
		span, err := l.read(t.Context(), logWanted{now: time.Now()}, taken.begin)
		require.ErrorContains(t, err, says, script)
		require.Nil(t, span.Since)
	}
	_, l = newJournal(t, "echo '1767322800.000000 n1 pacemakerd[6]: whole'; printf '1767322799.000000 n1 pacemakerd[6]: cu'; kill -9 $$")
	taken = linesTaken{}
	_, err = l.read(t.Context(), logWanted{now: time.Now()}, taken.begin)
	require.ErrorContains(t, err, "was ended from outside")
	require.Equal(t, []string{"1767322800.000000 n1 pacemakerd[6]: whole"}, taken.joined())
	l.journal = "/nonexistent"
	_, err = l.read(t.Context(), logWanted{now: time.Now()}, taken.begin)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// When the time for a long journal is over, the newest lines are there, in their order and without the one that is cut,
// and what is older is named.
func TestJournalNewestFirst(t *testing.T) {
	w, l := newJournal(t, `echo $$ > "$d/pid"
echo '1767322802.000000 n1 pacemaker-controld[6]: third'
echo '1767322801.000000 n1 pacemaker-controld[6]: second'
echo '    which goes on here'
echo '1767322800.000000 n1 pacemaker-controld[6]: first'
printf '1767322799.000000 n1 pacemaker-controld[6]: cu'
touch "$d/printed"
exec sleep 1000`)
	ctx, over := context.WithCancelCause(t.Context())
	go func() {
		for !fileExists(w.dir+"/printed") && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(50 * time.Millisecond) // in which they are read
		over(errTooMuch)
	}()
	var taken linesTaken
	now := time.Date(2026, 11, 21, 15, 0, 0, 0, time.UTC)
	span, err := l.read(ctx, logWanted{now: now}, taken.begin)
	require.ErrorIs(t, err, errTooMuch)
	require.ErrorContains(t, err, "the journal before "+timeText(time.Unix(1767322800, 0))+": the 5 seconds")
	require.Equal(t, time.Unix(1767322800, 0), *span.Since)
	var words []string
	for _, line := range taken.joined() {
		words = append(words, line[strings.LastIndex(line, " ")+1:])
	}
	require.Equal(t, []string{"first", "second", "third"}, words)
	text, err := os.ReadFile(w.dir + "/pid")
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }, 10*time.Second, time.Millisecond, "it is killed")
}

// Who holds the journal's pipe when its program has gone is not waited for longer than that.
func TestJournalThatIsHeldOpen(t *testing.T) {
	_, l := newJournal(t, "echo '1767322800.000000 n1 pacemakerd[6]: whole'; sleep 20 & exit 0")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, errTooMuch)
	defer cancel()
	var taken linesTaken
	_, err := l.read(ctx, logWanted{now: time.Now()}, taken.begin)
	require.ErrorIs(t, err, errTooMuch)
	require.Len(t, taken.joined(), 1)
}

// A journal of any size is read to its end, part by part.
func TestJournalInParts(t *testing.T) {
	const lines, most = 100000, 8 << 20
	_, l := newJournal(t, "exec seq -f '17673%05.0f.000000 n1 pacemaker-controld[6]: notice: "+strings.Repeat("x", 60)+"' 99999 -1 0")
	var taken linesTaken
	_, err := l.read(t.Context(), logWanted{now: time.Now()}, taken.begin)
	require.NoError(t, err)
	all := taken.joined()
	require.Len(t, all, lines)
	require.Greater(t, lines*len(all[0]), most, "more than is kept of a program's output")
	require.Greater(t, len(taken.parts), 1)
	require.True(t, slices.IsSorted(all))
}

// A default file that was left behind is not read where Pacemaker has none.
func TestNoLogFile(t *testing.T) {
	_, l := newJournal(t, "echo '1767322799.000250 n1 pacemaker-fenced[6]: notice'")
	d := newLogDir(t)
	d.write("pacemaker.log", "Nov 21 10:00:00 left behind\n", 0)
	l.path, l.defaults = d.path+"/pacemaker.log", []string{d.path + "/defaults"}
	for text, want := range map[string]string{
		"PCMK_logfile=none\n": "the journal", "PCMK_logfile=\"None\"\n": "the journal", "PCMK_logfile=/dev/null\n": "the journal",
		"PCMK_logfile=" + l.path + "\nPCMK_logfile=none\n": "the journal", "PCMK_logfile=none\nPCMK_logfile=" + l.path + "\n": l.path,
		"PCMK_logfile=relative\n": l.path, "# PCMK_logfile=none\n": l.path,
	} {
		d.write("defaults", text, 0)
		var taken linesTaken
		span, err := l.read(t.Context(), logWanted{now: d.now}, taken.begin)
		require.NoError(t, err)
		require.Equal(t, want, span.Source, text)
		require.Len(t, taken.joined(), 1)
	}
	l.journal = "/nonexistent"
	d.write("defaults", "PCMK_logfile=none\n", 0)
	_, err := l.read(t.Context(), logWanted{now: d.now}, (&linesTaken{}).begin)
	require.ErrorContains(t, err, "Pacemaker keeps no log file (PCMK_logfile=none), and the journal cannot be read: ")
}

// A file to which nobody has written since before the last promotion is not all there is: the journal is read from its end on.
func TestLogThatEndedLongAgo(t *testing.T) {
	f := pastSurvey{survey: captured(t, "after", "n2")}
	promoted := f.lastPromotion()
	require.Equal(t, time.Unix(1795269892, 0), promoted)
	for name, c := range map[string]struct {
		ends  time.Duration // before the promotion
		stale bool
	}{"long ago": {time.Hour, true}, "by another clock": {clockError, false}, "in use": {-time.Second, false}} {
		w, l := newJournal(t, "echo '1795269894.000000 n1 pacemaker-controld[6]: newer'")
		d := newLogDir(t)
		l.path = d.path + "/pacemaker.log"
		end := promoted.Add(-c.ends).In(d.now.Location())
		d.write("pacemaker.log", end.Format(time.Stamp)+" older\n", 0)
		var taken linesTaken
		wanted := logWanted{now: d.now, promoted: promoted}
		span, err := l.read(t.Context(), wanted, taken.begin)
		require.NoError(t, err)
		require.True(t, span.Since.Equal(end), name)
		require.Equal(t, c.stale, fileExists(w.dir+"/calls"), name)
		if !c.stale {
			require.Equal(t, l.path, span.Source)
			continue
		}
		require.Equal(t, l.path+" and the journal", span.Source)
		require.Contains(t, w.calls(), fmt.Sprintf("--since=@%d ", end.Unix()+1))
		require.Len(t, taken.joined(), 2)
		require.Contains(t, taken.joined()[0], "older")

		l.journal = "/nonexistent"
		span, err = l.read(t.Context(), wanted, (&linesTaken{}).begin)
		require.ErrorContains(t, err, l.path+" ends at "+timeText(end)+", before the last promotion, and the journal cannot be read: ")
		require.NotNil(t, span.Since, "what the file has counts")
	}
}
