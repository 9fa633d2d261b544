package faults

import (
	"testing"

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
