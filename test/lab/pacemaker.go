package lab

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// pacemaker is a promotable clone in a Pacemaker cluster: the agent under test, or PAF.
type pacemaker struct{}

func (pacemaker) packages() []string { return nil }
func (pacemaker) services() string   { return "all" }

func (pacemaker) steps(l *Lab) []step {
	return []step{{"corosync", l.startCorosync}, {"pacemaker", l.startPacemaker}, {"resources", l.loadResources}}
}

func (pacemaker) equip(l *Lab, n Node) error {
	c := l.plan.Config
	if err := l.WriteFile(n.Name, "/etc/corosync/corosync.conf", []byte(corosyncConf(c, l.Nodes())), 0o644, ""); err != nil {
		return err
	}
	if slices.Contains(packagedAgents, c.Agent) {
		return nil
	}
	b, err := os.ReadFile(c.Agent)
	if err != nil {
		return fmt.Errorf("agent under test: %w", err)
	}
	return l.installFile(n.Name, b)
}

func (pacemaker) look(ctx context.Context, l *Lab, s *Status) {
	c, err := l.askCluster(ctx, s.Nodes)
	if err != nil {
		return
	}
	s.DC, s.DCState, s.Online, s.VIPNode, s.Failures = c.DC, c.DCState, c.Online, c.VIPNode, c.Failures
	for name, ns := range s.Nodes {
		ns.Role, ns.Failed, ns.Attributes = c.roles[name], c.failed[name], c.attributes[name]
		ns.Score = ns.Attributes[scoreAttribute]
		s.Nodes[name] = ns
	}
}

func (p pacemaker) missing(s *Status) []string {
	out := p.missingRoles(s)
	for _, name := range slices.Sorted(maps.Keys(s.Nodes)) {
		if n := s.Nodes[name]; n.Powered && atoi(n.Score) <= 0 {
			out = append(out, fmt.Sprintf("%s: a positive promotion score, found %q", name, n.Score))
		}
	}
	return out
}

// missingRoles is missing without the promotion scores.
func (pacemaker) missingRoles(s *Status) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for _, name := range slices.Sorted(maps.Keys(s.Nodes)) {
		n := s.Nodes[name]
		if !n.Powered {
			continue
		}
		switch {
		case n.SQL == "primary" && n.Role != "Promoted":
			say("%s: it is the primary, but its resource is %q, not Promoted", name, n.Role)
		case n.SQL == "standby" && n.Role != "Unpromoted":
			say("%s: it is a standby, but its resource is %q, not Unpromoted", name, n.Role)
		}
		if n.Failed {
			say("%s: its resource is marked failed", name)
		}
		if n.SQL == "primary" && n.HasVIP && s.VIPNode != name {
			say("the VIP on the primary %s by Pacemaker, which has it on %q", name, s.VIPNode)
		}
		if !slices.Contains(s.Online, name) {
			say("%s: online in Pacemaker", name)
		}
	}
	if s.DCState != "S_IDLE" {
		say("a DC in state S_IDLE; %q is in %q", s.DC, s.DCState)
	}
	return out
}

func (pacemaker) startMove(ctx context.Context, l *Lab, node string) error {
	_, err := l.Run(ctx, node, l.promotedOnly("crm_resource", "--move", "--resource", CloneResource, "--node", node)...)
	return err
}

// promotedOnly adds the option by which a rule is about the promoted role.
func (l *Lab) promotedOnly(argv ...string) []string {
	if l.plan.Facts.oldRoles() {
		return append(argv, "--master")
	}
	return append(argv, "--promoted")
}

func (pacemaker) clearMove(ctx context.Context, l *Lab, on string) error {
	_, err := l.Run(ctx, on, "crm_resource", "--clear", "--resource", CloneResource)
	return err
}

func (pacemaker) mend(context.Context, *Lab, string) error { return nil }

func (pacemaker) leaveReplay(context.Context, *Lab, bool) error { return nil }

func (pacemaker) rebuild(ctx context.Context, l *Lab, primary, node string) error {
	if err := l.BootBare(ctx, node); err != nil {
		return err
	}
	if err := l.StopCluster(ctx, node); err != nil {
		return err
	}
	if err := l.baseBackup(ctx, primary, node); err != nil {
		return err
	}
	if err := l.forgetFailures(ctx, primary, node); err != nil {
		return err
	}
	return l.StartCluster(ctx, node)
}

