package lab

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// What Config.Agent may be beside the file of an agent: what the tree's own
// packages bring, to compare with.
const (
	AgentPAF     = "paf"     // the agent of resource-agents-paf
	AgentShell   = "pgsql"   // ocf:heartbeat:pgsql, of resource-agents
	AgentPatroni = "patroni" // no agent: Patroni with etcd, instead of Pacemaker and corosync
)

// packagedAgents are those that need no file.
var packagedAgents = []string{AgentPAF, AgentShell, AgentPatroni, AgentHand}

// PackagedAgents are the values of Config.Agent that are no file.
func PackagedAgents() []string { return slices.Clone(packagedAgents) }

// system is what keeps PostgreSQL available on the nodes. The nodes themselves,
// their network and power, PostgreSQL, its configuration and data, and the
// address of the clients are the same for all systems; so are the faults.
type system interface {
	packages() []string                          // of Debian, beyond those of every tree
	services() string                            // what a node starts when it is powered, see servicesMain
	equip(l *Lab, n Node) error                  // writes a node's configuration
	steps(l *Lab) []step                         // brings it up, once the databases are there
	look(ctx context.Context, l *Lab, s *Status) // adds what its own tools say
	missing(s *Status) []string                  // what keeps it from being ready, beside the databases
	startMove(ctx context.Context, l *Lab, node string) error
	clearMove(ctx context.Context, l *Lab, on string) error
	// mend does what a person has to do for a node that was the primary to come back.
	mend(ctx context.Context, l *Lab, node string) error
	// leaveReplay keeps the system from resuming a replay that somebody has paused, or lets it do so again.
	leaveReplay(ctx context.Context, l *Lab, leave bool) error
	// rebuild replaces a node's data by a copy of the primary's.
	rebuild(ctx context.Context, l *Lab, primary, node string) error
}

// step is one part of bringing a lab up.
type step struct {
	name string
	do   func(context.Context) error
}

func systemOf(agent string) system {
	switch agent {
	case AgentShell:
		return shellAgent{}
	case AgentPatroni:
		return patroni{}
	case AgentHand:
		return hand{}
	default:
		return pacemaker{}
	}
}

func (l *Lab) system() system { return systemOf(l.plan.Config.Agent) }

// Settings are those that decide how soon the system notices a failure and how
// it acts on it, to be told beside a figure.
func (l *Lab) Settings() map[string]string {
	c := l.plan.Config
	switch c.Agent {
	case AgentPatroni:
		return c.Patroni.settings(c.Sync)
	case AgentHand:
		return nil
	}
	s := map[string]string{"token": ms(c.Token), "token_coefficient": "650"}
	if c.ExactToken {
		s["token_coefficient"] = "0"
	}
	s["dc-deadtime"], s["power back after a fencing"] = ms(c.DCDeadtime), ms(c.FenceReboot)
	for _, op := range c.Ops {
		if op.Name == "monitor" {
			s["monitor "+op.Role] = fmt.Sprintf("%s (timeout %s)", ms(op.Interval), ms(op.Timeout))
		}
	}
	maps.Copy(s, c.RscMeta)
	if c.Agent == AgentShell {
		for _, name := range []string{"rep_mode", "restart_on_promote", "xlog_check_count"} {
			s[name] = l.ResourceParams()[name]
		}
	}
	return s
}

// databaseSettings are those of PostgreSQL that decide how soon a standby is
// back at a new primary, and how much there is to write.
var databaseSettings = []string{"wal_receiver_timeout", "wal_sender_timeout", "wal_retrieve_retry_interval", "shared_buffers"}

// DatabaseSettings are as a standby's PostgreSQL has them, whoever wrote its
// configuration, with what of its connection to the primary decides how soon a
// broken one is noticed.
func (l *Lab) DatabaseSettings(ctx context.Context) (map[string]string, error) {
	primary, err := l.Primary(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range l.Nodes() {
		if n.Name == primary {
			continue
		}
		out, err := l.SQL(ctx, n.Name, "select name || '=' || current_setting(name) from pg_settings where name in ('"+
			strings.Join(databaseSettings, "', '")+"', 'primary_conninfo')")
		return readDatabaseSettings(out), err
	}
	return nil, nil
}

// patience finds what a connection string has of time-outs. Nothing else of it is told to anybody.
var patience = regexp.MustCompile(`\b(connect_timeout|keepalives\w*|tcp_user_timeout) *= *'?(\d+)`)

func readDatabaseSettings(rows string) map[string]string {
	s := map[string]string{}
	for line := range strings.Lines(rows) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if name != "primary_conninfo" {
			s[name] = value
			continue
		}
		for _, m := range patience.FindAllStringSubmatch(value, -1) {
			s[m[1]] = m[2]
		}
	}
	return s
}

// Fences says whether a node that is lost is fenced, and so powered again,
// without anybody's doing.
func (l *Lab) Fences() bool { return fences(l.plan.Config.Agent) }

// Rejoins says whether a node that has diverged mends itself.
func (l *Lab) Rejoins() bool { return l.plan.Config.Agent == AgentPatroni }

// LeaveReplay keeps the system from resuming a replay that somebody has paused,
// or lets it do so again: then it may have, when this returns. Meanwhile it may
// not act on a failure.
func (l *Lab) LeaveReplay(ctx context.Context, leave bool) error {
	return l.system().leaveReplay(ctx, l, leave)
}

// Mend does what the system's own documentation asks of a person for a former
// primary to come back. Where nothing is asked, or no longer, it does nothing.
func (l *Lab) Mend(ctx context.Context, node string) error { return l.system().mend(ctx, l, node) }
