package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

const netnsDir = "/run/netns" // where ip(8) keeps network namespaces by name

// network names the namespaces of one lab and the cables between them.
type network struct{ lab string }

func (n network) ns(machine string) string { return "pgsqlms-" + n.lab + "-" + machine }
func (n network) switchNS() string         { return n.ns("switch") }

// makeSwitch makes the switch and the client, which live as long as the lab.
func (n network) makeSwitch(ctx context.Context) error {
	if err := addNetns(ctx, n.switchNS()); err != nil {
		return err
	}
	err := ipBatch(ctx, n.switchNS(),
		"link set lo up",
		"link add br0 type bridge stp_state 0 forward_delay 0",
		"link set br0 up")
	if err != nil {
		return err
	}
	if err := n.plug(ctx, Client, clientAddr, 200); err != nil {
		return err
	}
	return n.portUp(ctx, Client)
}

// plug makes a machine's namespace and its cable to the switch; the port stays
// down. The hardware address is fixed, so that neighbours that remember it from
// before a power cycle are right.
func (n network) plug(ctx context.Context, machine, addr string, id int) error {
	ns := n.ns(machine)
	if err := addNetns(ctx, ns); err != nil {
		return err
	}
	err := ipBatch(ctx, n.switchNS(),
		fmt.Sprintf("link add %s type veth peer name eth0 address 02:00:00:00:00:%02x netns %s", machine, id, ns),
		fmt.Sprintf("link set %s master br0", machine))
	if err != nil {
		return err
	}
	return ipBatch(ctx, ns,
		"link set lo up",
		fmt.Sprintf("addr add %s/%d brd + dev eth0", addr, netBits),
		"link set eth0 up")
}

// unplug takes a machine's cable and namespace away, and with them every socket
// of it that the kernel still holds.
func (n network) unplug(ctx context.Context, machine string) error {
	if exists(filepath.Join(netnsDir, n.switchNS())) && n.hasPort(machine) {
		if err := ipBatch(ctx, n.switchNS(), "link del "+machine); err != nil {
			return err
		}
	}
	return delNetns(ctx, n.ns(machine))
}

func (n network) hasPort(machine string) bool {
	has := false
	_ = inNetns(n.switchNS(), func() error {
		var err error
		has, err = hasInterface(machine)
		return err
	})
	return has
}

func (n network) portUp(ctx context.Context, machine string) error {
	return ipBatch(ctx, n.switchNS(), "link set "+machine+" up")
}

func (n network) portDown(ctx context.Context, machine string) error {
	return ipBatch(ctx, n.switchNS(), "link set "+machine+" down")
}

// isolate takes the port out of the bridge: nothing is forwarded any more, and
// the machine cannot tell from its carrier.
func (n network) isolate(ctx context.Context, machine string) error {
	return ipBatch(ctx, n.switchNS(), "link set "+machine+" nomaster")
}

func (n network) join(ctx context.Context, machine string) error {
	return ipBatch(ctx, n.switchNS(), "link set "+machine+" master br0")
}

// remove takes all namespaces of the lab away.
func (n network) remove(ctx context.Context) error {
	for _, path := range glob(filepath.Join(netnsDir, n.ns("*"))) {
		if err := delNetns(ctx, filepath.Base(path)); err != nil {
			return err
		}
	}
	return nil
}

func addNetns(ctx context.Context, ns string) error {
	return runTool(ctx, nil, "ip", "netns", "add", ns)
}

func delNetns(ctx context.Context, ns string) error {
	if !exists(filepath.Join(netnsDir, ns)) {
		return nil
	}
	return runTool(ctx, nil, "ip", "netns", "del", ns)
}

func ipBatch(ctx context.Context, ns string, lines ...string) error {
	return runTool(ctx, []byte(strings.Join(lines, "\n")+"\n"), "ip", "-n", ns, "-batch", "-")
}

// runTool runs a tool of the host; its error has what the tool said.
func runTool(ctx context.Context, stdin []byte, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s%s", name, strings.Join(args, " "), err, out, stdin)
	}
	return nil
}

// inNetns runs fn on a thread of its own that is in the namespace. The thread
// is never given back: it ends with fn.
func inNetns(ns string, fn func() error) error {
	return onThread(func() error {
		f, err := os.Open(filepath.Join(netnsDir, ns))
		if err != nil {
			return fmt.Errorf("network namespace: %w", err)
		}
		defer f.Close()
		if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("entering network namespace %s: %w", ns, err)
		}
		return fn()
	})
}

// onThread runs fn on a thread that ends afterwards, so that fn may change what
// belongs to a thread.
func onThread(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread goes with the goroutine
		done <- fn()
	}()
	return <-done
}
