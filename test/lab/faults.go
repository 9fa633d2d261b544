package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// KillNode takes a node's power away, its cable first, so that the others hear
// nothing of it. It returns when nothing of it runs any more.
func (l *Lab) KillNode(ctx context.Context, node string) error {
	return l.powerOp(ctx, "off", node)
}

// KillNodeLinked takes a node's power away with its cable in place: FIN and RST
// of the dying connections may reach the others.
func (l *Lab) KillNodeLinked(ctx context.Context, node string) error {
	_, err := l.power(ctx, powerRequest{Op: "off", Node: node, Linked: true})
	return err
}

// Boot powers a node. Once the lab is up, a node starts its cluster by itself,
// and WaitReady tells when it is back. A node with power is left as it is.
func (l *Lab) Boot(ctx context.Context, node string) error { return l.powerOp(ctx, "on", node) }

// BootBare powers a node that is then left alone: StartCluster starts the rest.
func (l *Lab) BootBare(ctx context.Context, node string) error {
	_, err := l.power(ctx, powerRequest{Op: "on", Node: node, Bare: true})
	return err
}

// Cut pulls a node's cable: it loses its carrier.
func (l *Lab) Cut(ctx context.Context, node string) error { return l.powerOp(ctx, "cut", node) }

// SilentCut stops the switch from forwarding for a node, which keeps its carrier.
func (l *Lab) SilentCut(ctx context.Context, node string) error {
	return l.powerOp(ctx, "silentcut", node)
}

// Heal undoes Cut and SilentCut. They last over a power cycle until then.
func (l *Lab) Heal(ctx context.Context, node string) error { return l.powerOp(ctx, "heal", node) }

// Freeze stops all that runs in a node, as a hypervisor would. Exec is refused
// until it is thawed.
func (l *Lab) Freeze(ctx context.Context, node string) error {
	freezeGate.Lock()
	defer freezeGate.Unlock()
	return l.powerOp(ctx, "freeze", node)
}

// Thaw lets a frozen node go on.
func (l *Lab) Thaw(ctx context.Context, node string) error { return l.powerOp(ctx, "thaw", node) }

func (l *Lab) powerOp(ctx context.Context, op, node string) error {
	_, err := l.power(ctx, powerRequest{Op: op, Node: node})
	return err
}

// Power tells of every node whether it has power, is cut off, or frozen.
func (l *Lab) Power(ctx context.Context) (map[string]PowerState, error) {
	rep, err := l.power(ctx, powerRequest{Op: "status"})
	return rep.Nodes, err
}

// SetFencing makes fencing fail or take longer, and sets how long a fencing
// "reboot" leaves the node without power.
func (l *Lab) SetFencing(ctx context.Context, m FencingMode) error {
	_, err := l.power(ctx, powerRequest{Op: "fencing", Fencing: m})
	return err
}

// BlockPort drops what passes between a node and an address ("" for all), to
// and from a TCP port of the node, without a word to either side. Corosync is
// not affected. The filter is gone when the node loses its power.
func (l *Lab) BlockPort(ctx context.Context, node, from string, port int) error {
	if addr := l.addressOf(from); addr != "" {
		from = addr
	}
	src, dst := "", ""
	if from != "" {
		src, dst = "ip saddr "+from, "ip daddr "+from
	}
	return l.nft(ctx, node, fmt.Sprintf(`
add table inet lab
add chain inet lab input { type filter hook input priority 0; }
add chain inet lab output { type filter hook output priority 0; }
add rule inet lab input %s tcp dport %d drop
add rule inet lab output %s tcp sport %d drop
`, src, port, dst, port))
}

// Lose drops at random so many of a hundred packets that reach a node, of
// whatever kind. Corosync stands some of that, TCP grows slow.
func (l *Lab) Lose(ctx context.Context, node string, percent int) error {
	if percent < 1 || percent > 99 {
		return fmt.Errorf("losing %d%% of the packets: expected 1 to 99; Cut loses them all", percent)
	}
	return l.nft(ctx, node, fmt.Sprintf(`
add table inet lab
add chain inet lab input { type filter hook input priority 0; }
add rule inet lab input iifname "eth0" numgen random mod 100 < %d drop
`, percent))
}

// Unblock removes all filters that BlockPort and Lose made on a node.
func (l *Lab) Unblock(ctx context.Context, node string) error {
	return l.nft(ctx, node, "add table inet lab\ndelete table inet lab\n")
}

func (l *Lab) nft(ctx context.Context, node, script string) error {
	res, err := l.Exec(ctx, node, ExecOptions{Stdin: strings.NewReader(script)}, "nft", "-f", "-")
	if err == nil && res.Code != 0 {
		err = fmt.Errorf("packet filter on %s: %s", node, res.Stderr)
	}
	return err
}

// process is one of a node's, as the host sees it.
type process struct {
	pid, parent int
	inside      int // its number in the node
	title       string
}

// processes lists all that runs in a node.
func (l *Lab) processes(node string) ([]process, error) {
	if _, err := l.initPid(node); err != nil {
		return nil, err
	}
	pids, err := nodeCgroup(l.plan, node).pids()
	if err != nil {
		return nil, err
	}
	var out []process
	for _, pid := range pids {
		if p, ok := readProcess(pid); ok { // else it has ended meanwhile
			out = append(out, p)
		}
	}
	return out, nil
}

