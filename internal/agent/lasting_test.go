package agent

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"pgsqlms/internal/ocf"
	"pgsqlms/internal/pg"
	"pgsqlms/internal/wal"
)

// What took so many monitors at the intervals of PAF takes as long where they come every second.
func TestHowManyMonitorsALengthOfTimeTakes(t *testing.T) {
	for _, c := range []struct {
		what            lasting
		every           time.Duration
		monitors        int
		fewest, longest time.Duration
	}{
		{settled, 15 * time.Second, 2, 15 * time.Second, 15 * time.Second},
		{settled, 16 * time.Second, 2, 15 * time.Second, 16 * time.Second},
		{settled, 2 * time.Second, 9, 15 * time.Second, 17 * time.Second},
		{unreachable, 16 * time.Second, 5, time.Minute, 64 * time.Second},
		{unreachable, 2 * time.Second, 31, time.Minute, time.Minute},
		{patience, 16 * time.Second, 3, 30 * time.Second, 32 * time.Second},
		{patience, 2 * time.Second, 16, 30 * time.Second, 30 * time.Second},
		{patience, time.Hour, 3, time.Hour, 2 * time.Hour},
		{patience, 0, 3, 0, 0},
	} {
		n := c.what.in(c.every)
		assert.Equal(t, c.monitors, n, "%v every %s", c.what, c.every)
		span := time.Duration(n-1) * c.every
		assert.GreaterOrEqual(t, span, c.fewest)
		assert.LessOrEqual(t, span, c.longest)
	}
}

func everySecond(timeout string) *agent {
	a, _ := newTestAgent(nil)
	a.req = ocf.ParseRequest([]string{"monitor"}, []string{
		"OCF_RESOURCE_INSTANCE=pgsqld", "OCF_RESKEY_CRM_meta_on_node=b",
		"OCF_RESKEY_CRM_meta_interval=1000", "OCF_RESKEY_CRM_meta_timeout=" + timeout,
	}, time.Now())
	return a
}

// Each monitor that has no answer waits for it, so that fewer of them make as long a time.
func TestMonitorsThatWaitForAnAnswer(t *testing.T) {
	assert.Equal(t, 5, hangs.in(everySecond("10000").missEvery()))
	assert.Equal(t, 3, hangs.in(everySecond("60000").missEvery()))
	a, _ := newTestAgent(nil)
	assert.Equal(t, 3, hangs.in(a.missEvery()), "by hand")
}

// A count is of one monitor after the other: an answer in between comes a second later.
func TestACountOfEverySecond(t *testing.T) {
	inBubble(func(t *testing.T) {
		a := everySecond("10000")
		text := func(ago time.Duration) string {
			return fmt.Sprintf("2@%d", time.Now().Add(-ago).UnixMilli())
		}
		next, afterAnAnswer := text(time.Second), text(2*time.Second)
		time.Sleep(8 * time.Second) // PostgreSQL is asked, and storage is slow
		assert.Equal(t, 2, a.countedBefore(next))
		assert.Zero(t, a.countedBefore(afterAnAnswer))
	})(t)
}

// A connection that takes longer than from one monitor to the next is let come about.
func TestHowOftenAReceiverIsEnded(t *testing.T) {
	ended := func(a *agent) (at []int) {
		for n := 1; n <= 40; n++ {
			if a.mayReconnect(n) {
				at = append(at, n)
			}
		}
		return at
	}
	assert.Equal(t, []int{2, 17, 32}, ended(everySecond("10000")))
	a, _ := newTestAgent(nil)
	assert.Len(t, ended(a), 40)
}

func TestReplayThatStands(t *testing.T) {
	var m memory
	at := func(l wal.LSN) int { m.stands(&l); return m.Stands }
	assert.Equal(t, []int{1, 2, 1, 1, 2, 3}, []int{at(7), at(7), at(8), at(9), at(9), at(9)})
	m.stands(nil)
	assert.Zero(t, m.Stands)
	assert.Equal(t, 1, at(0))
}

// What is shown is what has lasted, whatever the interval.
func TestWhyItDoesNotStreamIsShownAfterAWhile(t *testing.T) {
	up := pg.Upstream{Refusal: "no entry"}
	for n, shown := range map[int]bool{1: false, 2: false, 15: false, 16: true} {
		assert.Equal(t, shown, everySecond("10000").muteText(up, nil, n) != "", n)
	}
}
