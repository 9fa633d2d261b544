package operator

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"pgsqlms/internal/crm"
	"pgsqlms/metadata"
)

// ran is what a command left behind.
type ran struct {
	code        ExitCode
	out, errout string
}

func runs(t *testing.T, environ []string, args ...string) ran {
	t.Helper()
	var out, errout bytes.Buffer
	code := Run(t.Context(), Process{Args: args, Environ: environ, Stdout: &out, Stderr: &errout, Version: "v0"})
	return ran{code, out.String(), errout.String()}
}

// No command has the name of an action, which are Pacemaker's.
func TestActionsStayActions(t *testing.T) {
	for _, action := range metadata.MethodNames() {
		require.False(t, Knows([]string{action}), action)
	}
	require.False(t, Knows(nil))
	require.False(t, Knows([]string{""}))
	require.False(t, Knows([]string{"Status"}))
	for _, c := range commands() {
		require.True(t, Knows([]string{c.name, "--help"}), c.name)
	}
}

func TestHelp(t *testing.T) {
	list := runs(t, nil, "help")
	require.Equal(t, ExitWell, list.code)
	require.Equal(t, list, runs(t, nil, "--help"))
	for _, c := range commands() {
		require.Contains(t, list.out, "pgsqlms "+c.name)
		require.Contains(t, list.out, c.purpose)
		long := runs(t, nil, c.name, "--help")
		require.Equal(t, ExitWell, long.code)
		require.Equal(t, long, runs(t, nil, c.name, "-h"))
		require.Equal(t, long, runs(t, nil, "help", c.name))
		require.Empty(t, long.errout)
		for _, word := range []string{c.purpose, "--resource NAME", "--output FORM", "example:\n  pgsqlms " + c.name, "exit code: 0"} {
			require.Contains(t, long.out, word)
		}
		for line := range strings.Lines(long.out) {
			require.LessOrEqual(t, utf8.RuneCountInString(line), mostColumns, line)
		}
	}
	require.Equal(t, ExitUsage, runs(t, nil, "help", "nonsense").code)
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{"status", "--nonsense"}, {"status", "--output", "xml"}, {"status", "n1"}, {"status", "--watch=0"},
		{"status", "--watch", "0.1"}, {"status", "--watch", "NaN"}, {"status", "--watch", "1", "2"}, {"status", "--watch", "x\x1b"},
	} {
		got := runs(t, nil, args...)
		require.Equal(t, ExitUsage, got.code, args)
		require.Empty(t, got.out)
		require.Contains(t, got.errout, "to do: pgsqlms status --help", args)
		require.Equal(t, 1, strings.Count(got.errout, "\n"))
		require.NotContains(t, got.errout, "\x1b")
	}
}

// Flags stand before and after what is no flag.
func TestFlagsAnywhere(t *testing.T) {
	c, err := parse(statusCommand(), Process{Args: []string{"status", "--watch", "5", "--output=json", "--resource", "r"}})
	require.NoError(t, err)
	require.Equal(t, []string{"5"}, c.args)
	require.Equal(t, outputJSON, c.output)
	require.Equal(t, "r", c.resource)
	require.Equal(t, watchFlag{true, defaultWatch}, c.watch)
}

