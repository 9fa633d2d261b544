package faults

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"pgsqlms/test/lab"
)

const (
	halfLine   = "2026-11-21 10:56:00.000 UTC [14] FATAL:  according to history file, " + halfSaid + "\n"
	forkedSaid = "new timeline 4 forked off current database system timeline 3 before current recovery point 0/5000148"
	forkedLine = "2026-11-21 10:55:00.000 UTC [12] LOG:  " + forkedSaid + "\n"
)

func statusOf(attributes map[string]string, failures ...string) *lab.Status {
	return &lab.Status{Failures: failures, Nodes: map[string]lab.NodeStatus{"n3": {Attributes: attributes}}}
}

// A half received segment is no divergence, and hides none, whatever PostgreSQL says last.
func TestSaidDiverged(t *testing.T) {
	failed := "pgsqld_start_0 on n3: error diverged: left timeline 3"
	for _, c := range []struct {
		name, log string
		status    *lab.Status
		said      string
	}{
		{"nothing", "", statusOf(nil), ""},
		{"a half segment", halfLine, statusOf(nil, "pgsqld_start_0 on n3: error"), halfSaid},
		{"a divergence before", forkedLine + halfLine, statusOf(nil), forkedSaid},
		{"a divergence after", halfLine + forkedLine, statusOf(nil), forkedSaid},
		{"the agent's word", halfLine, statusOf(nil, failed), failed},
		{"the attribute", halfLine, statusOf(map[string]string{"pgsqld-status": "diverged"}), "pgsqld-status=diverged"},
	} {
		var n NodeLog
		n.parsePostgres(c.log)
		assert.Equal(t, c.said, saidDiverged(n, c.status, "n3"), c.name)
	}
}

// A failed start shows a half segment, and no divergence: that has an attribute of its own.
func TestShownBy(t *testing.T) {
	failed := "pgsqld_start_0 on n3: error (PostgreSQL did not start)"
	half, forked := Divergence{Node: "n3", Said: halfSaid}, Divergence{Node: "n3", Said: forkedSaid}
	assert.Equal(t, failed, half.shownBy(statusOf(nil, failed)))
	assert.Empty(t, half.shownBy(statusOf(nil, "pgsqld_start_0 on n2: error")))
	assert.Empty(t, forked.shownBy(statusOf(nil, failed)))
	shown := map[string]string{"pgsqld-status": "diverged: left timeline 3"}
	assert.Equal(t, "pgsqld-status", forked.shownBy(statusOf(shown, failed)))
	assert.Equal(t, "pgsqld-status", half.shownBy(statusOf(shown, failed)))
}

// looks give one state of n3 after the other, and the last one again and again.
func looks(states ...lab.NodeStatus) asker {
	return func(context.Context) (*lab.Status, error) {
		now := states[0]
		if len(states) > 1 {
			states = states[1:]
		}
		return &lab.Status{Nodes: map[string]lab.NodeStatus{"n3": now}}, nil
	}
}

// That an instance has diverged is not enough: it must not go on serving. One that is silent for a moment is being restarted.
func TestADivergedInstanceIsStopped(t *testing.T) {
	up, primary, down := lab.NodeStatus{SQL: "standby"}, lab.NodeStatus{SQL: "primary"}, lab.NodeStatus{SQL: "no answer"}
	for _, c := range []struct {
		name   string
		ask    asker
		serves bool
		took   time.Duration
	}{
		{"down already", looks(down), false, 500 * time.Millisecond},
		{"stopped after a while", looks(up, up, down), false, 1500 * time.Millisecond},
		{"started again in between", looks(up, down, up, down), false, 2 * time.Second},
		{"it goes on serving", looks(up), true, stopBound},
		{"as a primary, even", looks(primary), true, stopBound},
		{"without power", looks(lab.NodeStatus{}), false, 500 * time.Millisecond},
		{"nobody can say", func(context.Context) (*lab.Status, error) { return nil, errors.New("no power switch") }, true, stopBound},
	} {
		synctest.Test(t, func(t *testing.T) {
			d, began := Divergence{Node: "n3", Said: forkedSaid}, time.Now()
			err := d.awaitStopped(t.Context(), c.ask)
			assert.Equal(t, c.serves, err != nil, c.name)
			assert.Equal(t, c.serves, d.Serves, c.name)
			assert.Equal(t, c.took, time.Since(began), c.name)
		})
	}
	half := Divergence{Node: "n3", Said: halfSaid}
	assert.NoError(t, half.awaitStopped(t.Context(), looks(up)), "where PostgreSQL cannot start there is nothing to wait for")
	assert.False(t, half.Serves)
}

func TestADivergenceIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shown := lab.NodeStatus{Score: "-1000", Attributes: map[string]string{"pgsqld-status": "diverged: left timeline 3"}}
		d, began := Divergence{Node: "n3", Said: forkedSaid}, time.Now()
		assert.NoError(t, d.awaitShown(t.Context(), 15*time.Second, looks(lab.NodeStatus{}, shown)))
		assert.Equal(t, Divergence{Node: "n3", Said: forkedSaid, Score: "-1000", Shown: "pgsqld-status"}, d)
		assert.Equal(t, 500*time.Millisecond, time.Since(began))
		d = Divergence{Node: "n3", Said: forkedSaid}
		assert.Error(t, d.awaitShown(t.Context(), 15*time.Second, looks(lab.NodeStatus{Score: "1000"})))
		assert.Equal(t, Divergence{Node: "n3", Said: forkedSaid, Score: "1000"}, d)
	})
}
