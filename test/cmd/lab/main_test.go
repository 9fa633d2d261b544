package main

import (
	"errors"
	"flag"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pgsqlms/test/lab"
)

func TestUsageNamesEveryCommand(t *testing.T) {
	for name := range commands {
		require.Contains(t, usage, "\n  lab "+name, name)
	}
}

func newCall(flags func(*call)) *call {
	c := &call{fs: flag.NewFlagSet("x", flag.ContinueOnError)}
	c.fs.SetOutput(io.Discard)
	c.fs.StringVar(&c.name, "name", "lab", "")
	if flags != nil {
		flags(c)
	}
	return c
}

func TestFlagsBeforeAndAfterTheNode(t *testing.T) {
	c := newCall(userFlag)
	require.NoError(t, c.parse(strings.Fields("-u postgres n1 --name other -- psql -c x --name y")))
	require.Equal(t, "postgres", c.opts.user)
	require.Equal(t, "other", c.name)
	require.Equal(t, []string{"n1", "psql", "-c", "x", "--name", "y"}, c.args)

	c = newCall(nil)
	require.NoError(t, c.parse([]string{"n1"}))
	require.Equal(t, []string{"n1"}, c.args)
	require.ErrorIs(t, newCall(nil).parse([]string{"--nosuch"}), errUsage)
	require.ErrorIs(t, newCall(nil).parse([]string{"-h"}), flag.ErrHelp)
}

func TestUpFlags(t *testing.T) {
	c := newCall(upFlags)
	require.NoError(t, c.parse(strings.Fields("--nodes 5 --sync --reboot -1s --param maxlag=10 --param pgport=1 --pgconf a=b=c")))
	cfg := c.opts.cfg
	require.Equal(t, 5, cfg.Nodes)
	require.True(t, cfg.Sync)
	require.Negative(t, cfg.FenceReboot)
	require.Equal(t, map[string]string{"maxlag": "10", "pgport": "1"}, cfg.Params)
	require.Equal(t, map[string]string{"a": "b=c"}, cfg.PGConf)
	require.ErrorIs(t, newCall(upFlags).parse([]string{"--param", "x"}), errUsage)
}

func TestParseBind(t *testing.T) {
	for in, want := range map[string]lab.Bind{
		"/a":       {Host: "/a"},
		"/a:/b":    {Host: "/a", Inside: "/b"},
		"/a:/b:rw": {Host: "/a", Inside: "/b", Write: true},
	} {
		got, err := parseBind(in)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, in := range []string{"", "/a:/b:ro", "/a:/b:rw:x"} {
		_, err := parseBind(in)
		require.Error(t, err, in)
	}
}

func TestWrongUseIsRefused(t *testing.T) {
	require.ErrorIs(t, run(t.Context(), []string{"nosuch"}), errUsage)
	require.ErrorIs(t, run(t.Context(), []string{"exec", "n1"}), errUsage)
	require.ErrorIs(t, run(t.Context(), []string{"status", "n1"}), errUsage)
	require.NoError(t, run(t.Context(), nil))
}

func TestExitCodeIsPassedOn(t *testing.T) {
	require.NoError(t, codeError(0))
	var exit exitError
	require.True(t, errors.As(codeError(7), &exit))
	require.Equal(t, 7, int(exit))
}
