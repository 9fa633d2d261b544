package agent

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgsqlms/internal/command"
	"pgsqlms/internal/ocf"
)

// A name service that hangs leaves most of an action's time: stop must be able to end
// what runs.
func TestNameServiceThatHangs(t *testing.T) {
	lookupUser = func(ctx context.Context, _ string) (command.User, error) {
		<-ctx.Done()
		return command.User{}, ctx.Err()
	}
	t.Cleanup(func() { lookupUser = command.LookupUser })
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	req := ocf.ParseRequest([]string{"stop"}, []string{"OCF_RESKEY_pgdata=" + t.TempDir(), "OCF_RESKEY_system_user=far"}, time.Now())
	c := readConfig(ctx, req, "")
	assert.NoError(t, ctx.Err(), "nothing is left of the action's time")
	require.Len(t, c.problems, 1)
	assert.ErrorContains(t, c.problems[0], `no user "far"`)
}
