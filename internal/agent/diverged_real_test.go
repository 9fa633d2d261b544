//go:build realpg

package agent

import (
	"fmt"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/pg"
)

// A primary that died before the first checkpoint after its promotion comes up as the standby that it was, and lets
// clients in long before it has replayed its own commits. Its start waits for these before the primary is asked.
func TestRealDivergenceInWhatIsStillToBeReplayed(t *testing.T) {
	old := realInstance{realAgent(t, "")}
	old.down(t, pg.Fast)
	primary := old.copied(t)

	require.NoError(t, old.startStandby(t.Context()))
	checkpointer, err := strconv.Atoi(old.sql(t, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"))
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(checkpointer, syscall.SIGSTOP))
	old.promoted(t)

	// Its first commit is before the place at which the primary leaves their timeline, and held back in the replay.
	old.sql(t, "CREATE TABLE late ()")
	committed := time.Now()
	old.sql(t, "CREATE TABLE junk AS SELECT generate_series(1, 100000)")
	old.down(t, pg.Kill)

	require.NoError(t, primary.startStandby(t.Context()))
	primary.promoted(t)
	primary.sql(t, "CREATE TABLE pad AS SELECT generate_series(1, 3000)")
	primary.down(t, pg.Fast)
	require.NoError(t, primary.startStandby(t.Context()))
	primary.promoted(t)

	replayed := time.Since(committed) + time.Second // from now on
	old.configure(t, fmt.Sprintf("primary_conninfo = 'host=%s port=5432 user=postgres'\nrecovery_min_apply_delay = %d\n",
		primary.conf.host, replayed.Milliseconds()))
	require.NoError(t, old.startStandby(t.Context()))
	old.req.Notify.Promoted = []string{"c"}
	require.ErrorContains(t, old.refuseDiverged(t.Context()), "diverged: left timeline 2 at ")
}
