package operator

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/command"
	"pgsqlms/internal/crm"
	"pgsqlms/internal/pg"
)

// hanging is storage that stands still from the moment on at which it is told to, until it
// is let go, or the test ends.
type hanging struct {
	hung
	still atomic.Bool
	stood chan struct{} // has a value when somebody waits for it
	goes  chan struct{}
}

func newHanging(t *testing.T) *hanging {
	h := &hanging{stood: make(chan struct{}, 1), goes: make(chan struct{})}
	t.Cleanup(h.goOn)
	h.stand = func() {
		if !h.still.Load() {
			return
		}
		select {
		case h.stood <- struct{}{}:
		default:
		}
		<-h.goes
	}
	return h
}

func (h *hanging) goOn() {
	if h.still.Swap(false) {
		close(h.goes)
	}
}

// instanceOn is one of which nobody has heard, on that storage.
func (h *hanging) instanceOn(t *testing.T, dir string) instance {
	t.Helper()
	me := command.User{Name: "nobody", UID: uint32(os.Geteuid()), Home: dir}
	return instance{
		Instance: pg.New(pg.Config{BinDir: dir, PGData: dir, Host: dir, Port: 5432, User: me}),
		user:     me, dataDir: dir, binDir: dir, hung: &h.hung,
	}
}

// newHangingNode is node n2 of a cluster that is well, on whose storage nothing answers.
func newHangingNode(t *testing.T) (fakeTools, *hanging) {
	w := fakeTools{t: t, dir: t.TempDir()}
	for _, kind := range []string{"mon", "cib"} {
		text, err := os.ReadFile("../crm/testdata/healthy." + kind + ".xml")
		require.NoError(t, err)
		w.write(kind, strings.Replace(string(text), `<nvpair id="pgsqld-params-bindir"`, `<nvpair id="u" name="system_user" value="nobody"/><nvpair id="pgsqld-params-bindir"`, 1))
	}
	w.tool("crm_mon", `cat "$d/mon"`)
	w.tool("cibadmin", `cat "$d/cib"`)
	w.tool("crm_node", "echo n2")
	h := newHanging(t)
	h.still.Store(true)
	return w, h
}

// Where this node's storage hangs, the rest is shown all the same, in the usual time; and
// the next look does not wait for what is known to hang.
func TestStatusOnStorageThatHangs(t *testing.T) {
	w, h := newHangingNode(t)
	var out bytes.Buffer
	c := &call{Process: Process{Environ: []string{"HA_SBIN_DIR=" + w.dir}, Stdout: &out, Stderr: &out}, output: outputText, now: time.Now}
	s := newSurveyor(c)
	s.hung = &h.hung

	began := time.Now()
	code, err := statusOnce(t.Context(), c, s)
	require.NoError(t, err)
	require.Equal(t, ExitWrong, code)
	require.Less(t, time.Since(began), surveyWait+lateAnswer, "it is bounded")
	require.Regexp(t, `PostgreSQL:\s/var/lib/postgresql/15/main:\sno\sanswer\swithin\s[0-9.]+\ss:\sits\sstorage\smay\shang`, out.String())
	for _, known := range []string{"n1    Primary", "n2    Standby", "n3    Standby", "fencing on"} {
		require.Contains(t, out.String(), known)
	}
	require.Equal(t, 1, h.waiting, "one question stands for all")

	f, err := s.begin(t.Context(), time.Now())
	require.NoError(t, err)
	_, err = f.instance.Report(t.Context())
	require.ErrorIs(t, err, errHangs, "of which a test without a bound would never hear")
	h.goOn()
	require.Eventually(t, func() bool { return h.err() == nil }, 30*time.Second, time.Millisecond, "it is asked again")
}

// A check, whose questions are asked side by side, is as long as its bound.
func TestCheckOnStorageThatHangs(t *testing.T) {
	h := newHanging(t)
	f := situations(t)["healthy"]
	f.instance = h.instanceOn(t, t.TempDir())
	h.still.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	facts := gather(ctx, crm.New(t.TempDir(), nil), f, "v1")
	require.ErrorIs(t, facts.spaceErr, errHangs)
	require.ErrorIs(t, facts.conninfoErr, errHangs)
	require.ErrorIs(t, facts.checkups["n2"].err, errHangs)
	require.True(t, viewCheck(facts).Unknown > 0)
}

