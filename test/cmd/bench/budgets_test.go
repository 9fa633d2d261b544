package main

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"pgsqlms/test/lab"
)

// verdicts are a report's budgets by what they are about.
func verdicts(r *report) map[string]string {
	by := map[string]string{}
	for _, b := range r.budgets() {
		by[b.What] = b.Verdict + ": " + b.Found
	}
	return by
}

func TestBudgets(t *testing.T) {
	assert.Equal(t, map[string]string{
		"healthy monitor, primary: CPU at most 1/20 of PAF's":                         "met: 1/25",
		"healthy monitor, primary: no forked process":                                 "met: 0",
		"healthy monitor, primary: peak memory under 25 MB":                           "met: 10.0 MB",
		"healthy monitor, standby: CPU at most 1/20 of PAF's":                         "not measured: -",
		"healthy monitor, standby: no forked process":                                 "not measured: -",
		"healthy monitor, standby: peak memory under 25 MB":                           "not measured: -",
		"a monitor every second under 1 % of a core: the agent's own":                 "met: 0.40 %",
		"the same with what Pacemaker and PostgreSQL do for it, an instance":          "met: 0.80 % at most",
		"switchover: at most 1.5 times the floor":                                     "not met: 2.00",
		"switchover: at most a third of PAF's":                                        "met: 0.25",
		"switchover under load: at most a third of PAF's":                             "not measured: -",
		"postmaster killed: interval of the monitor + crash recovery + 1.5 s at most": "met: 1.00 s beside both at most",
		"node lost: token + fencing + 1.5 s at most":                                  "met: 1.50 s beside both at most",
		"node lost with dirty buffers on the voters: within 1 s of the one without":   "not met: +1.50 s, 2048 MB dirty at least",
		"election of a switchover: less than 50 ms more a node":                       "not met: 50 ms",
		"election of a kill-node: less than 50 ms more a node":                        "not measured: -",
	}, verdicts(sampleReport()))
}

// What each fault has to keep is judged by the worst, and the worst is one that was never over.
func TestBudgetsAreJudgedByTheWorst(t *testing.T) {
	r := sampleReport()
	const crash = "postmaster killed: interval of the monitor + crash recovery + 1.5 s at most"
	r.Faults = append(r.Faults, faultFigures{What: whatKillPG, Agent: "pgsqlms", Gap: 90, Interval: 15, Split: map[string]float64{}})
	assert.Equal(t, "not met: 1.00 s beside both at most, and 1 without an end", verdicts(r)[crash])
	r.Faults = r.Faults[:len(r.Faults)-1]
	assert.Equal(t, "met: 1.00 s beside both at most", verdicts(r)[crash])
	r.Faults = append(r.Faults, faultFigures{What: whatKillPG, Agent: "pgsqlms", Measured: true, Gap: 18, Interval: 15, Split: map[string]float64{}})
	assert.Equal(t, "not met: 3.00 s beside both at most", verdicts(r)[crash])
	r.Monitors = append(r.Monitors, monitorFigures{Agent: "pgsqlms", Role: "primary", CPU: 0.004, PeakMB: 25, Forks: 1})
	assert.Equal(t, "not met: 25.0 MB", verdicts(r)["healthy monitor, primary: peak memory under 25 MB"])
	assert.Equal(t, "not met: 1", verdicts(r)["healthy monitor, primary: no forked process"])
}

func TestPatroniIsComparedAtEqualSettings(t *testing.T) {
	r := sampleReport()
	const ahead = "kill-node: ahead of Patroni at equal detection settings"
	r.Agents = append(r.Agents, agent{"pgsqlms equal", "/x/pgsqlms", equal}, agent{"patroni equal", lab.AgentPatroni, equal},
		agent{"patroni", lab.AgentPatroni, recommended})
	r.Faults = append(r.Faults, faultFigures{What: whatKillNode, Agent: "pgsqlms equal", Measured: true, Gap: 5},
		faultFigures{What: whatKillNode, Agent: "patroni", Measured: true, Gap: 25})
	assert.Equal(t, "not measured: -", verdicts(r)[ahead])
	r.Faults = append(r.Faults, faultFigures{What: whatKillNode, Agent: "patroni equal", Measured: true, Gap: 4})
	assert.Equal(t, "not met: 1.25", verdicts(r)[ahead])
	assert.Equal(t, "not measured: -", verdicts(r)["switchover-load: ahead of Patroni at equal detection settings"])
}

func TestTheCoordinatorsShare(t *testing.T) {
	f := faultFigures{Before: "n1", Coordinator: "n1"}
	assert.True(t, f.coordinatorLost())
	f.Coordinator = "n2"
	assert.False(t, f.coordinatorLost())
	assert.False(t, faultFigures{}.coordinatorLost())
}
