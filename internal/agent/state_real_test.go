//go:build realpg

package agent

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// The memory's file system is read-only since two monitors had no answer. What they have
// left there is no longer believed: there may have been answers since.
func TestRealMemoryThatIsReadOnly(t *testing.T) {
	a, _ := newTestAgent(map[string]string{})
	dir := t.TempDir()
	require.NoError(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, ""))
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	a.store = newStore(dir, "pgsqld")
	require.Equal(t, 1, a.missed())
	require.Equal(t, 2, a.missed())
	require.NoError(t, syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	a.answered()
	require.Equal(t, 2, a.store.load().Misses, "it could not be noted")
	require.Equal(t, 1, a.missed())
	require.Equal(t, 2, a.missed())
	require.Equal(t, 3, a.missed(), "one that hangs is noticed")
}

// It is full, and there is none yet.
func TestRealMemoryThatIsFull(t *testing.T) {
	a, _ := newTestAgent(map[string]string{})
	dir := t.TempDir()
	require.NoError(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"))
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	require.ErrorIs(t, os.WriteFile(dir+"/junk", make([]byte, 1<<20), 0o600), syscall.ENOSPC)
	a.store = newStore(dir, "pgsqld")
	for n := range hangs.looks {
		require.Equal(t, n+1, a.missed())
	}
}
