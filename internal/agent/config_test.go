package agent

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgsqlms/internal/command"
	"pgsqlms/internal/ocf"
)

// nameService answers in the place of the machine's users.
func nameService(t *testing.T, answer func(ctx context.Context) error) {
	t.Helper()
	lookupUser = func(ctx context.Context, _ string) (command.User, error) { return command.User{}, answer(ctx) }
	t.Cleanup(func() { lookupUser = command.LookupUser })
}

func hang(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// A name service that hangs leaves most of an action's time: stop must be able to end
// what runs.
func TestNameServiceThatHangs(t *testing.T) {
	nameService(t, hang)
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	req := ocf.ParseRequest([]string{"stop"}, []string{"OCF_RESKEY_pgdata=" + t.TempDir(), "OCF_RESKEY_system_user=far"}, time.Now())
	c := readConfig(ctx, req, "")
	assert.NoError(t, ctx.Err(), "nothing is left of the action's time")
	require.Len(t, c.problems, 1)
	assert.ErrorContains(t, c.problems[0], `no user "far"`)
}

// A demotion, which validates nothing, starts the instance in no other's place. It keeps the
// instance away from the node for a user that there is not, and not for one that could not
// be looked up.
func TestDemotionWithoutTheSystemUser(t *testing.T) {
	unknown := func(context.Context) error { return command.ErrUnknownUser }
	broken := func(context.Context) error { return errors.New("/usr/bin/getent exited with 1: ") }
	for _, c := range []struct {
		answer func(context.Context) error
		want   ocf.ExitCode
	}{{hang, ocf.ErrGeneric}, {broken, ocf.ErrGeneric}, {unknown, ocf.ErrInstalled}} {
		nameService(t, c.answer)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		req := ocf.ParseRequest([]string{"demote"}, []string{"OCF_RESKEY_pgdata=" + t.TempDir(), "OCF_RESKEY_system_user=far"}, time.Now())
		a := &agent{req: req, conf: readConfig(ctx, req, "")}
		cancel()
		assert.Equal(t, c.want, ocf.CodeOf(a.startStandby(t.Context())))
		assert.Equal(t, c.want, ocf.CodeOf(a.validateAll(t.Context())), "nor does a start")
	}
}
