package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
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
		"lab name \"Faults\"":                   {"-agents", "paf", "-name", "Faults"},
		"takes no names":                        {"-agents", "paf", "-runs", "5", "F1"},
		"-runs -1":                              {"-agents", "paf", "-runs", "-1"},
		"make build":                            {"-agents", "/nonexistent/pgsqlms"},
		"flag provided but not defined: -wrong": {"-wrong"},
	} {
		_, err := parse(args, io.Discard)
		assert.ErrorContains(t, err, says)
	}
}

// agentFile passes for this project's agent, and says which failpoints it has.
func agentFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\necho promote-begin\necho promote-hold\n"), 0o755))
	return path
}

// completed parses arguments, and settles what is played.
func completed(t *testing.T, args ...string) (o options, said string, err error) {
	t.Helper()
	o, err = parse(args, io.Discard)
	require.NoError(t, err)
	var out bytes.Buffer
	err = o.complete(context.Background(), &out)
	return o, out.String(), err
}

// Without a binary that has failpoints F19 is left out, in so many words, and nothing else is; but not where it was asked for.
func TestWithoutFailpoints(t *testing.T) {
	agent := agentFile(t)
	o, said, err := completed(t, "-agents", agent, "-failpoints", "/nonexistent")
	require.NoError(t, err)
	assert.Contains(t, said, "F19 is left out: failpoints of /nonexistent")
	assert.NotContains(t, faults.IDs(o.faults), "F19")
	assert.Len(t, o.faults, len(faults.Catalogue())-1)

	_, _, err = completed(t, "-agents", agent, "-failpoints", "/nonexistent", "F1", "f19")
	assert.ErrorContains(t, err, "F19 cannot be played: failpoints of /nonexistent")

	_, said, err = completed(t, "-agents", agent, "-failpoints", "/nonexistent", "-runs", "3")
	assert.NoError(t, err)
	assert.Empty(t, said, "the random mode has no use for it")
}

// The agent with failpoints is this project's, and is not played as PAF.
func TestStepsAreNotPAFs(t *testing.T) {
	agent := agentFile(t)
	o, said, err := completed(t, "-agents", agent+",paf", "-failpoints", agent, "F1", "F19")
	require.NoError(t, err)
	assert.Equal(t, "F19 is left out for paf, which has no failpoints\n", said)
	assert.Equal(t, []string{"F1", "F19"}, faults.IDs(o.faultsOf(agent)))
	assert.Equal(t, []string{"F1"}, faults.IDs(o.faultsOf("paf")))

	_, said, err = completed(t, "-agents", "paf", "-failpoints", "/nonexistent", "F19")
	assert.ErrorContains(t, err, "nothing to play of F19")
	assert.Contains(t, said, "left out for paf")
}

// What comes to nothing is no success.
func TestNothingToPlay(t *testing.T) {
	agent := agentFile(t)
	for _, args := range [][]string{{"-mode", "async", "F11"}, {"-mode", "async", "-variant", "promote-hold", "F19"}} {
		_, _, err := completed(t, append([]string{"-agents", agent, "-failpoints", agent}, args...)...)
		assert.ErrorContains(t, err, "there is nothing to play of "+args[len(args)-1]+" in mode [async]")
		args[1] = "both"
		_, _, err = completed(t, append([]string{"-agents", agent, "-failpoints", agent}, args...)...)
		assert.NoError(t, err)
	}
}
