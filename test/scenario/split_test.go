package scenario

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"pgsqlms/internal/crm"
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
		split(all, from, to))
}

func TestFencingInASplit(t *testing.T) {
	all := clusterActivities(lossOfN1, atSecond(36), atSecond(41))
	assert.Contains(t, all, crm.Activity{Part: "fencing", From: atSecond(39.853), To: atSecond(40.113)})
	s := split(all, atSecond(38), atSecond(41))
	assert.Equal(t, 1853*time.Millisecond, s["detection"])
	assert.Equal(t, 260*time.Millisecond, s["fencing"])
}

// Without an address that moves nothing tells when the client could go on.
func TestASplitWithoutAnAddress(t *testing.T) {
	s := split([]crm.Activity{{Part: "stop", From: atSecond(1), To: atSecond(3)}}, atSecond(2), atSecond(4))
	assert.Equal(t, Split{"stop": time.Second, "cluster": time.Second}, s)
}

func TestASplitOfNothing(t *testing.T) {
	assert.Nil(t, split(nil, atSecond(1), atSecond(2)))
	assert.Nil(t, split([]crm.Activity{{Part: "stop", From: atSecond(1), To: atSecond(2)}}, atSecond(2), atSecond(2)))
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
		for part, d := range split(all, atSecond(from), atSecond(to)) {
			assert.Contains(t, Parts, part)
			assert.Positive(t, d)
			sum += d
		}
		assert.Equal(t, atSecond(to).Sub(atSecond(from)), sum)
	})
}
