package scenario

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"pgsqlms/internal/crm"
	"pgsqlms/test/writer"
)

const switchoverLog = `Nov 21 08:35:10.000 n1 pacemaker-controld  [68] (do_lrm_rsc_op) 	notice: Requesting local execution of notify operation for pgsqld on n1 | transition_key=50:1:0:x op_key=pgsqld_notify_0
Nov 21 08:35:10.100 n1 pacemaker-execd     [65] (log_finished) 	info: pgsqld notify (call 18, PID 572) exited with status 0 (execution time 99ms)
Nov 21 08:35:10.200 n1 pacemaker-controld  [68] (do_lrm_rsc_op) 	notice: Requesting local execution of demote operation for pgsqld on n1 | transition_key=1
Nov 21 08:35:10.800 n1 pacemaker-controld  [68] (log_executor_event) 	notice: Result of demote operation for pgsqld on n1: ok | CIB update 24
Nov 21 08:35:11.000 n1 pacemaker-controld  [68] (do_lrm_rsc_op) 	notice: Requesting local execution of start operation for pgsql-vip on n1 | transition_key=1
Nov 21 08:35:11.100 n1 pacemaker-controld  [68] (log_executor_event) 	notice: Result of start operation for pgsql-vip on n1: ok | CIB update 25
`

const demotedLog = `2026-11-21 08:35:10.300 UTC [1] @/ LOG:  received fast shutdown request
2026-11-21 08:35:10.500 UTC [1] @/ LOG:  database system is shut down
2026-11-21 08:35:10.600 UTC [2] @/ LOG:  starting PostgreSQL 15.1
2026-11-21 08:35:10.700 UTC [2] @/ LOG:  database system is ready to accept read-only connections
`

func TestSplit(t *testing.T) {
	from, to := atSecond(10.05), atSecond(11.3)
	all := append(clusterActivities(switchoverLog, atSecond(0), to), databaseActivities(demotedLog, atSecond(0), to)...)
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	assert.Equal(t, Split{"notify": ms(50), "cluster": ms(300), "agent": ms(300), "stop": ms(200), "start": ms(100), "VIP": ms(100), "client": ms(200)},
		split(all, from, to, ending{}))
}

func TestFencingInASplit(t *testing.T) {
	all := clusterActivities(lossOfN1, atSecond(36), atSecond(41))
	assert.Contains(t, all, crm.Activity{Part: "fencing", From: atSecond(39.853), To: atSecond(40.113)})
	s := split(all, atSecond(38), atSecond(41), ending{})
	assert.Equal(t, 1853*time.Millisecond, s["detection"])
	assert.Equal(t, 260*time.Millisecond, s["fencing"])
}

// Without an address that moves nothing tells when the client could go on.
func TestASplitWithoutAnAddress(t *testing.T) {
	s := split([]crm.Activity{{Part: "stop", From: atSecond(1), To: atSecond(3)}}, atSecond(2), atSecond(4), ending{})
	assert.Equal(t, Split{"stop": time.Second, "cluster": time.Second}, s)
}

func TestASplitOfNothing(t *testing.T) {
	assert.Nil(t, split(nil, atSecond(1), atSecond(2), ending{}))
	assert.Nil(t, split([]crm.Activity{{Part: "stop", From: atSecond(1), To: atSecond(2)}}, atSecond(2), atSecond(2), ending{}))
}

// Whatever was under way, every moment of the gap is put down to one part.
func TestASplitAddsUpToTheGap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		second := rapid.Float64Range(0, 20)
		var all []crm.Activity
		for range rapid.IntRange(1, 8).Draw(t, "n") {
			from := second.Draw(t, "from")
			all = append(all, crm.Activity{
				Part: rapid.SampledFrom(precedence).Draw(t, "part"), From: atSecond(from), To: atSecond(from + second.Draw(t, "length")),
			})
		}
		from := second.Draw(t, "gap from")
		to := from + 0.001 + second.Draw(t, "gap")
		sum := time.Duration(0)
		last := ending{through: atSecond(second.Draw(t, "through")), streaming: atSecond(second.Draw(t, "streaming"))}
		for part, d := range split(all, atSecond(from), atSecond(to), last) {
			assert.Contains(t, Parts, part)
			assert.Positive(t, d)
			sum += d
		}
		assert.Equal(t, atSecond(to).Sub(atSecond(from)), sum)
	})
}

