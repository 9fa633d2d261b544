package crm

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func nodeOfID(id string) string { return map[string]string{"1": "n1", "2": "n2"}[id] }

func TestReadLogLine(t *testing.T) {
	const magic = "13:24:0:3f4a526f-d9fa-4878-8810-d64a5fccf16d"
	for line, want := range map[string]LogEvent{
		"x notice: Node n3 state is now lost | nodeid=3 previous=member source=pcmk__reap_unseen_nodes":                 {Kind: LogLost, Node: "n3"},
		"x notice: Requesting fencing (reboot) of node n3 | action=1 timeout=180000":                                    {Kind: LogFenceAsked, Node: "n3"},
		"x notice: Requesting fencing (reboot) targeting node n3 | action=1 timeout=180000":                             {Kind: LogFenceAsked, Node: "n3"},
		"x notice: Operation 'reboot' targeting n3 by n1 for pacemaker-controld.39@n1: OK (complete) | id=610af4dc":     {Kind: LogFenced, Node: "n3"},
		"x notice: Operation 'reboot' targeting n1 on n2 for pacemaker-controld.58@n3.c30efcf7: OK":                     {Kind: LogFenced, Node: "n1"},
		"x error: Operation 'reboot' targeting n2 by n3 for pacemaker-controld.56@n3: Error occurred (complete) | id=2": {Kind: LogFenceFailed, Node: "n2", Text: "Error occurred (complete)"},
		"x notice: Requesting local execution of promote operation for pgsqld:1 on n2 | transition_key=1":               {Kind: LogBegun, Operation: "promote", Resource: "pgsqld", Node: "n2"},
		"x notice: Result of promote operation for pgsqld on n2: ok | CIB update 37":                                    {Kind: LogEnded, Operation: "promote", Resource: "pgsqld", Node: "n2"},
		"x notice: Result of promote operation for pgsqld on n2: 0 (ok) | call=42":                                      {Kind: LogEnded, Operation: "promote", Resource: "pgsqld", Node: "n2"},
		"x notice: Result of promote operation for pgsqld on n3: error (waits) | CIB update 144; call=73 rc=1":          {Kind: LogEnded, Operation: "promote", Resource: "pgsqld", Node: "n3", Code: 1},
		"x 	info: pgsqld notify (call 18, PID 572) exited with status 0 (execution time 99ms)":                          {Kind: LogEnded, Operation: "notify", Resource: "pgsqld", Code: -1},
		`x info: ++ /cib/status/node_state[@id='1']/lrm[@id='1']/lrm_resources/lrm_resource[@id='vip']:  <lrm_rsc_op id="vip_last_0" operation_key="vip_start_0" operation="start" transition-magic="0:0;` + magic + `" rc-code="0"/>`: {
			Kind: LogEnded, Operation: "start", Resource: "vip", Node: "n1", InCIB: true},
		"x info: +  /cib/status/node_state[@id='2']/lrm[@id='2']/lrm_resources/lrm_resource[@id='pgsqld']/lrm_rsc_op[@id='pgsqld_last_0']:  @operation_key=pgsqld_promote_0, @operation=promote, @transition-magic=-1:193;" + magic + ", @rc-code=193, @op-status=-1": {
			Kind: LogBegun, Operation: "promote", Resource: "pgsqld", Node: "n2", InCIB: true},
	} {
		r := LogReader{NodeOfID: nodeOfID}
		got, found := r.Read(line)
		require.True(t, found, line)
		require.Equal(t, want, got, line)
	}
	for _, line := range []string{
		"", "x Operation 'reboot' [543] targeting n1 using fencing returned 0", "x Requesting peer fencing (reboot) targeting n3 | id=e7",
		"x Result of ", "x Node is now", "x +  /cib/status/node_state[@id='9']/lrm/lrm_resource[@id='p']/lrm_rsc_op[@id='p_last_0']:  @operation=start, @transition-magic=0:0;1:2:0:x",
	} {
		r := LogReader{NodeOfID: nodeOfID}
		_, found := r.Read(line)
		require.False(t, found, line)
	}
}

