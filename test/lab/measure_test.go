package lab

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The peak is the command's own. This program, which starts it, is larger by far: the kernel's own word would have it in.
func TestPeakMemoryIsTheCommandsOwn(t *testing.T) {
	shell, err := filepath.EvalSymlinks("/bin/sh")
	require.NoError(t, err)
	ours := peakOf(os.Getpid())
	s, err := traceOnce(shell, []string{"sh", "-c", "true"})
	require.NoError(t, err)
	require.Zero(t, s.Exit)
	require.Greater(t, s.MaxRSS, 200)
	require.Less(t, s.MaxRSS, ours/2, "this program has had %d KiB", ours)
}

// A descendant that is larger than the command itself counts.
func TestPeakMemoryIsOfTheLargestProcess(t *testing.T) {
	alone, err := traceOnce("/bin/sh", []string{"sh", "-c", "exit 3"})
	require.NoError(t, err)
	require.Equal(t, 3, alone.Exit)
	// tail keeps all of a line that has no end.
	s, err := traceOnce("/bin/sh", []string{"sh", "-c", "head -c 20000000 /dev/zero | tail -c 20000000 >/dev/null; exit 3"})
	require.NoError(t, err)
	require.Equal(t, 3, s.Exit)
	require.GreaterOrEqual(t, s.Forks, 2)
	require.Greater(t, s.MaxRSS, alone.MaxRSS+15000)
}

func TestPeakOfNobody(t *testing.T) { require.Zero(t, peakOf(1<<30)) }