// What the client waits for after the address, once it is through, is the standby that its commit needs, as long as none
// streams.
func TestTheWaitForAStandby(t *testing.T) {
	moved := []crm.Activity{{Part: "promote", From: atSecond(1), To: atSecond(2)}, {Part: "VIP", From: atSecond(2), To: atSecond(3)}}
	s := time.Second
	for name, c := range map[string]struct {
		all  []crm.Activity
		last ending
		want Split
	}{
		"a standby comes late":       {moved, ending{atSecond(4), atSecond(6)}, Split{"promote": s, "VIP": s, "client": s, "standby": 3 * s}},
		"it was there":               {moved, ending{atSecond(6), atSecond(4)}, Split{"promote": s, "VIP": s, "client": 4 * s}},
		"none came":                  {moved, ending{through: atSecond(4)}, Split{"promote": s, "VIP": s, "client": 4 * s}},
		"the client is not known":    {moved, ending{streaming: atSecond(6)}, Split{"promote": s, "VIP": s, "client": 4 * s}},
		"through before the address": {moved, ending{atSecond(1.5), atSecond(6)}, Split{"promote": s, "VIP": s, "standby": 4 * s}},
		"no address in the logs":     {moved[:1], ending{atSecond(4), atSecond(6)}, Split{"promote": s, "cluster": 2 * s, "standby": 3 * s}},
	} {
		assert.Equal(t, c.want, split(c.all, atSecond(1), atSecond(7), c.last), name)
	}
}

// The old address is taken away beside what everybody waits for, which is what counts.
func TestTheStopOfTheAddress(t *testing.T) {
	const log = `Nov 21 08:35:10.000 n1 pacemaker-controld  [68] (do_lrm_rsc_op) 	notice: Requesting local execution of stop operation for pgsql-vip on n1 | transition_key=1
Nov 21 08:35:10.100 n1 pacemaker-controld  [68] (do_lrm_rsc_op) 	notice: Requesting local execution of notify operation for pgsqld on n1 | transition_key=1
Nov 21 08:35:10.300 n1 pacemaker-execd     [65] (log_finished) 	info: pgsqld notify (call 18, PID 572) exited with status 0 (execution time 99ms)
Nov 21 08:35:10.400 n1 pacemaker-controld  [68] (log_executor_event) 	notice: Result of stop operation for pgsql-vip on n1: ok | CIB update 25
`
	all := clusterActivities(log, atSecond(0), atSecond(11))
	ms := time.Millisecond
	assert.Equal(t, Split{"VIP": 200 * ms, "notify": 200 * ms, "cluster": 600 * ms}, split(all, atSecond(10), atSecond(11), ending{}),
		"and it is not the address that the client waits for")
}

func TestThrough(t *testing.T) {
	attempt := func(sent, answered int, kind writer.Kind) writer.Attempt {
		return writer.Attempt{Sent: time.Duration(sent) * time.Second, Answered: time.Duration(answered) * time.Second, Kind: kind}
	}
	h := writer.History{Epoch: atSecond(0), Attempts: []writer.Attempt{
		attempt(0, 1, writer.Acknowledged), attempt(1, 2, writer.InDoubt), attempt(2, 3, writer.Refused),
		attempt(4, 5, writer.InDoubt), attempt(5, 6, writer.InDoubt), attempt(6, 7, writer.Acknowledged),
	}}
	h.Attempts[5].Node = "n2"
	at, node := through(h, writer.Gap{From: time.Second, To: 7 * time.Second})
	assert.Equal(t, atSecond(4), at)
	assert.Equal(t, "n2", node)
	at, _ = through(h, writer.Gap{From: time.Second, To: 9 * time.Second, Open: true})
	assert.Zero(t, at)
}

func TestFirstStandby(t *testing.T) {
	const log = `2026-11-21 08:35:10.300 UTC [1] replicator@[unknown]/n3 LOG:  received replication command: START_REPLICATION 0/3000000 TIMELINE 1
2026-11-21 08:35:12.400 UTC [2] replicator@[unknown]/n3 LOG:  received replication command: IDENTIFY_SYSTEM
2026-11-21 08:35:12.500 UTC [2] replicator@[unknown]/n3 LOG:  received replication command: START_REPLICATION 0/3000000 TIMELINE 2
2026-11-21 08:35:12.700 UTC [3] replicator@[unknown]/n1 LOG:  received replication command: START_REPLICATION 0/3000000 TIMELINE 2
`
	assert.Equal(t, atSecond(12.5), firstStandby(log, atSecond(11)))
	assert.Zero(t, firstStandby(log, atSecond(13)))
}

func TestTransitions(t *testing.T) {
	const log = `Nov 21 08:35:09.000 n1 pacemaker-schedulerd[67] (pcmk__log_transition_summary) 	notice: Calculated transition 7, saving inputs in /var/lib/pacemaker/pengine/pe-input-7.bz2
Nov 21 08:35:10.000 n1 pacemaker-schedulerd[67] (pcmk__log_transition_summary) 	notice: Calculated transition 8, saving inputs in /var/lib/pacemaker/pengine/pe-input-8.bz2
Nov 21 08:35:10.500 n1 pacemaker-schedulerd[67] (pcmk__log_transition_summary) 	error: Calculated transition 9 (with errors), saving inputs in /var/lib/pacemaker/pengine/pe-error-9.bz2
Nov 21 08:35:10.600 n1 pacemaker-controld  [68] (run_graph) 	notice: Transition 9 (Complete=1): Complete
Nov 21 08:35:12.000 n1 pacemaker-schedulerd[67] (pcmk__log_transition_summary) 	notice: Calculated transition 10, saving inputs in /var/lib/pacemaker/pengine/pe-input-10.bz2
`
	assert.Equal(t, 2, transitions(log, atSecond(9.5), atSecond(11)))
}