// The end of an operation does not name it in the CIB. What a node that comes back puts
// in the place of an older one is not taken for that, and neither is a probe.
func TestOperationsInTheCIB(t *testing.T) {
	const place = "x info: +  /cib/status/node_state[@id='2']/lrm[@id='2']/lrm_resources/lrm_resource[@id='pgsqld']/lrm_rsc_op[@id='pgsqld_last_0']:  "
	const begun = place + "@operation_key=pgsqld_promote_0, @operation=promote, @transition-magic=-1:193;13:24:0:x, @rc-code=193"
	const ended = place + "@transition-magic=0:1;13:24:0:x, @exit-reason=not promoted: waits for n1, n2 or n3, @call-id=7, @rc-code=1, @exec-time=19"
	r := LogReader{NodeOfID: nodeOfID}
	_, found := r.Read(ended)
	require.False(t, found, "the end of nobody knows what")
	_, found = r.Read(begun)
	require.True(t, found)
	e, found := r.Read(ended)
	require.True(t, found)
	require.Equal(t, LogEvent{Kind: LogEnded, Operation: "promote", Resource: "pgsqld", Node: "n2", Code: 1, Text: "not promoted: waits for n1, n2 or n3", InCIB: true}, e)

	e, found = r.Read(place + "@transition-magic=0:7;5:36:7:x, @call-id=52, @rc-code=7")
	require.True(t, found)
	require.Equal(t, "monitor", e.Operation)

	_, found = r.Read("x info: -- /cib/status/node_state[@id='2']/lrm[@id='2']")
	require.False(t, found)
	_, found = r.Read(ended)
	require.False(t, found)
}

func TestFailCounts(t *testing.T) {
	c, err := ParseCIB(fromFile(t, "diverged.cib.xml"))
	require.NoError(t, err)
	require.Equal(t, Infinity, c.FailCount("n1", "pgsqld"))
	require.Zero(t, c.FailCount("n2", "pgsqld"))
	require.Zero(t, c.FailCount("n1", "pgsql"))
	require.Equal(t, 5, c.MigrationThreshold(c.Resources[0]))
	c.Resources[0].Meta["migration-threshold"] = "INFINITY"
	require.Equal(t, Infinity, c.MigrationThreshold(c.Resources[0]))
	require.Zero(t, CIB{}.MigrationThreshold(Resource{}))
}

// Whatever was under way, every moment is put down to one part.
func TestSpendAddsUp(t *testing.T) {
	begin := time.Date(2026, 11, 21, 14, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		moment := func(name string) time.Time {
			return begin.Add(time.Duration(rapid.IntRange(0, 20000).Draw(t, name)) * time.Millisecond)
		}
		var all []Activity
		for range rapid.IntRange(0, 6).Draw(t, "n") {
			all = append(all, Activity{rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "part"), moment("from"), moment("to")})
		}
		from, to := moment("begin"), moment("end")
		sum := time.Duration(0)
		for part, length := range Spend(all, []string{"a", "b"}, from, to, func(time.Time) string { return "idle" }) {
			require.Contains(t, []string{"a", "b", "idle"}, part)
			require.Positive(t, length)
			sum += length
		}
		require.Equal(t, max(to.Sub(from), 0), sum)
	})
}

func FuzzLogReader(f *testing.F) {
	f.Add("x info: +  /cib/status/node_state[@id='2']/lrm/lrm_resource[@id='p']/lrm_rsc_op[@id='p_last_0']:  @operation=start, @transition-magic=0:0;1:2:0:x")
	f.Add("x info: ++ /cib/status/node_state[@id='1']/lrm_resource[@id='v']:  <lrm_rsc_op id=\"v_last_0\" operation=\"start\" transition-magic=\"0:0;1:2:7:x\"/>")
	f.Add("x error: Operation 'reboot' targeting n2 by n3 for c: Error occurred (complete) | id=2")
	f.Add("x notice: Result of promote operation for pgsqld on n3: error (waits) | call=73 rc=1")
	r := LogReader{NodeOfID: nodeOfID}
	f.Fuzz(func(t *testing.T, line string) {
		if e, found := r.Read(line); found && (e.Kind == "" || e.InCIB && e.Node == "") {
			t.Errorf("%q: %+v", line, e)
		}
	})
}
