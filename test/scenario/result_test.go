package scenario

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"pgsqlms/test/lab"
	"pgsqlms/test/writer"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// played is a result of three acknowledged rows and one in doubt, the fault after the second.
func played() Result {
	ms := time.Millisecond
	r := Result{Scenario: "a fault", Before: "n1", After: "n2", Fault: epoch.Add(6 * ms), Streaming: 12340 * ms}
	r.History = writer.History{Epoch: epoch, Attempts: []writer.Attempt{
		{ID: 1, Sent: 0, Answered: 1 * ms, Kind: writer.Acknowledged, Node: "n1"},
		{ID: 2, Sent: 5 * ms, Answered: 6 * ms, Kind: writer.Acknowledged, Node: "n1"},
		{ID: 3, Sent: 10 * ms, Answered: 310 * ms, Kind: writer.InDoubt},
		{ID: 4, Sent: 2000 * ms, Answered: 2006 * ms, Kind: writer.Acknowledged, Node: "n2"},
	}}
	r.Fencings = []lab.Fencing{{Victim: "n1", Asked: epoch.Add(time.Second), Answered: epoch.Add(1500 * ms)}}
	return r
}

func stored(ids ...int64) map[int64]struct{} {
	set := map[int64]struct{}{}
	for _, id := range ids {
		set[id] = struct{}{}
	}
	return set
}

func TestAResultThatIsWell(t *testing.T) {
	r := played()
	r.conclude(stored(1, 2, 4))
	assert.Empty(t, r.Complaints())
	assert.Equal(t, []string{"a fault", "n1 -> n2", "2.00 s", "3", "1", "0", "1 (n1)", "12.3 s"}, r.Row())
}

func TestAResultWithLosses(t *testing.T) {
	r := played()
	r.conclude(stored(1, 4))
	assert.Equal(t, []string{"1 acknowledged rows are lost: 2"}, r.Complaints())
	assert.Equal(t, "1", r.Row()[5])
}

func TestAResultWithTwoPrimaries(t *testing.T) {
	r := played()
	r.PinnedHistory = writer.History{Epoch: epoch, Attempts: []writer.Attempt{
		{ID: 5, Sent: 5 * time.Millisecond, Answered: 7 * time.Millisecond, Kind: writer.Acknowledged, Node: "n3"}}}
	r.conclude(stored(1, 2, 4, 5))
	assert.Equal(t, []string{"1 times two nodes acknowledged at once"}, r.Complaints())
}

func TestAResultThatNeverCameBack(t *testing.T) {
	r := played()
	r.Streaming, r.After = 0, ""
	r.History.Attempts[3].Kind = writer.Refused
	r.conclude(stored(1, 2))
	assert.Equal(t, []string{"no write was acknowledged after the fault", "not all nodes streamed again"}, r.Complaints())
	assert.Equal(t, []string{"a fault", "n1 -> -", "> 2.00 s", "2", "1", "0", "1 (n1)", "never"}, r.Row())
}

func TestAResultThatWasNotJudged(t *testing.T) {
	r := Result{Scenario: "a fault"}
	assert.NotEmpty(t, r.Complaints())
	assert.Equal(t, []string{"a fault", "- -> -", "?", "?", "?", "?", "0", "never"}, r.Row())
}

func TestSomeNamesOnlyAFew(t *testing.T) {
	assert.Equal(t, "1 2", Some([]int64{1, 2}))
	assert.Equal(t, "1 2 3 4 5 ...", Some([]int64{1, 2, 3, 4, 5, 6}))
}

func TestFencingsSinceTheFault(t *testing.T) {
	all := []lab.Fencing{{Victim: "n1", Answered: epoch}, {Victim: "n2", Answered: epoch.Add(time.Second)}}
	assert.Equal(t, all[1:], since(all, epoch.Add(time.Millisecond)))
	assert.Empty(t, since(all, time.Time{}))
}

func TestTable(t *testing.T) {
	text := Table([]string{"what", "gap", "who"}, [][]string{{"a", "1.00 s", "n1"}, {"long one", "12.0 s", "-"}})
	assert.Equal(t, ""+
		"what     |    gap | who\n"+
		"---------|--------|----\n"+
		"a        | 1.00 s | n1\n"+
		"long one | 12.0 s | -\n", text)
}

func TestBestStandby(t *testing.T) {
	status := &lab.Status{Nodes: map[string]lab.NodeStatus{
		"n1": {SQL: "primary", Score: "1001"},
		"n2": {SQL: "standby", Streaming: true, Score: "990"},
		"n3": {SQL: "standby", Streaming: true, Score: "1000"},
		"n4": {SQL: "standby", Streaming: true, Score: "1000"},
		"n5": {SQL: "standby", Score: "2000"},
		"n6": {SQL: "standby", Streaming: true},
	}}
	assert.Equal(t, "n3", bestStandby(status))
	assert.Empty(t, bestStandby(&lab.Status{}))
}
