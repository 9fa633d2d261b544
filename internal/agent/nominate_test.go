package agent

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgsqlms/internal/election"
	"pgsqlms/internal/wal"
)

// The primary is lost, and its last word was that no standby is within maxlag. The votes promote one of them only where
// they prove that it lacks nothing that was acknowledged, or there is no limit.
func TestMaxLagOutlivesThePrimary(t *testing.T) {
	own := election.Vote{Node: "b", Position: wal.Position{Timeline: 1, LSN: 500}, History: wal.History{Timeline: 1}, Serial: 1}
	for _, c := range []struct {
		name   string
		maxLag uint64
		score  int
		record string
		end    string // of the primary's WAL, as it told at its demotion
		waits  bool
	}{
		{"beyond the limit", 100, election.ScoreNotReady, "serial=1 timeline=1 node=a sync=a:0", "", true},
		{"was not connected", 100, election.ScoreNotConnected, "serial=1 timeline=1 node=a sync=a:0", "", true},
		{"was refused", 100, election.ScoreBanned, "serial=1 timeline=1 node=a sync=a:0", "", true},
		{"holds all, was not connected", 100, election.ScoreNotConnected, "serial=1 timeline=1 node=a sync=a:0", "1#500", false},
		{"lacks some", 100, election.ScoreNotConnected, "serial=1 timeline=1 node=a sync=a:0", "1#501", true},
		{"no limit", 0, election.ScoreNotConnected, "serial=1 timeline=1 node=a sync=a:0", "", false},
		{"waited for a vote", 100, election.ScoreHeld, "serial=1 timeline=1 node=a sync=a:0", "", false},
		{"waited for a vote, and was asked", 100, election.ScoreBannedHeld, "serial=1 timeline=1 node=a sync=a:0", "", false},
		{"nothing is missing", 100, election.ScoreNotConnected, "serial=1 timeline=1 node=a sync=a:1:b", "", false},
	} {
		private := map[string]string{}
		if c.end != "" {
			private["a shutdown_lsn-pgsqld"] = c.end
		}
		a, cluster := newTestAgent(private)
		a.conf.maxLag = c.maxLag
		record, err := election.ParseRecord(c.record)
		require.NoError(t, err)
		v := election.Vacancy{Members: []string{"b", "c"}, Votes: []election.Vote{own}, Record: &record, Guard: true}
		waiting, err := a.nominateAmong(t.Context(), v, map[string]int{"b": c.score})
		require.NoError(t, err)
		if c.waits {
			assert.Contains(t, waiting, "no standby is within maxlag: b could be promoted", c.name)
			assert.Empty(t, cluster.scores, c.name)
			continue
		}
		assert.Empty(t, waiting, c.name)
		assert.Equal(t, map[string]int{"b": election.ScoreFirstStart}, cluster.scores, c.name)
	}
}
