package scenario

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestSaidSince(t *testing.T) {
	const log = `2026-11-21 08:43:43.436 UTC [520] LOG:  entering standby mode
2026-11-21 08:43:44.217 UTC [644] LOG:  new timeline 3 forked off current database system timeline 2 before current recovery point 0/18C4D20
	a line that goes on
`
	said := time.Date(2026, 11, 21, 8, 43, 44, 217e6, time.UTC)
	assert.True(t, saidSince(log, divergence, said))
	assert.True(t, saidSince(log, divergence, said.Add(300*time.Microsecond)))
	assert.False(t, saidSince(log, divergence, said.Add(time.Second)))
	assert.False(t, saidSince("", divergence, said))
	assert.False(t, saidSince("forked off current database system timeline\n", divergence, said), "without a time")
}

func TestAStartThatWasRefusedForADivergence(t *testing.T) {
	failures := []string{
		"pgsqld_start_0 on n1: error diverged: left timeline 3 at 0/5000060, 176 bytes of WAL beyond it are not the primary's",
		"pgsqld_start_0 on n2: error PostgreSQL did not start as a standby",
		"pgsqld_monitor_15000 on n3: error diverged: left timeline 3 at 0/5000060",
	}
	assert.True(t, refusedStart(failures, "n1"))
	assert.False(t, refusedStart(failures, "n2"))
	assert.False(t, refusedStart(failures, "n3"), "a start is to come")
	assert.False(t, refusedStart(failures, "n"))
}
