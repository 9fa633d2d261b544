//go:build lab

package pages

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/test/lab"
)

func TestMain(m *testing.M) {
	lab.Hook()
	ctx, cancel := lab.UntilInterrupted(context.Background())
	interrupted = ctx
	code := m.Run()
	cancel()
	os.Exit(code)
}

// interrupted ends with Ctrl-C, so that a stopped run takes its cluster down.
var interrupted context.Context

// Bounds, several times what things take on a quiet machine.
const (
	testBound  = 20 * time.Minute
	stateBound = 3 * time.Minute
	askBound   = time.Minute
	lookEvery  = 300 * time.Millisecond

	// A node that is back before its fencing was reported takes itself for fenced, and leaves. Real ones take longer.
	reboot = 12 * time.Second
)

// password is what the pages' reader chooses.
const password = "secret"

// The quick start for Debian from its second step on.
func TestQuickStartDebian(t *testing.T) { newDebian(t, "d") }

// newDebian is a reader who has gone through the quick start for Debian.
func newDebian(t *testing.T, suffix string, packages ...string) *reader {
	r := newReader(t, suffix, lab.Config{NoResources: true, Packages: packages})
	r.debian()
	r.try("quickstart-debian.md")
	return r
}

// reader does what pages tell, in a lab of its own.
type reader struct {
	*lab.Lab
	t    *testing.T
	ctx  context.Context
	here *strings.Replacer // this lab's names for those of the pages
	said string            // the output of the last block
}

// newReader brings up a lab of its own.
func newReader(t *testing.T, suffix string, config lab.Config) *reader {
	t.Setenv("PGPASSWORD", password) // for the lab's own questions to the databases
	ctx, cancel := context.WithTimeout(interrupted, testBound)
	t.Cleanup(cancel)
	agent, err := filepath.Abs("../../bin/pgsqlms")
	require.NoError(t, err)
	require.FileExists(t, agent, `the agent is not built: run "make build"`)
	name := os.Getenv("PGSQLMS_LAB")
	if name == "" {
		name = fmt.Sprintf("p%d", os.Getpid()%1_000_000)
	}
	config.Name, config.FenceReboot = name+suffix, reboot
	if config.Agent == "" {
		config.Agent = agent
	}
	l, err := lab.Up(ctx, config, nil)
	require.NoError(t, err)
	r := &reader{Lab: l, t: t, ctx: ctx}
	t.Cleanup(r.end)
	r.here = strings.NewReplacer("pgsql-ip", lab.VIPResource, "192.0.2.10", l.VIP(), "192.0.2.11", strings.Replace(l.VIP(), ".100", ".101", 1),
		"qnetd.example.com", "n3",
		"fence_ipmilan params ip=10.0.0.1 username=admin password_script=/etc/ipmi-pw lanplus=1", "fence_lab params",
		"fence_ipmilan params ip=10.0.0.2 username=admin password_script=/etc/ipmi-pw lanplus=1", "fence_lab params",
		"fence_ipmilan params ip=10.0.0.3 username=admin password_script=/etc/ipmi-pw lanplus=1", "fence_lab params",
		"fence_ipmilan ip=10.0.0.1 username=admin password_script=/etc/ipmi-pw lanplus=1", "fence_lab",
		"fence_ipmilan ip=10.0.0.2 username=admin password_script=/etc/ipmi-pw lanplus=1", "fence_lab",
		"fence_ipmilan ip=10.0.0.3 username=admin password_script=/etc/ipmi-pw lanplus=1", "fence_lab")
	for _, n := range l.Nodes() {
		require.NoError(t, l.WriteFile(n.Name, "/usr/bin/systemctl", []byte(systemctl), 0o755, ""))
	}
	require.NoError(t, l.InstallAgent(agent))
	return r
}

// end keeps the logs of a test that failed, and takes the lab away.
func (r *reader) end() {
	ctx := context.WithoutCancel(r.ctx)
	if r.t.Failed() {
		if dir, err := os.MkdirTemp("", "pgsqlms-pages-"); err == nil {
			r.t.Logf("logs of all nodes: %s, %v", dir, r.CollectLogs(dir))
		}
		if os.Getenv("KEEP") != "" {
			r.t.Logf("kept: bin/lab down --name %s", r.Config().Name)
			return
		}
	}
	if err := r.Down(ctx); err != nil {
		r.t.Error(err)
	}
}

// debian leaves what Debian's packages leave: the example cluster does not matter, a database does.
func (r *reader) debian() {
	for _, n := range r.Nodes() {
		r.as(n.Name, "systemctl stop corosync; rm -rf /etc/postgresql/15/main /var/lib/postgresql/15 /etc/corosync/corosync.conf; "+
			"pg_createcluster --locale C.UTF-8 15 main")
	}
}