func readProcess(pid int) (process, bool) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return process{}, false
	}
	title, err := os.ReadFile(dir + "/cmdline")
	if err != nil {
		return process{}, false
	}
	p := process{pid: pid, title: strings.TrimSpace(strings.ReplaceAll(string(title), "\x00", " "))}
	for line := range strings.Lines(string(status)) {
		f := strings.Fields(line)
		switch {
		case len(f) < 2:
		case f[0] == "PPid:":
			p.parent = atoi(f[1])
		case f[0] == "NSpid:":
			p.inside = atoi(f[len(f)-1])
		}
	}
	return p, true
}

// postgresProcesses finds a node's postmaster by its pid file, and its children.
func (l *Lab) postgresProcesses(node string) (postmaster process, children []process, err error) {
	b, err := os.ReadFile(filepath.Join(l.DataDir(node), "postmaster.pid"))
	if err != nil {
		return process{}, nil, fmt.Errorf("no postmaster on %s: %w", node, err)
	}
	first, _, _ := strings.Cut(string(b), "\n")
	all, err := l.processes(node)
	if err != nil {
		return process{}, nil, err
	}
	for _, p := range all {
		if p.inside == atoi(first) {
			postmaster = p
		}
	}
	if postmaster.pid == 0 {
		return process{}, nil, fmt.Errorf("no postmaster on %s: process %s of its pid file does not run", node, first)
	}
	for _, p := range all {
		if p.parent == postmaster.pid {
			children = append(children, p)
		}
	}
	return postmaster, children, nil
}

// KillPostgres kills -9 the postmaster and then its children.
func (l *Lab) KillPostgres(ctx context.Context, node string) error {
	pm, children, err := l.postgresProcesses(node)
	if err != nil {
		return err
	}
	return kill(unix.SIGKILL, append([]process{pm}, children...)...)
}

// KillPostmaster kills -9 the postmaster alone and leaves its children as orphans.
func (l *Lab) KillPostmaster(ctx context.Context, node string) error {
	pm, _, err := l.postgresProcesses(node)
	if err != nil {
		return err
	}
	return kill(unix.SIGKILL, pm)
}

// SignalPostgres sends a signal to the one child of the postmaster whose title
// contains match ("walreceiver", "checkpointer", "lab 10.77.0.200"); "" is the
// postmaster itself.
func (l *Lab) SignalPostgres(ctx context.Context, node, match string, sig unix.Signal) error {
	pm, children, err := l.postgresProcesses(node)
	if err != nil {
		return err
	}
	if match == "" {
		return kill(sig, pm)
	}
	var titles []string
	for _, p := range children {
		if strings.Contains(p.title, match) {
			return kill(sig, p)
		}
		titles = append(titles, p.title)
	}
	return fmt.Errorf("no PostgreSQL process on %s has %q in its title; there are: %s", node, match, strings.Join(titles, "; "))
}

// SkewClock sets the clock that everything on a node sees that is started from
// now on, so far ahead of the machine's, or behind it; 0 is the machine's own. It
// is a preloaded library that does it: static programs, and so an agent written
// in Go, keep the machine's clock. It lasts over a power cycle.
func (l *Lab) SkewClock(ctx context.Context, node string, by time.Duration) error {
	const preload, setting = "/etc/ld.so.preload", "/etc/faketimerc"
	if by == 0 {
		_, err := l.Run(ctx, node, "rm", "-f", preload, setting)
		return err
	}
	library, err := l.Run(ctx, node, "sh", "-c", "ls /usr/lib/*/faketime/libfaketimeMT.so.1")
	if err != nil {
		return err
	}
	if err := l.WriteFile(node, setting, []byte(fmt.Sprintf("%+d\n", int(by.Seconds()))), 0o644, ""); err != nil {
		return err
	}
	return l.WriteFile(node, preload, []byte(library), 0o644, "")
}

// KillAgent kills -9 every action of the agent under test that is under way on
// a node, with its process group, as Pacemaker does at a timeout. It tells how
// many there were.
func (l *Lab) KillAgent(ctx context.Context, node string) (int, error) {
	all, err := l.processes(node)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, p := range all {
		if !strings.Contains(p.title, agentPath) {
			continue
		}
		n++
		if err := unix.Kill(-p.pid, unix.SIGKILL); err == nil {
			continue // it led a group of its own
		}
		if err := kill(unix.SIGKILL, p); err != nil {
			return n, err
		}
	}
	return n, ctx.Err()
}

func kill(sig unix.Signal, ps ...process) error {
	for _, p := range ps {
		if err := unix.Kill(p.pid, sig); err != nil && err != unix.ESRCH {
			return fmt.Errorf("%v to %d (%s): %w", sig, p.pid, p.title, err)
		}
	}
	return nil
}

// StopCluster stops a node's Pacemaker cleanly, then its corosync, as an
// administrator does before maintenance.
func (l *Lab) StopCluster(ctx context.Context, node string) error {
	for _, daemon := range []string{"pacemakerd", "corosync"} {
		if err := l.stopDaemon(ctx, node, daemon); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) stopDaemon(ctx context.Context, node, daemon string) error {
	signalled := false
	return await(ctx, 3*time.Minute, 50*time.Millisecond, func() error {
		all, err := l.processes(node)
		if err != nil {
			return err
		}
		for _, p := range all {
			if name, _, _ := strings.Cut(p.title, " "); filepath.Base(name) != daemon {
				continue
			}
			if !signalled {
				signalled = true
				if err := kill(unix.SIGTERM, p); err != nil {
					return err
				}
			}
			return fmt.Errorf("%s still runs on %s", daemon, node)
		}
		return nil
	})
}

// StartCluster starts corosync and Pacemaker on a node where they do not run.
func (l *Lab) StartCluster(ctx context.Context, node string) error {
	_, err := l.Run(ctx, node, helperPath, cmdServices, "all")
	return err
}
