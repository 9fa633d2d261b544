package faults

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"pgsqlms/internal/wal"
)

const postgresSample = `2026-11-21 10:54:17.239 UTC [193] LOG:  starting PostgreSQL 15.18 (Debian 15.18-0+deb12u1) on x86_64-pc-linux-gnu
2026-11-21 10:54:17.246 UTC [203] LOG:  database system was shut down in recovery at 2026-11-21 10:54:04 UTC
2026-11-21 10:54:18.077 UTC [203] LOG:  new target timeline is 2
2026-11-21 10:54:23.360 UTC [203] LOG:  selected new timeline ID: 3
2026-11-21 10:55:00.000 UTC [10] LOG:  starting PostgreSQL 15.18 (Debian 15.18-0+deb12u1) on x86_64-pc-linux-gnu
2026-11-21 10:55:00.100 UTC [11] LOG:  database system was interrupted; last known up at 2026-11-21 10:54:57 UTC
2026-11-21 10:55:01.000 UTC [10] LOG:  all server processes terminated; reinitializing
2026-11-21 10:55:02.000 UTC [12] LOG:  new timeline 4 forked off current database system timeline 3 before current recovery point 0/5000148
2026-11-21 10:55:02.100 UTC [13] FATAL:  could not receive data
a line without a time LOG:  starting PostgreSQL 15
`

func TestPostgresLog(t *testing.T) {
	var n NodeLog
	n.parsePostgres(postgresSample)
	assert.Equal(t, []time.Time{noon("10:54:17.239"), noon("10:55:00.000")}, n.Starts)
	assert.Equal(t, []time.Time{noon("10:55:00.100")}, n.Crashed)
	assert.Equal(t, []time.Time{noon("10:55:01.000")}, n.Restarts)
	assert.Equal(t, []Promotion{{At: noon("10:54:23.360"), Timeline: 3}}, n.Promotions)
	assert.Equal(t, []string{"new timeline 4 forked off current database system timeline 3 before current recovery point 0/5000148"}, n.Diverged)
}

// Seen in F16: with its disk full the old primary had written half a record at the end of a segment.
func TestARefusalOfTheOldTimelineIsNoDivergence(t *testing.T) {
	const refused = "2026-11-22 04:27:33.592 UTC [13] FATAL:  could not start WAL streaming: ERROR:  requested starting point 0/21000000 on timeline 13 is not in this server's history\n"
	const goesOn = "2026-11-22 04:27:33.593 UTC [14] LOG:  new target timeline is 14\n"
	const forked = "2026-11-22 04:27:33.594 UTC [14] LOG:  new timeline 15 forked off current database system timeline 14 before current recovery point 0/21000148\n"
	for text, want := range map[string]int{refused: 1, refused + goesOn: 0, refused + goesOn + refused: 1, forked + goesOn: 1} {
		var n NodeLog
		n.parsePostgres(text)
		assert.Len(t, n.Diverged, want, text)
	}
}

func TestDivergence(t *testing.T) {
	for _, line := range []string{
		"LOG:  new timeline 4 forked off current database system timeline 3 before current recovery point 0/5000148",
		"FATAL:  requested timeline 3 is not a child of this server's history",
		"FATAL:  highest timeline 2 of the primary is behind recovery timeline 3",
		"ERROR:  requested starting point 0/7000000 on timeline 2 is not in this server's history",
		"FATAL:  could not receive data from WAL stream: ERROR:  requested starting point 0/7000000 is ahead of the WAL flush position of this server 0/6000000",
	} {
		assert.Regexp(t, divergence, line)
	}
	for _, line := range []string{
		"FATAL:  according to history file, " + halfSaid,
		"FATAL:  could not connect to the primary server", "LOG:  new target timeline is 2",
		"LOG:  started streaming WAL from primary at 0/1000000 on timeline 1",
	} {
		assert.NotRegexp(t, divergence, line)
	}
}

// Pacemaker ends for good when it is told of its own fencing, and only then is it started again.
func TestPacemakerThatStaysDown(t *testing.T) {
	const controller, daemon = "Nov 21 20:55:43.103 n3 pacemaker-controld  [39] (handle_fence_notification) \t", "Nov 21 20:55:43.247 n3 pacemakerd          [31] (pcmk_shutdown_worker) \t"
	for text, want := range map[string][]string{
		controller + "crit: We were allegedly just fenced by n2 for n2!\n" + daemon + "notice: Shutting down and staying down after fatal error\n": {"We were allegedly just fenced by n2 for n2"},
		controller + "crit: We were allegedly just fenced by n2 for n2!\n":                                                                         nil,
		daemon + "notice: Shutting down and staying down after fatal error\n":                                                                      nil,
	} {
		var n NodeLog
		n.parsePacemaker(text, noon("12:00:00.000"))
		assert.Equal(t, want, n.StaysDown)
	}
}

