package operator

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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

// Logs that were rotated away are read, the oldest first, packed or not; what is none of
// Pacemaker's, and what leads elsewhere, is not.
func TestRotatedLogs(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 11, 21, 15, 0, 0, 0, time.UTC)
	write := func(name, text string, age time.Duration) {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		require.NoError(t, os.Chtimes(path, now.Add(-age), now.Add(-age)))
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write([]byte("Nov 19 10:00:00 oldest\n"))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	write("pacemaker.log", "Nov 21 10:00:00 newest\nno time\n", 0)
	write("pacemaker.log-20261120", "Nov 20 10:00:00 older\n", 24*time.Hour)
	write("pacemaker.log.2.gz", packed.String(), 48*time.Hour)
	write("pacemaker.logger", "Nov 18 10:00:00 another\n", 72*time.Hour)
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "pacemaker.log.3")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pacemaker.log.4"), 0o600))

	defaults := filepath.Join(dir, "defaults")
	require.NoError(t, os.WriteFile(defaults, []byte("# PCMK_logfile=/x\nPCMK_logfile=\""+dir+"/pacemaker.log\"\n"), 0o600))
	l := logs{path: "/nowhere", defaults: []string{"/nonexistent", defaults}}
	var lines []string
	span, err := l.read(t.Context(), now, func(_ time.Time, line string) { lines = append(lines, line) })
	require.NoError(t, err)
	require.Equal(t, []string{"Nov 19 10:00:00 oldest", "Nov 20 10:00:00 older", "Nov 21 10:00:00 newest"}, lines)
	require.Equal(t, time.Date(2026, 11, 19, 10, 0, 0, 0, time.UTC), *span.Since)

	write("pacemaker.log.5.xz", "x", 96*time.Hour)
	_, err = l.read(t.Context(), now, func(time.Time, string) {})
	require.ErrorContains(t, err, "is packed in a way that is not read here")

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = l.read(ended, now, func(time.Time, string) {})
	require.ErrorIs(t, err, context.Canceled)
}

// Without a file of Pacemaker's own the journal is asked, in words that are ours.
func TestJournal(t *testing.T) {
	journal := filepath.Join(t.TempDir(), "journalctl")
	script := "#!/bin/sh\necho '1767322799.000250 n1 pacemaker-fenced[6]: notice'\n"
	require.NoError(t, os.WriteFile(journal, []byte(script), 0o755))
	l := logs{path: filepath.Join(t.TempDir(), "none"), journal: journal}
	n := 0
	span, err := l.read(t.Context(), time.Now(), func(time.Time, string) { n++ })
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, "the journal", span.Source)
	l.journal = "/nonexistent"
	_, err = l.read(t.Context(), time.Now(), func(time.Time, string) {})
	require.ErrorIs(t, err, os.ErrNotExist)
}