// enterpriseLinux leaves Enterprise Linux's paths, behind which are Debian's programs, no cluster, and pcsd.
func (r *reader) enterpriseLinux() {
	for _, n := range r.Nodes() {
		require.NoError(r.t, r.WriteFile(n.Name, "/usr/pgsql-15/bin/postgresql-15-setup", []byte(setupEL), 0o755, ""))
		r.as(n.Name, "rm -rf /var/lib/postgresql/* /etc/postgresql; "+
			"for f in /usr/lib/postgresql/15/bin/*; do ln -s $f /usr/pgsql-15/bin/; done; "+
			"install -d -o postgres -g postgres /var/lib/pgsql /var/lib/pgsql/15; "+
			"sed -i 's,:/var/lib/postgresql:,:/var/lib/pgsql:,' /etc/passwd; "+
			"systemctl stop corosync; rm -f /etc/corosync/corosync.conf /var/lib/pacemaker/cib/*; systemctl start pcsd")
	}
}

// as runs a script on a node that has to succeed, and is no page's.
func (r *reader) as(node, script string) {
	r.t.Helper()
	res, err := r.Exec(r.ctx, node, lab.ExecOptions{}, "/bin/sh", "-ec", script)
	require.NoError(r.t, err)
	require.Zero(r.t, res.Code, "on %s: %s\n%s%s", node, script, res.Stdout, res.Stderr)
}

// try goes through a page.
func (r *reader) try(page string) {
	r.t.Helper()
	r.tryAbout(page, func(string) bool { return true })
}

// tryTask goes through what stands under one heading.
func (r *reader) tryTask(page, task string) {
	r.t.Helper()
	found := false
	r.tryAbout(page, func(t string) bool { found = found || t == task; return t == task })
	require.True(r.t, found, "docs/%s has no task %q with steps", page, task)
}

// tryAbout goes through those parts of a page whose heading it is told to.
func (r *reader) tryAbout(page string, about func(task string) bool) {
	r.t.Helper()
	steps, err := parse(read(r.t, "docs/"+page))
	require.NoError(r.t, err)
	for _, s := range steps {
		if !about(s.task) {
			continue
		}
		start := time.Now()
		err := r.do(s)
		if err == nil && s.kind != "shows" {
			r.t.Logf("%s:%d %s %s: %.1f s", page, s.line, s.kind, strings.Join(s.words, " "), time.Since(start).Seconds())
		}
		require.NoError(r.t, err, "docs/%s:%d\n%s", page, s.line, s.script)
	}
}

func (r *reader) do(s step) error {
	switch s.kind {
	case "on":
		return r.run(s)
	case "shows":
		if !strings.Contains(r.said, s.text) {
			return fmt.Errorf("expected %q in\n%s", s.text, r.said)
		}
		return nil
	case "until":
		return r.await(s.words)
	case "fault":
		return r.fault(s.words[0], s.words[1])
	default:
		return r.copy(s.words[0], s.words[1], s.words[2:])
	}
}

// run runs a block. A question is asked again for a while: on a busy machine Pacemaker's tools may take longer than it waits.
func (r *reader) run(s step) error {
	r.said = ""
	for _, node := range s.words {
		said, err := r.block(node, s)
		for end := time.Now().Add(askBound); s.asks && err != nil && time.Now().Before(end) && r.ctx.Err() == nil; {
			said, err = r.block(node, s)
		}
		if err != nil {
			return err
		}
		r.said += said
	}
	return nil
}

func (r *reader) block(node string, s step) (string, error) {
	o := lab.ExecOptions{Dir: "/root", Stdin: strings.NewReader(s.typed), Env: []string{"HOME=/root", "COLUMNS=120"}}
	res, err := r.Exec(r.ctx, node, o, "/bin/sh", "-ec", r.here.Replace(s.script))
	if err == nil && res.Code != s.code {
		err = fmt.Errorf("on %s: exit code %d, expected %d:\n%s%s", node, res.Code, s.code, res.Stdout, res.Stderr)
	}
	return res.Stdout + res.Stderr, err
}

func (r *reader) copy(from, path string, to []string) error {
	text, err := r.ReadFile(from, path)
	for _, node := range to {
		if err == nil {
			err = r.WriteFile(node, path, text, 0o400, "")
		}
	}
	return err
}

// fault lets something befall a node. "busy" is none, but what a lab needs: each node takes the whole machine's load for its
// own, and would do one thing after the other. Nor is "home": it gives the node the primary's role, for a second fault.
func (r *reader) fault(what, node string) error {
	faults := map[string]func(context.Context, string) error{"cut": r.cut, "heal": r.Heal, "busy": r.standsLoad, "home": r.takesRole, "lose": r.KillNode}
	do, ok := faults[what]
	if !ok {
		return fmt.Errorf("no fault %q", what)
	}
	return do(r.ctx, node)
}