func TestHistoryOnStorageThatHangs(t *testing.T) {
	h := newHanging(t)
	f := pastSurvey{survey: captured(t, "healthy", "n2")}
	f.instance = h.instanceOn(t, t.TempDir())
	h.still.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	f.readFiles(ctx)
	require.ErrorIs(t, f.filesErr, errHangs)
	require.Contains(t, strings.Join(history(f).Notes, "\n"), "the timelines' history files on this node cannot be read")
}

// A log on storage that hangs is given up like the rest; what was read before counts, what comes later does not, and
// nothing is asked there again.
func TestLogOnStorageThatHangs(t *testing.T) {
	d := newLogDir(t)
	d.write("pacemaker.log", "Nov 21 10:00:00 newest\n", 0)
	d.write("pacemaker.log.1", "Nov 20 10:00:00 hangs\n", 24*time.Hour)
	h := newHanging(t)
	l := d.logs()
	l.hung = &h.hung
	ctx, over := context.WithCancelCause(t.Context())
	goes, gone := make(chan struct{}), make(chan struct{})
	taken := linesTaken{seen: func(line string) {
		if strings.HasSuffix(line, "hangs") {
			over(errTooMuch)
			<-goes
			defer close(gone)
		}
	}}
	r := newLogReader(d.now, taken.begin, logPart)
	err := l.within(ctx, r, d.path, func() error { return r.files(ctx, l.path) })
	require.ErrorIs(t, err, errHangs)
	require.ErrorContains(t, err, d.path+": no answer within ")
	r.deliver()
	require.Equal(t, []string{"Nov 21 10:00:00 newest"}, taken.joined())

	began := time.Now()
	_, err = l.read(t.Context(), logWanted{now: d.now}, taken.begin)
	require.ErrorIs(t, err, errHangs)
	require.Less(t, time.Since(began), lateAnswer)
	close(goes)
	<-gone
	require.Eventually(t, func() bool { return l.hung.err() == nil }, 30*time.Second, time.Millisecond)
	require.Len(t, r.kept, 1)
	require.Equal(t, time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), *r.since)
}

// The storage stops answering once the constraint is made: it is removed, and Ctrl-C is
// heard.
func TestRejoinOnStorageThatHangs(t *testing.T) {
	w := newRejoining(t)
	h := newHanging(t)
	w.r.found.instance.hung = &h.hung
	w.r.found.instance.dataDir = w.data
	w.tool("crm_mon", `cat "$d/mon"; touch "$d/looked"`)
	stand := h.stand
	h.stand = func() {
		if _, err := os.Stat(w.dir + "/looked"); err == nil {
			h.still.Store(true)
		}
		stand()
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-h.stood
		cancel()
	}()
	code, err := w.r.carryOut(ctx)
	require.NoError(t, err)
	require.Equal(t, ExitUnknown, code)
	require.Equal(t, outcomeInterrupted, w.r.v.Outcome)
	require.NotContains(t, w.calls(), "pg_basebackup")
	w.released()
	w.asBefore()
}

// Data that do not answer are no damaged ones: nothing is planned about them.
func TestRejoinOfDataThatDoNotAnswer(t *testing.T) {
	h := newHanging(t)
	f := situations(t)["diverged"]
	f.instance = h.instanceOn(t, t.TempDir())
	f.state.Instances = nil
	require.NoError(t, (&rejoinFacts{survey: f}).hangs())
	h.still.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	facts := gatherRejoin(ctx, f)
	require.ErrorIs(t, facts.hangs(), errHangs)
	require.ErrorIs(t, facts.premisesErr, errHangs)
}

