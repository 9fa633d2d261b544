package lab

import (
	"context"
	"maps"
	"slices"
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
	for _, op := range c.Ops {
		if op.Name == "monitor" {
			s["monitor "+op.Role] = ms(op.Interval)
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

// Fences says whether a node that is lost is fenced, and so powered again,
// without anybody's doing.
func (l *Lab) Fences() bool { return fences(l.plan.Config.Agent) }

// Rejoins says whether a node that has diverged mends itself.
func (l *Lab) Rejoins() bool { return l.plan.Config.Agent == AgentPatroni }

// Mend does what the system's own documentation asks of a person for a former
// primary to come back. Where nothing is asked, or no longer, it does nothing.
func (l *Lab) Mend(ctx context.Context, node string) error { return l.system().mend(ctx, l, node) }