// cut cuts the primary's node off, and has it write WAL that nobody gets: in a cluster without clients there may be none.
func (r *reader) cut(ctx context.Context, node string) error {
	if err := r.Cut(ctx, node); err != nil {
		return err
	}
	_, err := r.SQL(ctx, node, "checkpoint")
	return err
}

func (r *reader) standsLoad(ctx context.Context, node string) error {
	_, err := r.Run(ctx, node, "crm_attribute", "--name", "load-threshold", "--update", "10000%")
	return err
}

// firstIsPrimary gives n1 the role where ocf:heartbeat:pgsql has promoted another node, and does what its documentation asks
// for then: the old primary is let back in by hand.
func (r *reader) firstIsPrimary() {
	ctx, cancel := context.WithTimeout(r.ctx, stateBound)
	defer cancel()
	old, err := r.Primary(ctx)
	require.NoError(r.t, err)
	if old == "n1" {
		return
	}
	require.NoError(r.t, r.Move(ctx, "n1"))
	require.NoError(r.t, r.Mend(ctx, old))
	require.NoError(r.t, r.WaitWhole(ctx))
}

func (r *reader) takesRole(ctx context.Context, node string) error {
	_, err := r.Run(ctx, node, "pgsqlms", "switchover", node, "--yes")
	return err
}

// await waits until all states hold at one look.
func (r *reader) await(states []string) error {
	ctx, cancel := context.WithTimeout(r.ctx, stateBound)
	defer cancel()
	for {
		err := r.hold(ctx, states)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", stateBound, err)
		case <-time.After(lookEvery):
		}
	}
}

func (r *reader) hold(ctx context.Context, states []string) error {
	status, err := r.Status(ctx)
	if err != nil {
		return err
	}
	for _, state := range states {
		f := strings.Fields(state)
		if f[0] == "fenced" {
			if err := r.fenced(f[1]); err != nil {
				return fmt.Errorf("%s: %w", state, err)
			}
			continue
		}
		hold, ok := stateRules[f[0]]
		if !ok {
			return fmt.Errorf("no state %q", f[0])
		}
		if err := hold(status, f[1:]); err != nil {
			return fmt.Errorf("%s: %w", state, err)
		}
	}
	return nil
}

// fenced holds when the last fencing was the node's, and so long ago that the others have noticed.
func (r *reader) fenced(node string) error {
	all, err := r.Fencings()
	if err != nil {
		return err
	}
	if n := len(all); n == 0 || all[n-1].Victim != node || time.Since(all[n-1].Answered) < reboot*2/3 {
		return fmt.Errorf("found the fencings %+v", all)
	}
	return nil
}

// stateRules are the states that a page waits for, each of the nodes named after it; besides "fenced".
var stateRules = map[string]func(s *lab.Status, nodes []string) error{
	"ready": func(s *lab.Status, _ []string) error {
		if what := s.Missing(); len(what) > 0 {
			return errors.New("missing: " + strings.Join(what, "; "))
		}
		return nil
	},
	"idle": func(s *lab.Status, _ []string) error {
		if s.DCState != "S_IDLE" {
			return fmt.Errorf("the coordinator is in %q", s.DCState)
		}
		return nil
	},
	"online":  ofEach(func(s *lab.Status, n string) bool { return slices.Contains(s.Online, n) }),
	"primary": ofEach(func(s *lab.Status, n string) bool { return s.Nodes[n].SQL == "primary" && s.VIPNode == n }),
	"elsewhere": func(s *lab.Status, nodes []string) error {
		for n, node := range s.Nodes {
			if node.SQL == "primary" && s.VIPNode == n && !slices.Contains(nodes, n) {
				return nil
			}
		}
		return fmt.Errorf("no primary besides %v", nodes)
	},
	"streams": ofEach(func(s *lab.Status, n string) bool { return s.Nodes[n].Streaming }),
	"stopped": ofEach(func(s *lab.Status, n string) bool {
		return s.Nodes[n].Role == "" && s.Nodes[n].SQL != "primary" && s.Nodes[n].SQL != "standby"
	}),
	"candidate": ofEach(func(s *lab.Status, n string) bool {
		score, err := strconv.Atoi(s.Nodes[n].Score)
		return err == nil && score > 0
	}),
	"standby": ofEach(func(s *lab.Status, n string) bool { return s.Nodes[n].SQL == "standby" }),
	"powered": ofEach(func(s *lab.Status, n string) bool { return s.Nodes[n].Powered }),
	"diverged": ofEach(func(s *lab.Status, n string) bool {
		return strings.Contains(s.Nodes[n].Attributes[lab.Resource+"-status"], "diverged")
	}),
}