const pacemakerSample = "Nov 21 10:54:17.530 n3 pacemaker-controld  [73] (log_executor_event) \tnotice: Result of notify operation for pgsqld on n3: ok | graph action confirmed; call=17 key=pgsqld_notify_0 rc=0\n" +
	"pgsqlms(pgsqld)[216]:\tNov 21 10:54:17 INFO: this node votes: WAL up to 0/1742110 on timeline 1\n" +
	"Nov 21 10:54:23.110 n3 pacemaker-controld  [71] (log_executor_event) \tinfo: Result of monitor operation for pgsqld on n3: Cancelled | graph action confirmed; call=19 key=pgsqld_monitor_16000\n" +
	"pgsqlms(pgsqld)[323]:\tNov 21 10:54:23 INFO: handover: this node is the candidate, with WAL up to 0/17421F0 on timeline 2\n" +
	"pgsqlms(pgsqld)[323]:\tNov 21 10:54:23 INFO: vote of n2: WAL up to 0/17421F0 on timeline 2\n" +
	"Nov 21 11:14:03.146 n3 pacemaker-controld  [75] (log_executor_event) \tnotice: Result of monitor operation for pgsqld on n3: promoted (failed) (the primary in /main is gone (crashed): pg_control says \"in production\"; to do: Pacemaker reco) | CIB update 33, graph action unconfirmed; call=22 key=pgsqld_monitor_5000 rc=9\n" +
	"Nov 21 11:14:05.046 n3 pacemaker-controld  [75] (log_executor_event) \tnotice: Result of monitor operation for pgsqld on n3: promoted | CIB update 43, graph action unconfirmed; call=36 key=pgsqld_monitor_5000 rc=8\n" +
	"Nov 21 11:14:06.000 n3 pacemaker-controld  [75] (log_executor_event) \tnotice: Result of promote operation for pgsqld on n3: error | CIB update 44, graph action confirmed; call=37 key=pgsqld_promote_0 rc=1\n" +
	"Nov 21 11:14:07.000 n3 pacemaker-controld  [75] (log_executor_event) \terror: Result of stop operation for pgsqld on n3: Timed Out after 60s (Resource agent did not complete within 60s) | graph action confirmed; call=38 key=pgsqld_stop_0\n" +
	"Nov 21 11:14:08.000 n3 pacemaker-controld  [75] (log_executor_event) \tnotice: Result of start operation for pgsql-vip on n3: error | call=38\n" +
	"Nov 21 11:14:09.000 n3 pacemaker-controld  [75] (log_executor_event) \tnotice: Result of probe operation for pgsqld on n3: not running | CIB update 45\n" +
	"Nov 21 11:14:10.000 n3 pacemaker-controld  [75] (log_executor_event) \tnotice: Result of monitor operation for pgsqld on n3: not running | CIB update 46\n"

func TestPacemakerLog(t *testing.T) {
	var n NodeLog
	n.parsePacemaker(pacemakerSample, noon("12:00:00.000"))
	assert.Equal(t, []Vote{
		{At: noon("10:54:17.530"), Position: position(1, "0/1742110")},
		{At: noon("10:54:23.110"), Candidate: true, Position: position(2, "0/17421F0")},
	}, n.Votes)
	assert.Equal(t, []Failure{
		{At: noon("11:14:03.146"), Node: "n3", Operation: "monitor", Status: "promoted (failed)",
			Reason: `the primary in /main is gone (crashed): pg_control says "in production"; to do: Pacemaker reco`},
		{At: noon("11:14:06.000"), Node: "n3", Operation: "promote", Status: "error"},
		{At: noon("11:14:07.000"), Node: "n3", Operation: "stop", Status: "Timed Out after 60s",
			Reason: "Resource agent did not complete within 60s"},
	}, n.Failures)
	assert.Equal(t, []time.Time{noon("11:14:10.000")}, n.Down)
}

// Pacemaker 2.1 has these words for the exit codes 2 to 6; the last one is its own, for an agent that is not there.
func TestResultsThatBan(t *testing.T) {
	const line = "Nov 21 11:14:06.000 n3 pacemaker-controld  [75] (log_executor_event) \tnotice: Result of start operation for pgsqld on n3: "
	const rest = " | graph action confirmed; call=37 key=pgsqld_start_0 rc=1\n"
	bans := func(status string) bool {
		var n NodeLog
		n.parsePacemaker(line+status+rest, noon("12:00:00.000"))
		return assert.Len(t, n.Failures, 1, status) && n.Failures[0].bans()
	}
	for _, status := range []string{
		"invalid parameter", "unimplemented feature", "insufficient privileges", "not installed", "not configured",
		"not configured (parameter maxlag: found \"x\")", "Not installed (Resource agent or executable file not found)",
	} {
		assert.True(t, bans(status), status)
	}
	for _, status := range []string{"error", "error (not installed)", "Error (Resource agent interrupted by Killed signal)", "Timed Out after 60s", "promoted (failed)"} {
		assert.False(t, bans(status), status)
	}
}

func TestShift(t *testing.T) {
	var n NodeLog
	n.parsePostgres(postgresSample)
	n.parsePacemaker(pacemakerSample, noon("12:00:00.000"))
	n.shift(-time.Hour)
	assert.Equal(t, noon("09:54:17.239"), n.Starts[0])
	assert.Equal(t, noon("09:55:00.100"), n.Crashed[0])
	assert.Equal(t, noon("09:55:01.000"), n.Restarts[0])
	assert.Equal(t, noon("09:54:23.360"), n.Promotions[0].At)
	assert.Equal(t, noon("09:54:17.530"), n.Votes[0].At)
	assert.Equal(t, noon("10:14:03.146"), n.Failures[0].At)
}

// noon is a time of the day on which all the samples were taken.
func noon(clock string) time.Time {
	t, err := time.Parse("2006-01-02 15:04:05.000", "2026-11-21 "+clock)
	if err != nil {
		panic(err)
	}
	return t
}

func position(timeline wal.Timeline, lsn string) wal.Position {
	l, err := wal.ParseLSN(lsn)
	if err != nil {
		panic(err)
	}
	return wal.Position{Timeline: timeline, LSN: l}
}
