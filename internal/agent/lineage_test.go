package agent

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgsqlms/internal/election"
	"pgsqlms/internal/ocf"
	"pgsqlms/internal/pg"
	"pgsqlms/internal/wal"
)

// On a timeline that is not the cluster's, a candidate can be past the end of the old primary's log, or at a shutdown
// checkpoint of its own, and hold nothing of what that one wrote.
func TestSwitchoverToWhoLeftTheTimelines(t *testing.T) {
	record, err := election.ParseRecord("serial=7 timeline=3 node=a from=2@0/300 sync=a:0")
	require.NoError(t, err)
	cases := map[string]struct {
		ballot string
		left   bool
	}{
		"on the record's timeline":       {"serial=7 timeline=3 lsn=0/900 from=2@0/300", false},
		"on another one of its number":   {"serial=7 timeline=3 lsn=0/900 from=2@0/100", true},
		"on one that was begun too soon": {"serial=7 timeline=4 lsn=0/900 from=2@0/100", true},
	}
	for name, c := range cases {
		t.Run(name, inBubble(func(t *testing.T) {
			a, cluster := newTestAgent(map[string]string{"a shutdown_lsn-pgsqld": "3#2304"})
			a.endsWithShutdown = func(context.Context, wal.Position) (bool, error) { return true, nil }
			me, err := election.ParseBallot("b", c.ballot)
			require.NoError(t, err)
			_, err = a.decide(t.Context(), me, &record, switchover, a.gather(t.Context(), "b", switchover))
			if !c.left {
				require.NoError(t, err)
				assert.Empty(t, cluster.scores)
				return
			}
			assert.ErrorContains(t, err, "this node has left the cluster's timelines")
			assert.Equal(t, map[string]int{"b": election.ScoreBanned}, cluster.scores)
		}))
	}
}

// promotedMonitor is the recurring monitor of the instance that Pacemaker has promoted.
func promotedMonitor() ocf.Request {
	return ocf.ParseRequest([]string{"monitor"}, []string{
		"OCF_RESOURCE_INSTANCE=pgsqld", "OCF_RESKEY_CRM_meta_on_node=b",
		"OCF_RESKEY_CRM_meta_interval=15000", "OCF_RESKEY_CRM_meta_role=Promoted",
	}, time.Now())
}

// The older rule asks for a. It is dropped once c holds all that was acknowledged by it. Before anything of the primary's
// timeline was sent to c, which begins at 500, c may have flushed a log of its own up to any place.
func TestAnOlderRuleIsNotDroppedForAnotherLog(t *testing.T) {
	const present = "serial=1 timeline=2 node=b from=1@0/1F4 sync=b:1:c"
	const older = present + " sync=b:1:a"
	for sent, want := range map[wal.LSN]string{500: older, 700: present} {
		a, cluster := newTestAgent(nil)
		a.store = newStore(t.TempDir(), "pgsqld")
		a.req = promotedMonitor()
		cluster.property = older
		m := memory{Record: older, Recorded: time.Now(), Since: 600, Nodes: []string{"a", "b", "c"}}
		far := wal.LSN(900)
		status := pg.Status{SynchronousStandbyNames: "c", Standbys: []pg.Standby{
			{ApplicationName: "c", State: "streaming", SyncState: "sync", Sent: &sent, Write: &far, Flush: &far},
		}}
		h := wal.History{Timeline: 2, Ancestors: []wal.Ancestor{{Timeline: 1, End: 500}}}
		require.NoError(t, a.keepRecord(t.Context(), &m, "b", status, h))
		assert.Equal(t, want, cluster.property, "sent up to %s", sent)
	}
}

// Of a write that was given up nobody knows whether it was done. The next monitor looks, and the later record stays.
func TestARecordThatMayBeWrittenIsTheOneToKeep(t *testing.T) {
	const present = "serial=1 timeline=2 node=b from=1@0/1F4 sync=b:0"
	a, cluster := newTestAgent(nil)
	a.store = newStore(t.TempDir(), "pgsqld")
	a.req = promotedMonitor()
	m := memory{Record: present, Recorded: time.Now(), Nodes: []string{"a", "b", "c"}}
	cluster.failing = context.DeadlineExceeded
	status := pg.Status{SynchronousStandbyNames: "c"}
	h := wal.History{Timeline: 2, Ancestors: []wal.Ancestor{{Timeline: 1, End: 500}}}
	require.ErrorIs(t, a.keepRecord(t.Context(), &m, "b", status, h), context.DeadlineExceeded)
	wanted := cluster.property // the fake has it written, and says that it failed
	require.Contains(t, wanted, "sync=b:1:c")
	assert.Equal(t, wanted, a.store.load().Record)
	assert.Equal(t, wanted, m.Record)
	assert.Zero(t, m.Recorded)

	cluster.failing, cluster.property = nil, present
	require.NoError(t, a.keepRecord(t.Context(), &m, "b", status, h))
	assert.Equal(t, wanted, cluster.property)
}
