package main

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgsqlms/test/faults"
)

func TestOptions(t *testing.T) {
	o, err := parse([]string{"-agents", "paf", "-mode", "async", "-n", "3", "-seed", "7", "f5", "F1"}, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, []string{"F1", "F5"}, faults.IDs(o.faults))
	assert.Equal(t, []faults.Mode{faults.Async}, o.modes)
	assert.Equal(t, uint64(7), o.seed)
	assert.True(t, o.comparing())
	assert.False(t, o.random())
	assert.Zero(t, o.until(time.Now()))
}

func TestRandomOptions(t *testing.T) {
	o, err := parse([]string{"-agents", "paf", "-for", "2h"}, io.Discard)
	require.NoError(t, err)
	assert.True(t, o.random())
	assert.NotZero(t, o.seed)
	now := time.Now()
	assert.Equal(t, now.Add(2*time.Hour), o.until(now))
}

func TestWrongOptions(t *testing.T) {
	for says, args := range map[string][]string{
		`no scenario is called "F99"`:           {"-agents", "paf", "F99"},
		`-mode "slow"`:                          {"-agents", "paf", "-mode", "slow"},
		"-n":                                    {"-agents", "paf", "-n", "0"},
		"takes no names":                        {"-agents", "paf", "-runs", "5", "F1"},
		"-runs -1":                              {"-agents", "paf", "-runs", "-1"},
		"make build":                            {"-agents", "/nonexistent/pgsqlms"},
		"flag provided but not defined: -wrong": {"-wrong"},
	} {
		_, err := parse(args, io.Discard)
		assert.ErrorContains(t, err, says)
	}
}

// Without a binary that has failpoints F19 is left out, in so many words, and nothing else is.
func TestWithoutFailpoints(t *testing.T) {
	o, err := parse([]string{"-agents", "paf", "-failpoints", "/nonexistent", "F1", "F19"}, io.Discard)
	require.NoError(t, err)
	var out bytes.Buffer
	o.withFailpoints(context.Background(), &out)
	assert.Contains(t, out.String(), "F19 is left out: failpoints of /nonexistent")
	assert.Equal(t, []string{"F1"}, faults.IDs(o.faults))
}
