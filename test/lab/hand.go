package lab

import (
	"context"
	"fmt"
	"slices"
)

// AgentHand as Config.Agent is nobody: PostgreSQL is started, stopped and
// promoted with pg_ctl and the clients' address moved with ip, by the lab
// itself. What that takes is the floor for everything that does it by itself.
const AgentHand = "hand"

type hand struct{}

func (hand) packages() []string                            { return nil }
func (hand) services() string                              { return "" }
func (hand) equip(*Lab, Node) error                        { return nil }
func (hand) missing(*Status) []string                      { return nil }
func (hand) clearMove(context.Context, *Lab, string) error { return nil }
func (hand) mend(context.Context, *Lab, string) error      { return nil }
func (hand) leaveReplay(context.Context, *Lab, bool) error { return nil }

func (h hand) steps(l *Lab) []step {
	return []step{{"by hand", func(ctx context.Context) error {
		if err := h.takeAddress(ctx, l, l.Nodes()[0].Name); err != nil {
			return err
		}
		if err := l.eachNode(func(n Node) error { return l.PgCtl(ctx, n.Name, "start") }); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, l.plan.Config.ReadyTimeout)
		defer cancel()
		return l.WaitReady(ctx)
	}}}
}

// look has every standby that streams for one that could be promoted.
func (hand) look(_ context.Context, _ *Lab, s *Status) {
	for name, n := range s.Nodes {
		if n.Streaming {
			n.Score = "1"
			s.Nodes[name] = n
		}
	}
}

// startMove does what an agent has to do in a switchover, in the same order, and
// nothing else. The checkpoint before, while writes go on, is what any
// administrator would do for the shutdown to be short.
func (h hand) startMove(ctx context.Context, l *Lab, node string) error {
	primary, err := l.Primary(ctx)
	if err != nil {
		return err
	}
	if _, err := l.SQL(ctx, primary, "checkpoint"); err != nil {
		return err
	}
	if err := l.PgCtl(ctx, primary, "stop"); err != nil {
		return err
	}
	if err := l.WriteFile(primary, l.PGData()+"/standby.signal", nil, 0o600, "postgres"); err != nil {
		return err
	}
	if err := l.PgCtl(ctx, primary, "start"); err != nil {
		return err
	}
	if err := l.PgCtl(ctx, node, "promote"); err != nil {
		return err
	}
	if _, err := l.Run(ctx, primary, "ip", "address", "del", vipWithBits(), "dev", "eth0"); err != nil {
		return err
	}
	return h.takeAddress(ctx, l, node)
}

func (hand) takeAddress(ctx context.Context, l *Lab, node string) error {
	if _, err := l.Run(ctx, node, "ip", "address", "add", vipWithBits(), "dev", "eth0"); err != nil {
		return err
	}
	_, err := l.Run(ctx, node, "arping", "-q", "-U", "-c", "2", "-I", "eth0", vipAddr)
	return err
}

func (hand) rebuild(ctx context.Context, l *Lab, primary, node string) error {
	if err := l.Boot(ctx, node); err != nil {
		return err
	}
	// One that does not run cannot be stopped, and need not be.
	_ = l.PgCtl(ctx, node, "stop")
	if err := l.baseBackup(ctx, primary, node); err != nil {
		return err
	}
	return l.PgCtl(ctx, node, "start")
}

func vipWithBits() string { return fmt.Sprintf("%s/%d", vipAddr, netBits) }

// fences says whether an agent's cluster has a fence device.
func fences(agent string) bool { return !slices.Contains([]string{AgentPatroni, AgentHand}, agent) }