func ofEach(holds func(s *lab.Status, node string) bool) func(*lab.Status, []string) error {
	return func(s *lab.Status, nodes []string) error {
		for _, n := range nodes {
			if !holds(s, n) {
				return fmt.Errorf("%s: found %+v, VIP on %q, failures %v", n, s.Nodes[n], s.VIPNode, s.Failures)
			}
		}
		return nil
	}
}

// systemctl stands for systemd's, which the lab has not: it starts and stops the same programs.
const systemctl = `#!/bin/sh
helper=/usr/lib/pgsqlms-lab/lab
start() {
	case $1 in
	corosync) pgrep -x corosync >/dev/null || $helper lab-helper-services corosync ;;
	pacemaker) start corosync; pgrep -x pacemakerd >/dev/null || $helper lab-helper-services pacemaker ;;
	corosync-qdevice) pgrep -f /usr/sbin/corosync-qdevice >/dev/null || /usr/sbin/corosync-qdevice ;;
	corosync-qnetd)
		pgrep -x corosync-qnetd >/dev/null && return
		install -d -o coroqnetd -g coroqnetd /run/corosync-qnetd
		runuser -u coroqnetd -- setsid corosync-qnetd -f >/dev/null 2>&1 & ;;
	pcsd)
		(set -a; . /etc/default/pcsd; for f in /usr/share/pcsd/pcsd /usr/sbin/pcsd; do setsid $f >>/var/log/pcsd.out 2>&1 </dev/null & done)
		n=0 # systemd waits for its word, too
		until python3 -c 'import socket; socket.create_connection(("127.0.0.1", 2224), 1)' 2>/dev/null; do
			n=$((n + 1)); [ $n -lt 60 ] || exit 1; sleep 0.5
		done ;;
	postgresql@15-main) su postgres -c 'pg_ctlcluster 15 main start' ;;
	postgresql-15) su postgres -c '/usr/pgsql-15/bin/pg_ctl start -w -s -D /var/lib/pgsql/15/data -l /tmp/startup.log' ;;
	*) echo "start of $1 is not known here" >&2; return 1 ;;
	esac
}
ended() {
	pid=$(pgrep -x "$1") || return 0
	kill -TERM $pid
	while pgrep -x "$1" >/dev/null; do sleep 0.1; done
}
stop() {
	case $1 in
	pacemaker) ended pacemakerd ;;
	corosync) ended pacemakerd; ended corosync ;;
	corosync-qdevice) ! pgrep -f /usr/sbin/corosync-qdevice || pkill -f /usr/sbin/corosync-qdevice ;;
	postgresql@15-main) su postgres -c 'pg_ctlcluster 15 main stop -m fast' ;;
	postgresql-15) su postgres -c '/usr/pgsql-15/bin/pg_ctl stop -w -s -m fast -D /var/lib/pgsql/15/data' ;;
	*) echo "stop of $1 is not known here" >&2; return 1 ;;
	esac
}
runs() {
	case $1 in
	corosync|corosync-qnetd) pgrep -x "$1" ;;
	corosync-qdevice) pgrep -f /usr/sbin/corosync-qdevice ;;
	pacemaker) pgrep -x pacemakerd ;;
	*) false ;;
	esac >/dev/null
}
if [ "$1" = list-unit-files ]; then # pcs asks so what is installed
	for f in /lib/systemd/system/*.service; do echo "$(basename "$f") disabled enabled"; done
	exit
fi
verb=
for word; do
	case $word in
	-*) ;;
	*)
		unit=${word%.service}
		case $verb in
		"") verb=$word ;;
		start|stop) $verb "$unit" || exit ;;
		restart) stop "$unit" && start "$unit" || exit ;;
		enable) touch "/etc/enabled-$unit" ;;
		disable|mask) rm -f "/etc/enabled-$unit" ;;
		unmask) ;;
		# Debian's generator has an instance with "auto" in its start.conf wanted by postgresql.service.
		is-enabled) case $unit in
			postgresql@*) echo enabled-runtime ;;
			*) [ -e "/etc/enabled-$unit" ] || { echo disabled; exit 1; }; echo enabled ;;
			esac ;;
		is-active) if runs "$unit"; then echo active; exit; fi; echo inactive; exit 3 ;;
		*) echo "$verb is not known here" >&2; exit 1 ;;
		esac ;;
	esac
done
`

// setupEL stands for the script of the PGDG's packages.
const setupEL = `#!/bin/sh
[ "$1" = initdb ] || exit 1
su postgres -c "/usr/lib/postgresql/15/bin/initdb -D /var/lib/pgsql/15/data --auth-local peer --auth-host scram-sha-256 \
	$PGSETUP_INITDB_OPTIONS >/tmp/initdb.log"
`
