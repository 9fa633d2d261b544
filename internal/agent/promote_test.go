package agent

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgsqlms/internal/election"
	"pgsqlms/internal/ocf"
	"pgsqlms/internal/wal"
)

// fakeCluster holds attributes as attrd does. What is under test is what the agent
// makes of them, and of their absence.
type fakeCluster struct {
	mu       sync.Mutex
	private  map[string]string // "node name"
	scores   map[string]int
	lasting  map[string]bool
	property string
	status   map[string]string
	promoted []string
	failing  error
	hanging  bool
}

func (f *fakeCluster) NodeName(context.Context) (string, error) { return "b", f.failing }
func (f *fakeCluster) Check() error                             { return f.failing }

func (f *fakeCluster) Members(context.Context) ([]string, error) {
	return []string{"a", "b", "c"}, f.failing
}

func (f *fakeCluster) Private(ctx context.Context, node, name string) (string, bool, error) {
	if f.hanging {
		<-ctx.Done()
		return "", false, ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	v, ok := f.private[node+" "+name]
	return v, ok, f.failing
}

func (f *fakeCluster) SetPrivate(_ context.Context, node, name, value string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.private[node+" "+name] = value
	return f.failing
}

func (f *fakeCluster) DeletePrivate(_ context.Context, node, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.private, node+" "+name)
	return f.failing
}

func (f *fakeCluster) PrivateOfAll(ctx context.Context, name string) (map[string]string, error) {
	values := map[string]string{}
	members, _ := f.Members(ctx)
	for _, node := range members {
		v, ok, err := f.Private(ctx, node, name)
		if err != nil {
			return nil, err
		}
		if ok {
			values[node] = v
		}
	}
	return values, nil
}

func (f *fakeCluster) Scores(_ context.Context, _ string, nodes []string) (map[string]int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	scores := maps.Clone(f.scores)
	maps.DeleteFunc(scores, func(node string, _ int) bool { return !slices.Contains(nodes, node) })
	return scores, f.failing
}

func (f *fakeCluster) StoredScore(_ context.Context, node, _ string) (int, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	v, ok := f.scores[node]
	return v, ok, f.failing
}

func (f *fakeCluster) SetScore(_ context.Context, node, _ string, score int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.scores[node] = score
	return f.failing
}

func (f *fakeCluster) DeleteLastingScore(_ context.Context, node, _ string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.lasting, node)
	return f.failing
}

func (f *fakeCluster) Property(context.Context, string) (string, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.property, f.property != "", f.failing
}

func (f *fakeCluster) SetProperty(_ context.Context, _, value string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.property = value
	return f.failing
}

func (f *fakeCluster) SetStatus(_ context.Context, node, _, text string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status[node] = text
	return f.failing
}

func (f *fakeCluster) Promoted(context.Context, string) ([]string, error) {
	return f.promoted, f.failing
}

// inBubble runs a test on a clock of its own, on which waiting costs no time.
func inBubble(test func(*testing.T)) func(*testing.T) {
	return func(t *testing.T) { synctest.Test(t, test) }
}

func newTestAgent(private map[string]string) (*agent, *fakeCluster) {
	cluster := &fakeCluster{private: private, scores: map[string]int{}, status: map[string]string{}}
	log := ocf.NewLogger("pgsqlms", "pgsqld", nil, &bytes.Buffer{}, true)
	req := ocf.ParseRequest([]string{"promote"}, []string{
		"OCF_RESOURCE_INSTANCE=pgsqld", "OCF_RESKEY_CRM_meta_on_node=b"}, time.Now())
	a := &agent{req: req, log: log, crm: cluster, node: "b", conf: config{guard: true}}
	a.endsWithShutdown = func(context.Context, wal.Position) (bool, error) { return false, nil }
	return a, cluster
}

// decide is without a record, as before the first promotion by this agent.
func decide(a *agent, t election.Transition) error {
	_, err := a.decide(context.Background(), candidate, nil, t, a.gather(context.Background(), "b", t))
	return err
}

var (
	candidate  = election.Vote{Node: "b", Position: wal.Position{Timeline: 2, LSN: 500}}
	failover   = election.Transition{Kind: election.Failover, Candidate: "b", Voters: []string{"b", "c"}}
	switchover = election.Transition{Kind: election.Switchover, Candidate: "b", OldPrimary: "a", Voters: []string{"b", "a", "c"}}
	handover   = election.Transition{Kind: election.Handover, Candidate: "b", OldPrimary: "a", Voters: []string{"b", "c"}}
)

func TestPromotionGoesToTheBestVoter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, cluster := newTestAgent(map[string]string{"c lsn_location-pgsqld": "2#501"})
		err := decide(a, failover)
		assert.ErrorContains(t, err, "c holds more WAL")
		assert.Equal(t, ocf.ErrGeneric, ocf.CodeOf(err))
		assert.Equal(t, map[string]int{"b": 1, "c": 1000}, cluster.scores)
	})
}

// Who was chosen again after it stepped aside was so by a location rule.
func TestARuleDoesNotWinAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, cluster := newTestAgent(map[string]string{"c lsn_location-pgsqld": "2#501"})
		cluster.scores = map[string]int{"b": 1, "c": 1000}
		assert.ErrorContains(t, decide(a, failover), "c holds more WAL")
		assert.Equal(t, map[string]int{"b": election.ScoreBanned, "c": 1000}, cluster.scores)
	})
}

func TestPromotionGoesOnWithTheBest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, cluster := newTestAgent(map[string]string{"c lsn_location-pgsqld": "2#500"})
		require.NoError(t, decide(a, failover))
		assert.Empty(t, cluster.scores, "a score that is written disturbs the transition")
	})
}

