//go:build realpg

package agent

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/command"
	"pgsqlms/internal/ocf"
)

// A system user that is gone is replaced by the owner of the data, unless somebody else
// has a hand in the way to them.
func TestRealOwnerInTheUsersPlace(t *testing.T) {
	const victim, other = 4711, 4712
	top := t.TempDir()
	data, link := filepath.Join(top, "data"), filepath.Join(top, "link")
	require.NoError(t, os.Mkdir(data, 0o700))
	require.NoError(t, os.Chown(data, victim, victim))
	require.NoError(t, os.Symlink(data, link))
	lookupUser = func(context.Context, string) (command.User, error) { return command.User{}, command.ErrUnknownUser }
	t.Cleanup(func() { lookupUser = command.LookupUser })
	actor := func() uint32 {
		req := ocf.ParseRequest([]string{"stop"}, []string{"OCF_RESKEY_pgdata=" + link}, time.Now())
		c := readConfig(t.Context(), req, "")
		require.NotNil(t, c.noStart)
		return c.user.UID
	}
	require.Equal(t, uint32(victim), actor(), "root's own link")
	require.NoError(t, os.Lchown(link, victim, victim))
	require.Equal(t, uint32(victim), actor(), "the owner's own")
	require.NoError(t, os.Lchown(link, other, other))
	require.Equal(t, uint32(nobody), actor(), "somebody else's")
	require.NoError(t, os.Lchown(link, 0, 0))
	require.NoError(t, os.Chown(top, other, other))
	require.Equal(t, uint32(nobody), actor(), "somebody else's directory")
}
