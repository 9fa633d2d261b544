package agent

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMemorySurvives(t *testing.T) {
	s := newStore(t.TempDir(), "pgsqld")
	assert.Equal(t, memory{}, s.load(), "none yet")
	m := memory{Scores: map[string]int{"n1": 1001}, Nodes: []string{"n1"}, Verified: time.Now().UTC().Round(0), Misses: 2}
	require.NoError(t, s.save(m))
	assert.Equal(t, m, s.load())
	s.forget()
	assert.Equal(t, memory{}, s.load())
}

func TestMemoryThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	s := newStore(dir, "a/b")
	assert.Equal(t, dir, filepath.Dir(s.path), "a resource's name is one part of the path")
	require.NoError(t, os.WriteFile(s.path, []byte("{"), 0o600))
	assert.Equal(t, memory{}, s.load())
}

func TestMemoryThatCannotBeWritten(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(blocked, nil, 0o600))
	assert.Error(t, newStore(blocked, "pgsqld").save(memory{}))
}

// On a file system that is full no second file can be made; the name that is too long
// for one stands in for that. Monitors without an answer must still be counted.
func TestMemoryWithoutRoomForAnother(t *testing.T) {
	s := newStore(t.TempDir(), strings.Repeat("r", 238))
	require.Error(t, s.save(memory{}), "no file yet, and no room for one")
	require.NoError(t, os.WriteFile(s.path, []byte(strings.Repeat(" ", 500)), 0o600))
	for _, misses := range []int{1, 12345, 3} {
		require.NoError(t, s.save(memory{Misses: misses}))
		assert.Equal(t, memory{Misses: misses}, s.load())
	}
}

// Where others can write, nothing but a file of our own counts.
func TestMemoryPlantedByOthers(t *testing.T) {
	dir := t.TempDir()
	s := newStore(dir, "pgsqld")
	theirs := filepath.Join(dir, "theirs")
	text := []byte(`{"misses":7}`)
	require.NoError(t, os.WriteFile(theirs, text, 0o600))
	plant := map[string]func() error{
		"link":      func() error { return os.Symlink(theirs, s.path) },
		"hard link": func() error { return os.Link(theirs, s.path) },
		"pipe":      func() error { return syscall.Mkfifo(s.path, 0o600) },
		"directory": func() error { return os.Mkdir(s.path, 0o700) },
	}
	if os.Geteuid() == 0 { // who else could make a file of another's
		plant["another user's"] = func() error {
			return errors.Join(os.WriteFile(s.path, text, 0o644), os.Chown(s.path, 4711, 4711))
		}
	}
	for name, plant := range plant {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, plant())
			assert.Equal(t, memory{}, s.load())
			assert.Error(t, s.overwrite([]byte("{}")))
			found, err := os.ReadFile(theirs)
			require.NoError(t, err)
			assert.Equal(t, text, found)
			require.NoError(t, os.Remove(s.path))
		})
	}
}

func TestWithinIgnoresTheFuture(t *testing.T) {
	assert.True(t, within(time.Now().Add(-time.Second), time.Minute))
	assert.False(t, within(time.Now().Add(-time.Hour), time.Minute))
	assert.False(t, within(time.Now().Add(time.Hour), time.Minute), "the clock was set back")
	assert.False(t, within(time.Time{}, time.Minute))
}