// A vote that never comes costs a bounded time; an unreadable one too.
func TestVoterThatSaysNothingIsAbsent(t *testing.T) {
	for name, private := range map[string]map[string]string{
		"no vote": {}, "garbage": {"c lsn_location-pgsqld": "2#many"},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			a, _ := newTestAgent(private)
			began := time.Now()
			require.NoError(t, decide(a, failover))
			assert.Less(t, time.Since(began), attributeWait+time.Second)
		}))
	}
}

// A vote may arrive after the candidate began to wait.
func TestVoteThatComesLateCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, cluster := newTestAgent(map[string]string{})
		time.AfterFunc(5*attributeEvery, func() {
			_ = cluster.SetPrivate(context.Background(), "c", "lsn_location-pgsqld", "3#1")
		})
		assert.ErrorContains(t, decide(a, failover), "c holds more WAL")
	})
}

func TestSwitchoverNeedsEvidence(t *testing.T) {
	cases := map[string]struct {
		published map[string]string
		refusal   string
	}{
		"complete":                        {map[string]string{"a shutdown_lsn-pgsqld": "2#500"}, ""},
		"incomplete":                      {map[string]string{"a shutdown_lsn-pgsqld": "2#501"}, "switchover cancelled: this node has WAL up to 0/1F4 on timeline 2"},
		"nothing published":               {map[string]string{}, "did not say where its WAL ends"},
		"left from an earlier switchover": {map[string]string{"a shutdown_lsn-pgsqld": "1#400"}, "did not say where its WAL ends"},
		"garbage":                         {map[string]string{"a shutdown_lsn-pgsqld": "now"}, "attribute shutdown_lsn-pgsqld of a"},
		"another node's word":             {map[string]string{"c shutdown_lsn-pgsqld": "2#500"}, "did not say where its WAL ends"},
	}
	for name, c := range cases {
		t.Run(name, inBubble(func(t *testing.T) {
			a, cluster := newTestAgent(c.published)
			err := decide(a, switchover)
			if c.refusal == "" {
				require.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, c.refusal)
			}
			if c.refusal == "" {
				assert.Empty(t, cluster.scores)
			} else {
				assert.Equal(t, map[string]int{"b": -1000000}, cluster.scores)
			}
		}))
	}
}

// What a primary said of an earlier reign, and the checkpoint of another one's shutdown, prove nothing about the timeline
// that it has begun since.
func TestSwitchoverNeedsTheOldPrimarysTimeline(t *testing.T) {
	for text, refused := range map[string]bool{
		"serial=3 timeline=3 node=a from=2@0/1F4 sync=a:0": true,
		"serial=3 timeline=3 node=A from=2@0/1F4 sync=A:0": true,
		"serial=3 timeline=3 node=c from=2@0/1F4 sync=c:0": false,
		"serial=3 timeline=2 node=a from=1@0/100 sync=a:0": false,
	} {
		for _, published := range []map[string]string{{"a shutdown_lsn-pgsqld": "2#500"}, {}} {
			t.Run(text, inBubble(func(t *testing.T) {
				a, _ := newTestAgent(published)
				a.endsWithShutdown = func(context.Context, wal.Position) (bool, error) { return true, nil }
				record, err := election.ParseRecord(text)
				require.NoError(t, err)
				me := candidate
				me.History = wal.History{Timeline: 2, Ancestors: []wal.Ancestor{{Timeline: 1, End: 0x100}}}
				_, err = a.decide(t.Context(), me, &record, switchover, a.gather(t.Context(), "b", switchover))
				if !refused {
					require.NoError(t, err)
					return
				}
				assert.ErrorContains(t, err, "this node has nothing of what a wrote on timeline 3, it is at 0/1F4 on timeline 2")
			}))
		}
	}
}

// An old primary run by PAF publishes nothing; its shutdown checkpoint speaks for it.
func TestSwitchoverFromPAF(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := newTestAgent(map[string]string{})
		a.endsWithShutdown = func(_ context.Context, end wal.Position) (bool, error) {
			return end == candidate.Position, nil
		}
		assert.NoError(t, decide(a, switchover))
		a.endsWithShutdown = func(context.Context, wal.Position) (bool, error) { return true, errors.New("no pg_waldump") }
		assert.ErrorContains(t, decide(a, switchover), "no pg_waldump")
	})
}

func TestHandoverIsDecidedByThoseWhoRemain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := newTestAgent(map[string]string{
			"a shutdown_lsn-pgsqld": "2#900", "c lsn_location-pgsqld": "2#400"})
		assert.NoError(t, decide(a, handover), "there is no old primary to go back to")
	})
}

func TestAttrdDownRefusesAPromotion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, transition := range []election.Transition{switchover, failover} {
			a, cluster := newTestAgent(nil)
			cluster.failing = errors.New("could not connect to attrd")
			assert.ErrorContains(t, decide(a, transition), "could not connect to attrd", transition.Kind)
		}
	})
}

func TestAttrdHangingRefusesAPromotion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, transition := range []election.Transition{switchover, failover} {
			a, cluster := newTestAgent(nil)
			cluster.hanging = true
			assert.Error(t, decide(a, transition), transition.Kind)
		}
	})
}

// A vote that was read once counts, whatever the attribute manager says of it later.
func TestGarbageAfterAFailureIsNoExcuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, cluster := newTestAgent(map[string]string{})
		cluster.failing = errors.New("busy")
		time.AfterFunc(5*attributeEvery, func() {
			cluster.mu.Lock()
			defer cluster.mu.Unlock()
			cluster.failing = nil
			cluster.private["c lsn_location-pgsqld"] = "2#500"
		})
		assert.NoError(t, decide(a, failover))
	})
}
