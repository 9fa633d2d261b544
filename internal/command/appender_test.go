package command

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAppenderAppends(t *testing.T) {
	path := filepath.Join(t.TempDir(), "-log")
	require.NoError(t, os.WriteFile(path, []byte("before\n"), 0o600))
	a := NewAppender(path, 10*time.Second)
	require.NoError(t, a.Write("one\n"))
	require.NoError(t, a.Write("two\n"))
	a.Close()
	a.Close()
	require.ErrorIs(t, a.Write("three\n"), os.ErrClosed)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "before\none\ntwo\n", string(text))
}

func TestAppenderWithoutAWordStartsNothing(t *testing.T) {
	a := NewAppender("/nonexistent/log", time.Second)
	a.Close()
	assert.Nil(t, a.program)
}

// A FIFO that nobody reads stands for storage that stands still: who opens it waits. What
// was written is there once it goes on.
func TestAppenderNeverWaitsForTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	const wait = 50 * time.Millisecond
	a := NewAppender(path, wait)
	began := time.Now()
	require.NoError(t, a.Write("kept\n"))
	a.Close()
	assert.Less(t, time.Since(began), 5*time.Second)
	select {
	case <-a.program.Done():
		t.Fatal("the program has not waited for the file")
	default:
	}

	reader, err := os.Open(path)
	require.NoError(t, err)
	defer reader.Close()
	require.NoError(t, reader.SetReadDeadline(time.Now().Add(30*time.Second)))
	buffer := make([]byte, 100)
	n, err := reader.Read(buffer)
	require.NoError(t, err)
	assert.Equal(t, "kept\n", string(buffer[:n]))
	<-a.program.Done()
}

func TestAppenderGivesUpWithAFullPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	a := NewAppender(path, 50*time.Millisecond)
	line := strings.Repeat("x", 1000)
	var err error
	for n := 0; n < 1000 && err == nil; n++ {
		err = a.Write(line)
	}
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	a.Close()
	reader, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // for the program to end
	require.NoError(t, err)
	reader.Close()
	<-a.program.Done()
}
