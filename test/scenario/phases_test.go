package scenario

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

const lossOfN1 = `Nov 21 08:35:21.417 n3 pacemaker-controld  [66] (update_peer_state_iter) 	notice: Node n1 state is now lost | an earlier time
Nov 21 08:35:39.749 n3 pacemaker-controld  [66] (update_peer_state_iter) 	notice: Node n1 state is now lost | nodeid=1 previous=member
Nov 21 08:35:39.761 n3 pacemaker-based     [61] (update_peer_state_iter) 	notice: Node n1 state is now lost | nodeid=1 previous=member
pgsqlms(pgsqld)[777]:	Nov 21 08:35:39 INFO: a line without milliseconds
Nov 21 08:35:39.853 n3 pacemaker-controld  [66] (controld_execute_fence_action) 	notice: Requesting fencing (reboot) of node n10 | action=1 timeout=60000
Nov 21 08:35:39.853 n3 pacemaker-controld  [66] (controld_execute_fence_action) 	notice: Requesting fencing (reboot) of node n1 | action=1 timeout=60000
Nov 21 08:35:40.113 n3 pacemaker-fenced    [62] (finalize_op) 	notice: Operation 'reboot' targeting n1 by n2 for pacemaker-controld.66@n3: OK (complete) | id=02eb58a0
Nov 21 08:35:40.889 n2 pacemaker-controld  [67] (log_executor_event) 	notice: Result of promote operation for pgsqld on n2: ok | CIB update 34, graph action confirmed
Nov 21 08:35:41.961 n2 pacemaker-controld  [67] (log_executor_event) 	notice: Result of start operation for pgsql-vip on n2: ok | CIB update 36
`

func atSecond(s float64) time.Time {
	return time.Date(2026, 11, 21, 8, 35, 0, 0, time.UTC).Add(time.Duration(s * float64(time.Second)).Round(time.Millisecond))
}

func TestPhases(t *testing.T) {
	var p Phases
	p.read(lossOfN1, "n1", atSecond(36))
	assert.Equal(t, Phases{Lost: atSecond(39.749), FenceAsked: atSecond(39.853), FenceTaken: atSecond(40.113),
		PromoteDone: atSecond(40.889), VIPDone: atSecond(41.961)}, p)
	assert.Equal(t, 260*time.Millisecond, p.Fencing())
}

func TestPhasesOfSeveralLogsAreTheEarliest(t *testing.T) {
	var p Phases
	p.read("Nov 21 08:35:39.761 n2 x: Node n1 state is now lost\n", "n1", atSecond(36))
	p.read(lossOfN1, "n1", atSecond(36))
	p.read("Nov 21 08:35:39.799 n4 x: Node n1 state is now lost\n", "n1", atSecond(36))
	assert.Equal(t, atSecond(39.749), p.Lost)
}

func TestPhasesThatWereNot(t *testing.T) {
	var p Phases
	p.read("", "n1", atSecond(36))
	p.read(lossOfN1, "n2", atSecond(50))
	assert.Equal(t, Phases{}, p)
	assert.Zero(t, p.Fencing())
}

func TestLogTime(t *testing.T) {
	at, ok := LogTime("Jan  1 00:00:01.500 n1", time.Date(2026, 12, 31, 23, 59, 59, 0, time.UTC))
	assert.True(t, ok)
	assert.Equal(t, time.Date(2027, 1, 1, 0, 0, 1, 500e6, time.UTC), at)
	for _, line := range []string{"", "short", "pgsqlms(pgsqld)[777]:	Nov 21 08:35:39 INFO"} {
		_, ok := LogTime(line, atSecond(0))
		assert.False(t, ok, line)
	}
}

func TestLastHealthy(t *testing.T) {
	const log = `Nov 21 08:35:10.000 n1 x: notice: Result of monitor operation for pgsqld on n1: promoted | CIB update 1
Nov 21 08:35:20.000 n1 x: notice: Result of monitor operation for pgsqld on n1: promoted | CIB update 2
Nov 21 08:35:30.000 n1 x: notice: Result of monitor operation for pgsqld on n1: ok | CIB update 3
Nov 21 08:35:31.000 n1 x: notice: Result of monitor operation for pgsql-vip on n1: ok | CIB update 4
`
	at, ok := lastHealthy(log, atSecond(40))
	assert.True(t, ok)
	assert.Equal(t, atSecond(20), at)
	_, ok = lastHealthy("", atSecond(40))
	assert.False(t, ok)
}