// It says so where a script looks for it.
func TestRejoinOfDataThatDoNotAnswerInJSON(t *testing.T) {
	w, h := newHangingNode(t)
	var out bytes.Buffer
	c := &call{Process: Process{Environ: []string{"HA_SBIN_DIR=" + w.dir}, Stdout: &out, Stderr: &out}, output: outputJSON, yes: true, now: time.Now}
	s := newSurveyor(c)
	s.hung = &h.hung
	code, err := rejoinBy(t.Context(), c, s)
	require.NoError(t, err)
	require.Equal(t, ExitUnknown, code)
	shown := map[string]any{}
	require.NoError(t, json.Unmarshal(out.Bytes(), &shown), out.String())
	require.Equal(t, []any{"failed", "n2"}, []any{shown["outcome"], shown["node"]})
	require.Contains(t, shown["reason"], errHangs.Error())
	require.NotContains(t, w.calls(), "--create")
}

// The measure of the gap is given up too; the role has moved, and the constraint goes.
func TestSwitchoverOnStorageThatHangs(t *testing.T) {
	w := newMoving(t)
	h := newHanging(t)
	w.tool("postgres", "echo host=127.0.0.1 port=1")
	w.tool("crm_resource", `while [ ! -e "$d/hangs" ]; do sleep 0.02; done; touch "$d/moved" "$d/constraint"`)
	w.m.found.instance = h.instanceOn(t, w.dir)
	stand := h.stand
	var first atomic.Bool
	h.stand = func() {
		if !first.Swap(true) { // for primary_conninfo
			return
		}
		h.still.Store(true)
		_ = os.WriteFile(w.dir+"/hangs", nil, 0o600)
		stand()
	}
	code, err := w.m.carryOut(t.Context())
	require.NoError(t, err)
	require.Equal(t, ExitWell, code, w.out.String())
	w.cleared()
}

// stuck is a terminal that takes nothing any more from a text on; it never ends, for what
// would come then.
type stuck struct {
	at   string
	took chan struct{} // closed then
	ends <-chan struct{}
}

func (s *stuck) Write(text []byte) (int, error) {
	if bytes.Contains(text, []byte(s.at)) {
		close(s.took)
		<-s.ends
	}
	return len(text), nil
}

// Who is told twice to end, ends wherever it stands, with its constraint removed, or named.
func TestToldTwiceToEnd(t *testing.T) {
	for name, c := range map[string]struct {
		breaks func(w *rejoining)
		says   string
	}{
		"removed": {func(*rejoining) {}, "pgsqlms rejoin: constraint pgsqlms-rejoin-pgsqld-clone-on-n1 is removed\n"},
		"left": {func(w *rejoining) { w.write("stuck", "") }, "pgsqlms rejoin: constraint pgsqlms-rejoin-pgsqld-clone-on-n1 is left behind: " +
			"cibadmin ended with exit code 1: no; to do: pcs constraint delete pgsqlms-rejoin-pgsqld-clone-on-n1, or crm configure delete pgsqlms-rejoin-pgsqld-clone-on-n1\n"},
	} {
		w := newRejoining(t)
		out := &stuck{at: "pg_basebackup copies", took: make(chan struct{}), ends: make(chan struct{})}
		again := make(chan struct{})
		w.r.c.Stdout, w.r.c.Again = out, again
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-out.took
			cancel()
			c.breaks(w)
			close(again)
		}()
		code := w.r.c.carryOut(ctx, verb{name: "rejoin", run: func(ctx context.Context, _ *call) (ExitCode, error) { return w.r.carryOut(ctx) }})
		require.Equal(t, ExitUnknown, code, name)
		require.Contains(t, w.out.String(), c.says, name)
		require.Contains(t, w.out.String(), "whatever it has made in "+w.data+".pgsqlms-rejoin is left", name)
		require.Equal(t, name == "left", w.r.c.held.Load() != nil && fileExists(w.dir+"/constraint"), name)
	}
	var said bytes.Buffer
	again := make(chan struct{})
	close(again)
	quiet := &call{Process: Process{Stderr: &said, Again: again}}
	code := quiet.carryOut(t.Context(), verb{name: "status", run: func(ctx context.Context, _ *call) (ExitCode, error) {
		<-ctx.Done()
		return ExitWell, nil
	}})
	require.Equal(t, ExitUnknown, code)
	require.Equal(t, "pgsqlms status: interrupted again, and ended at once\n", said.String())
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