// forgetFailures lets the cluster try again with a node's instance. The tool waits a minute for answers of a controller
// that may have lost the question while a node left; a second one is answered.
func (l *Lab) forgetFailures(ctx context.Context, on, node string) error {
	res, err := l.Exec(ctx, on, ExecOptions{}, "crm_resource", "--cleanup", "--resource", Resource, "--node", node)
	if err == nil && res.Code == crmTimeout {
		_, err = l.Run(ctx, on, "crm_resource", "--cleanup", "--resource", Resource, "--node", node)
		return err
	}
	if err == nil && res.Code != 0 {
		err = fmt.Errorf("on %s, crm_resource --cleanup: exit code %d: %s", on, res.Code, strings.TrimSpace(res.Stderr))
	}
	return err
}

// crmTimeout is CRM_EX_TIMEOUT of Pacemaker's tools (crm/common/results.h).
const crmTimeout = 124

func (l *Lab) startCorosync(ctx context.Context) error {
	err := l.eachNode(func(n Node) error {
		_, err := l.Run(ctx, n.Name, helperPath, cmdServices, "corosync")
		return err
	})
	if err != nil {
		return err
	}
	// All members before the first pacemakerd: late ones would be fenced at the start.
	return await(ctx, 30*time.Second, 50*time.Millisecond, func() error {
		return l.eachNode(func(n Node) error { return l.corosyncComplete(ctx, n) })
	})
}

func (l *Lab) corosyncComplete(ctx context.Context, n Node) error {
	out, err := l.Run(ctx, n.Name, "corosync-quorumtool", "-s")
	if err != nil {
		return err
	}
	want := fmt.Sprintf("%d", len(l.Nodes()))
	for line := range strings.Lines(out) {
		if k, v, ok := strings.Cut(line, ":"); ok && k == "Nodes" && strings.TrimSpace(v) == want {
			return nil
		}
	}
	return fmt.Errorf("%s does not see all %s nodes in corosync", n.Name, want)
}

func (l *Lab) startPacemaker(ctx context.Context) error {
	if err := l.seedCIB(ctx); err != nil {
		return err
	}
	err := l.eachNode(func(n Node) error {
		_, err := l.Run(ctx, n.Name, helperPath, cmdServices, "pacemaker")
		return err
	})
	if err != nil {
		return err
	}
	if _, err := l.power(ctx, powerRequest{Op: "autostart", Services: true}); err != nil {
		return err
	}
	return l.awaitCluster(ctx)
}

func (l *Lab) awaitCluster(ctx context.Context) error {
	return await(ctx, time.Minute, 200*time.Millisecond, func() error { return l.clusterComplete(ctx) })
}

// seedCIB gives all nodes the same first configuration with the cluster's
// properties, which count from the very start.
func (l *Lab) seedCIB(ctx context.Context) error {
	first := l.Nodes()[0].Name
	empty, err := l.Run(ctx, first, "cibadmin", "--empty")
	if err != nil {
		return err
	}
	seed, err := withCrmConfig(empty, l.cib().crmConfig())
	if err != nil {
		return err
	}
	return l.eachNode(func(n Node) error {
		return l.WriteFile(n.Name, "/var/lib/pacemaker/cib/cib.xml", []byte(seed), 0o600, "hacluster:haclient")
	})
}

// clusterComplete asks for all nodes online, and a DC that has nothing to do.
func (l *Lab) clusterComplete(ctx context.Context) error {
	st, err := l.clusterStatus(ctx, l.Nodes()[0].Name)
	if err != nil {
		return err
	}
	if len(st.Online) != len(l.Nodes()) {
		return fmt.Errorf("online in Pacemaker: %s", orNone(st.Online))
	}
	if st.DCState != "S_IDLE" {
		return fmt.Errorf("the DC %q is in state %q, not S_IDLE", st.DC, st.DCState)
	}
	return nil
}

func (l *Lab) loadResources(ctx context.Context) error {
	res, err := l.Exec(ctx, l.Nodes()[0].Name,
		ExecOptions{Stdin: strings.NewReader(l.cib().configuration())},
		"cibadmin", "--replace", "--scope", "configuration", "--xml-pipe")
	if err != nil {
		return err
	}
	if res.Code != 0 {
		return fmt.Errorf("loading the cluster's configuration: %s", res.Stderr)
	}
	if l.plan.Config.NoResources {
		return l.awaitCluster(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, l.plan.Config.ReadyTimeout)
	defer cancel()
	return l.WaitReady(ctx)
}
