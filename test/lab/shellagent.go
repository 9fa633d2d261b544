package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// shellAgent is ocf:heartbeat:pgsql in a Pacemaker cluster, set up as its own
// documentation does for replication (the meta-data, and ClusterLabs' wiki page
// "PgSQL Replicated Cluster"). It writes the settings of the replication
// itself, and names one synchronous standby.
type shellAgent struct{ pacemaker }

// shellTmp is the agent's tmpdir, beside the data so that a power loss leaves it.
const shellTmp = "/var/lib/postgresql/tmp"

// shellOps are the operations of the wiki page.
func shellOps() []Op {
	const minute = time.Minute
	return []Op{
		{Name: "start", Timeout: minute},
		{Name: "stop", Timeout: minute},
		{Name: "promote", Timeout: minute},
		{Name: "demote", Timeout: minute},
		{Name: "monitor", Role: "Promoted", Interval: 3 * time.Second, Timeout: minute},
		{Name: "monitor", Role: "Unpromoted", Interval: 4 * time.Second, Timeout: minute},
		{Name: "notify", Timeout: minute},
	}
}

// shellMeta are the resource defaults of the wiki page: the first failure moves the primary.
func shellMeta() map[string]string {
	return map[string]string{"resource-stickiness": "INFINITY", "migration-threshold": "1"}
}

// shellParams are the parameters of the resource. restart_on_promote, which the
// wiki page sets, keeps its default: the meta-data says that it makes a failover slower.
func (c cib) shellParams() map[string]string {
	var names []string
	for _, n := range c.nodes {
		names = append(names, n.Name)
	}
	mode := "async"
	if c.cfg.Sync {
		mode = "sync"
	}
	return map[string]string{
		"pgctl":                c.facts.bindir() + "/pg_ctl",
		"psql":                 c.facts.bindir() + "/psql",
		"pgdata":               c.facts.pgdata(),
		"config":               c.facts.pgconf() + "/postgresql.conf",
		"socketdir":            "/var/run/postgresql",
		"logfile":              "/var/log/postgresql/start.log",
		"tmpdir":               shellTmp,
		"rep_mode":             mode,
		"node_list":            strings.Join(names, " "),
		"master_ip":            vipAddr,
		"repuser":              replUser,
		"primary_conninfo_opt": conninfoPatience,
		"restart_on_promote":   "false",
		"xlog_check_count":     "3",
	}
}

// equip also mends the functions that resource-agents 4.12.0, Debian 12's, has
// for its agents: with Pacemaker 2.1.5 it takes "-p -v -INFINITY" for other
// options, so that the agent cannot withdraw its score and never starts. Later
// releases name the resource after -p, as here.
func (p shellAgent) equip(l *Lab, n Node) error {
	if err := p.pacemaker.equip(l, n); err != nil {
		return err
	}
	const path, broken = "/usr/lib/ocf/lib/heartbeat/ocf-shellfuncs", "/crm_attribute -p $@"
	text, err := l.ReadFile(n.Name, path)
	if err != nil || !strings.Contains(string(text), broken) {
		return err
	}
	mended := strings.ReplaceAll(string(text), broken, "/crm_attribute -p ${OCF_RESOURCE_INSTANCE} $@")
	return l.WriteFile(n.Name, path, []byte(mended), 0o644, "")
}

// missing asks for a score on the primary and on one standby: the agent lets
// only the synchronous one be promoted, and with more than two nodes and
// asynchronous replication none, before the primary is gone.
func (p shellAgent) missing(s *Status) []string {
	out := p.missingRoles(s)
	candidates := 0
	for name, n := range s.Nodes {
		switch {
		case n.SQL == "primary" && atoi(n.Score) <= 0:
			out = append(out, fmt.Sprintf("%s: a positive promotion score, found %q", name, n.Score))
		case n.SQL == "standby" && atoi(n.Score) > 0:
			candidates++
		}
	}
	if s.wantsCandidate && candidates == 0 {
		out = append(out, "a positive promotion score on a standby")
	}
	return out
}

func (p shellAgent) look(ctx context.Context, l *Lab, s *Status) {
	p.pacemaker.look(ctx, l, s)
	s.wantsCandidate = l.plan.Config.Sync
}

// startMove bans the role from the primary: against the stickiness of the wiki
// page no preference for another node wins. The agent lets only one standby be
// promoted, so that its place is known.
func (shellAgent) startMove(ctx context.Context, l *Lab, node string) error {
	primary, err := l.Primary(ctx)
	if err != nil {
		return err
	}
	_, err = l.Run(ctx, node, l.promotedOnly("crm_resource", "--ban", "--resource", CloneResource, "--node", primary)...)
	return err
}

// mend removes the lock that the agent leaves where an instance was the primary,
// and lets the cluster forget that it did not start with it there.
func (shellAgent) mend(ctx context.Context, l *Lab, node string) error {
	s, err := l.Status(ctx)
	if err != nil {
		return err
	}
	n := s.Nodes[node]
	if n.SQL == "primary" {
		return nil
	}
	lock := filepath.Join(nodeDir(l.dir, node), "data", filepath.Base(shellTmp), "PGSQL.lock")
	if err := os.Remove(lock); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if n.SQL == "standby" || !contains(s.Online, node) || s.DCState != "S_IDLE" {
		return nil // it is well, or under way
	}
	return l.forgetFailures(ctx, node, node)
}

func (p shellAgent) rebuild(ctx context.Context, l *Lab, primary, node string) error {
	lock := filepath.Join(nodeDir(l.dir, node), "data", filepath.Base(shellTmp), "PGSQL.lock")
	if err := os.Remove(lock); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return p.pacemaker.rebuild(ctx, l, primary, node)
}
