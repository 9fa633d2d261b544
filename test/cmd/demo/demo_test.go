package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgsqlms/test/lab"
	"pgsqlms/test/scenario"
)

func TestParse(t *testing.T) {
	o, err := parse(nil, io.Discard)
	require.NoError(t, err)
	assert.True(t, filepath.IsAbs(o.agent), "nodes do not share the caller's directory")
	assert.Equal(t, "pgsqlms", filepath.Base(o.agent))
	o, err = parse([]string{"--agent", "paf"}, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, lab.AgentPAF, o.agent)
	_, err = parse([]string{"--help"}, io.Discard)
	assert.ErrorIs(t, err, flag.ErrHelp)
	_, err = parse([]string{"KEEP=1"}, io.Discard)
	assert.Error(t, err)
}

func judged(t *testing.T, err error, complaints bool) (int, string) {
	var out bytes.Buffer
	d := &demo{out: &out, progress: newProgress(&out)}
	if complaints {
		d.results = []scenario.Result{{Scenario: "a fault"}}
	}
	code := d.verdict(context.Background(), err)
	t.Log(out.String())
	return code, out.String()
}

func TestVerdict(t *testing.T) {
	code, text := judged(t, nil, false)
	assert.Equal(t, exitOK, code)
	assert.Contains(t, text, "Nothing acknowledged was lost")
	code, text = judged(t, nil, true)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, text, "a fault: ")
	code, text = judged(t, errors.New("n2 does not stream"), false)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, text, "n2 does not stream")
}

func TestVerdictOfAStoppedRun(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var out bytes.Buffer
	d := &demo{out: &out}
	assert.Equal(t, exitStopped, d.verdict(ctx, context.Canceled))
	assert.Contains(t, out.String(), "Stopped")
}

func TestProgressLines(t *testing.T) {
	var out bytes.Buffer
	p := &progress{began: time.Now().Add(-12300 * time.Millisecond), out: &out}
	p.within("switchover")("waiting")
	assert.Equal(t, "  12.3 s  switchover: waiting\n", out.String())
}
