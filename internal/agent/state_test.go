package agent

import (
	"os"
	"path/filepath"
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

func TestWithinIgnoresTheFuture(t *testing.T) {
	assert.True(t, within(time.Now().Add(-time.Second), time.Minute))
	assert.False(t, within(time.Now().Add(-time.Hour), time.Minute))
	assert.False(t, within(time.Now().Add(time.Hour), time.Minute), "the clock was set back")
	assert.False(t, within(time.Time{}, time.Minute))
}
