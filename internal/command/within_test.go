package command

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWithinPassesOn(t *testing.T) {
	mine := errors.New("mine")
	n, err := Within(t.Context(), 0, func() (int, error) { return 7, mine })
	assert.Equal(t, 7, n)
	require.ErrorIs(t, err, mine)
}

// Who comes back with an answer of its own is heard, though the time is over.
func TestWithinHearsALateAnswer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	n, err := Within(ctx, time.Minute, func() (int, error) {
		cancel()
		<-time.After(10 * time.Millisecond) // the late one, of which its caller knows nothing
		return 7, nil
	})
	require.NoError(t, err)
	assert.Equal(t, 7, n)
}

// Opening a FIFO that nobody writes waits in the kernel, as storage that hangs makes it.
func TestWithinGivesUpASystemCall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hangs")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	back := make(chan struct{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := Within(ctx, 0, func() (string, error) {
		defer close(back)
		fd, err := syscall.Open(path, syscall.O_RDONLY, 0)
		syscall.Close(fd)
		return "opened", err
	})
	require.ErrorIs(t, err, ErrGivenUp)
	writer, err := os.OpenFile(path, os.O_RDWR, 0) // lets it go
	require.NoError(t, err)
	defer writer.Close()
	<-back
}
