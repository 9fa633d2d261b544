package agent

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/crm"
	"pgsqlms/internal/ocf"
)

// The version is told once, again after an upgrade, and by the next monitor where it could
// not be told. Who runs a monitor by hand tells nothing.
func TestTheVersionIsTold(t *testing.T) {
	a, cluster := newTestAgent(map[string]string{})
	a.store = newStore(t.TempDir(), "pgsqld")
	name := "b " + crm.VersionAttribute("pgsqld")
	tell := func(version string) {
		a.program = version
		if !a.req.Recurring() {
			a.tellAgain()
		}
		a.tellVersion(t.Context(), a.store.load().Version)
	}
	by := func(interval string) {
		a.req = ocf.ParseRequest([]string{"monitor"}, []string{
			"OCF_RESOURCE_INSTANCE=pgsqld", "OCF_RESKEY_CRM_meta_on_node=b", "OCF_RESKEY_CRM_meta_interval=" + interval, "OCF_RESKEY_CRM_meta_timeout=60000",
		}, time.Now())
	}
	by("0")
	tell("1.0")
	require.NotContains(t, cluster.private, name, "by hand")
	by("2000")
	tell("0.9")
	delete(cluster.private, name) // Pacemaker was started again
	by("0")
	tell("0.9")
	by("2000")
	tell("0.9")
	require.Equal(t, "0.9", cluster.private[name], "after a probe")
	cluster.failing = errors.New("attrd is away")
	tell("1.0")
	cluster.failing = nil
	delete(cluster.private, name) // where the fake has it all the same
	tell("1.0")
	require.Equal(t, "1.0", cluster.private[name])
	delete(cluster.private, name)
	tell("1.0")
	require.NotContains(t, cluster.private, name, "once")
	tell("1.1")
	require.Equal(t, "1.1", cluster.private[name])
}