// The tools of a cluster with one node, which is this one.
func tools(t *testing.T, cib string) []string {
	t.Helper()
	sbin := t.TempDir()
	for name, script := range map[string]string{
		"cibadmin": "cat <<'END'\n" + cib + "\nEND", "crm_mon": "exit 102", "crm_node": "echo n1",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(sbin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
	}
	return []string{"HA_SBIN_DIR=" + sbin}
}

func primitive(id, params string) string {
	return `<primitive id="` + id + `" class="ocf" provider="heartbeat" type="pgsqlms"><instance_attributes>` + params +
		`</instance_attributes></primitive>`
}

func TestWhichResource(t *testing.T) {
	wrap := func(resources string) string {
		return `<cib><configuration><nodes><node uname="n1"/></nodes><resources>` + resources + `</resources></configuration></cib>`
	}
	got := runs(t, tools(t, wrap("")), "status")
	require.Equal(t, ExitUnknown, got.code)
	require.Equal(t, "pgsqlms status: the cluster has no resource of ocf:heartbeat:pgsqlms\n", got.errout)
	two := tools(t, wrap(primitive("a", "")+primitive("b", `<nvpair name="pgdata" value="data"/>`)))
	got = runs(t, two, "status")
	require.Equal(t, ExitUsage, got.code)
	require.Contains(t, got.errout, "say which with --resource, one of a, b")
	got = runs(t, two, "status", "--watch", "--resource", "c")
	require.Equal(t, ExitUsage, got.code)
	require.Contains(t, got.errout, `has no resource "c" of ocf:heartbeat:pgsqlms, found a, b`)
	got = runs(t, two, "status", "--resource", "b")
	require.Equal(t, ExitWrong, got.code, "a broken parameter leaves the rest to be shown")
	require.Contains(t, got.out, `parameter pgdata of b: found "data", expected an absolute path`)
}

// Root is nobody to read the data as, whatever the parameter says.
func TestRootIsNoSystemUser(t *testing.T) {
	dir := t.TempDir()
	r := crm.Resource{Name: "a", Params: map[string]string{"system_user": "root", "pgdata": dir}}
	_, err := openInstance(t.Context(), r)
	require.ErrorContains(t, err, `parameter system_user of a: found "root", which is root`)
	r.Params["system_user"] = "nobody"
	i, err := openInstance(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, dir, i.dataDir)
	r.Params["pgport"] = "65536"
	_, err = openInstance(t.Context(), r)
	require.ErrorContains(t, err, `parameter pgport of a: found "65536", expected a port`)
}

// A cluster that does not answer is not waited for.
func TestSurveyIsBounded(t *testing.T) {
	environ := tools(t, "")
	sbin := strings.TrimPrefix(environ[0], "HA_SBIN_DIR=")
	for _, name := range []string{"cibadmin", "crm_mon", "crm_node"} {
		require.NoError(t, os.WriteFile(filepath.Join(sbin, name), []byte("#!/bin/sh\nexec sleep 1000\n"), 0o755))
	}
	began := time.Now()
	s := newSurveyor(&call{Process: Process{Environ: environ}})
	s.cibFile = "../crm/testdata/disk.cib.xml"
	f, err := s.survey(t.Context(), began)
	require.NoError(t, err)
	require.True(t, f.onDisk)
	require.Less(t, time.Since(began), 2*surveyWait)
	require.False(t, assess(f).Well)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	began = time.Now()
	code := Run(ctx, Process{Args: []string{"status", "--watch"}, Environ: environ, Stdout: &out, Stderr: &out})
	require.Equal(t, ExitUnknown, code)
	require.Less(t, time.Since(began), surveyWait, "Ctrl-C ends it at once")
}

// A question that is interrupted says so, and shows nothing.
func TestInterrupted(t *testing.T) {
	environ := tools(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, args := range [][]string{{"status"}, {"check"}, {"explain"}, {"history"}, {"switchover", "--yes"}} {
		var out, errout bytes.Buffer
		code := Run(ctx, Process{Args: args, Environ: environ, Stdout: &out, Stderr: &errout})
		require.Equal(t, ExitUnknown, code, args)
		require.Empty(t, out.String(), args)
		require.Regexp(t, "^pgsqlms "+args[0]+": interrupted(, nothing was done)?\n$", errout.String())
	}
}

// A look that is broken off does not count: a watch ends with the exit code of the one before.
func TestWatchEndsAsItsLastLook(t *testing.T) {
	cib, err := os.ReadFile("../crm/testdata/healthy.cib.xml")
	require.NoError(t, err)
	environ := tools(t, string(cib))
	sbin := strings.TrimPrefix(environ[0], "HA_SBIN_DIR=")
	script := "#!/bin/sh\ncd '" + sbin + "'\nif [ -e looked ]; then touch again; exec sleep 1000; fi\ntouch looked; exit 102\n"
	require.NoError(t, os.WriteFile(filepath.Join(sbin, "crm_mon"), []byte(script), 0o755))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for !fileExists(filepath.Join(sbin, "again")) && ctx.Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		cancel()
	}()
	var out, errout bytes.Buffer
	code := Run(ctx, Process{Args: []string{"status", "--watch", "0.5"}, Environ: environ, Stdout: &out, Stderr: &errout})
	require.Equal(t, ExitWrong, code, "Pacemaker did not answer, and that was shown")
	require.Equal(t, 1, strings.Count(out.String(), "problem"), out.String())
	require.Empty(t, errout.String())
}

// Where a switchover or a check is asked for, tools that are slow are waited for; status says how long it has waited.
func TestSlowPacemakerIsWaitedFor(t *testing.T) {
	mon, err := os.ReadFile("../crm/testdata/healthy.mon.xml")
	require.NoError(t, err)
	cib, err := os.ReadFile("../crm/testdata/healthy.cib.xml")
	require.NoError(t, err)
	environ := tools(t, string(cib))
	sbin := strings.TrimPrefix(environ[0], "HA_SBIN_DIR=")
	require.NoError(t, os.WriteFile(filepath.Join(sbin, "crm_mon"), []byte("#!/bin/sh\nsleep 2\ncat <<'END'\n"+string(mon)+"\nEND\n"), 0o755))
	for name, patient := range map[string]bool{"status": false, "check": true, "switchover": true} {
		args := []string{name}
		if name == "switchover" {
			args = append(args, "n2", "--dry-run")
		}
		got := runs(t, environ, args...)
		require.Equal(t, !patient, strings.Contains(got.out, "Pacemaker has not answered on this node within 1.2 s"), got.out)
		require.NotContains(t, got.out, "does not answer", name)
		require.Equal(t, patient, strings.Contains(got.out, "quorum yes"), got.out)
	}
	got := runs(t, environ, "rejoin", "--dry-run")
	require.Contains(t, got.out, "quorum yes", got)
}

func TestBytesText(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 kB", 10240: "10 kB", 1 << 20: "1.0 MB", 5 << 30: "5.0 GB", 1<<64 - 1: "16 EB",
	} {
		require.Equal(t, want, bytesText(n))
	}
}

func TestDurationText(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 0: "0 s", 260 * time.Millisecond: "0.3 s", 42 * time.Second: "42 s", 59999 * time.Millisecond: "59 s",
		200 * time.Second: "3 m 20 s", 125 * time.Minute: "2 h 5 m", 99 * time.Hour: "4 d 3 h",
	} {
		require.Equal(t, want, durationText(d))
	}
}

func TestCleanAndWrap(t *testing.T) {
	require.Equal(t, "a; b c??[31m", clean("a\nb\tc\x00\x1b[31m"))
	require.Equal(t, "?", clean("\xff"))
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		width := rapid.IntRange(5, 40).Draw(t, "width")
		cleaned := clean(text)
		require.NotContains(t, cleaned, "\x1b")
		lines := wrap(cleaned, width)
		require.Equal(t, strings.Fields(cleaned), strings.Fields(strings.Join(lines, "\n")), "no word is lost")
		for _, line := range lines {
			if utf8.RuneCountInString(line) > width {
				require.NotContains(t, line, " ", "only a word is longer than the line")
			}
		}
	})
}
