package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestProcessAge(t *testing.T) {
	dir := t.TempDir()
	stat, uptime := filepath.Join(dir, "stat"), filepath.Join(dir, "uptime")
	write := func(path, text string) { require.NoError(t, os.WriteFile(path, []byte(text), 0o600)) }
	const before, after = "42 (a) S (b) R 1 42 42 0 -1 4194560 150 0 0 0 0 0 0 0 20 0 7 0 ", " 12345 300 18446744073709551615 1 1\n"

	write(uptime, "1003.25 1900.00\n")
	write(stat, before+"100000"+after)
	age, err := processAge(stat, uptime)
	require.NoError(t, err)
	assert.Equal(t, 3250*time.Millisecond, age)

	for name, text := range map[string]string{"too short": "42 (a) R 1 42", "no number": before + "x" + after, "nothing": ""} {
		write(stat, text)
		_, err = processAge(stat, uptime)
		assert.Error(t, err, name)
	}
	write(stat, before+"100000"+after)
	write(uptime, "never")
	_, err = processAge(stat, uptime)
	assert.Error(t, err)
}

// The process of this test is older than one action can be, or began a moment ago; what
// the kernel tells is believed, or not, but never gives a time to come.
func TestStartedIsInThePast(t *testing.T) {
	_, err := processAge("/proc/self/stat", "/proc/uptime")
	require.NoError(t, err)
	now := time.Now()
	assert.False(t, started(now).After(now))
	assert.LessOrEqual(t, now.Sub(started(now)), lateAtMost)
}
