package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// machine is one node in the hands of the power switch.
type machine struct {
	node   Node
	dir    string // the node's own files on the host
	root   root
	net    network
	cgroup cgroup
	boots  string // what it starts when it starts something, see servicesMain

	mu    sync.Mutex
	power bool
	cut   string
	gen   int // counts the times that the power was switched
}

func newMachine(labDir string, p plan, n Node) *machine {
	dir := nodeDir(labDir, n.Name)
	return &machine{
		node: n,
		dir:  dir,
		root: root{
			Tree:     p.Tree,
			Upper:    filepath.Join(dir, "upper"),
			Work:     filepath.Join(dir, "work"),
			At:       filepath.Join(dir, "root"),
			Hostname: n.Name,
			Binds: []Bind{
				{Host: filepath.Join(dir, "data"), Inside: "/var/lib/postgresql", Write: true},
				{Host: filepath.Join(labDir, "bin"), Inside: filepath.Dir(helperPath)},
				{Host: powerDir(labDir), Inside: powerDirInNode},
			},
		},
		net:    network{p.Config.Name},
		cgroup: nodeCgroup(p, n.Name),
		boots:  systemOf(p.Config.Agent).services(),
	}
}

const powerDirInNode = "/run/pgsqlms-lab"

func nodeDir(labDir, node string) string     { return filepath.Join(labDir, "nodes", node) }
func nodeCgroup(p plan, node string) cgroup  { return cgroup(filepath.Join(p.Cgroup, node)) }
func initPidFile(labDir, node string) string { return filepath.Join(nodeDir(labDir, node), "init.pid") }

// on powers the machine: its cable, its init, and then the switch port.
func (m *machine) on(ctx context.Context, services bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.power {
		return nil
	}
	m.gen++
	if err := m.start(ctx, services); err != nil {
		return fmt.Errorf("powering %s: %w (and cleaning up: %s)", m.node.Name, err, orOK(m.wipe(ctx)))
	}
	m.power = true
	if m.cut == "cut" {
		return nil
	}
	return m.net.portUp(ctx, m.node.Name)
}

func (m *machine) start(ctx context.Context, services bool) error {
	for _, d := range []string{m.root.Upper, m.root.Work, m.root.At, filepath.Join(m.dir, "data")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	if err := m.net.plug(ctx, m.node.Name, m.node.Addr, 10+m.node.ID); err != nil {
		return err
	}
	if m.cut == "silent" {
		if err := m.net.isolate(ctx, m.node.Name); err != nil {
			return err
		}
	}
	if err := m.cgroup.create(); err != nil {
		return err
	}
	pid, err := m.startInit(services)
	if err != nil {
		return err
	}
	return writeFileAtomic(filepath.Join(m.dir, "init.pid"), []byte(strconv.Itoa(pid)))
}

// startInit starts the machine's process 1 in its network namespace, its cgroup
// and fresh other namespaces, and waits until the root is made.
func (m *machine) startInit(services bool) (int, error) {
	boot := initSpec{Root: m.root}
	if services {
		boot.Services = m.boots
	}
	spec, err := json.Marshal(boot)
	if err != nil {
		return 0, err
	}
	cg, err := m.cgroup.open()
	if err != nil {
		return 0, err
	}
	defer cg.Close()
	console, err := os.OpenFile(filepath.Join(m.dir, "console.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return 0, err
	}
	defer console.Close()
	cmd := helperCommand("/proc/self/exe", cmdInit)
	cmd.Stdin = bytes.NewReader(spec)
	cmd.Stdout, cmd.Stderr = console, console
	cmd.Env = nodeEnv()
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:      true,
		Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		UseCgroupFD: true,
		CgroupFD:    int(cg.Fd()),
	}
	start := func() error { return inNetns(m.net.ns(m.node.Name), cmd.Start) }
	if err := startAndAwaitReady(cmd, start, 20*time.Second); err != nil {
		return 0, err
	}
	return cmd.Process.Pid, nil
}

// startAndAwaitReady starts a helper by start and waits until it says "ok" on
// its file 3, or an error, or dies, or the bound has passed.
func startAndAwaitReady(cmd *exec.Cmd, start func() error, bound time.Duration) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd.ExtraFiles = []*os.File{w}
	err = start()
	w.Close()
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if err := r.SetReadDeadline(time.Now().Add(bound)); err != nil {
		return err
	}
	said, err := io.ReadAll(r)
	if err == nil && string(said) == "ok" {
		return nil
	}
	_ = cmd.Process.Kill()
	if err != nil {
		return fmt.Errorf("%s was not ready in %v", cmd.Args[1], bound)
	}
	return fmt.Errorf("%s: %s (%s)", cmd.Args[1], strings.TrimSpace(string(said)), orOK(<-ended))
}

// off is the power loss. It returns when nothing of the machine runs any more.
func (m *machine) off(ctx context.Context, linked bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.power {
		return nil
	}
	m.gen++
	if !linked && m.cut != "cut" {
		// First, so that no FIN or RST tells the others that it died.
		if err := m.net.portDown(ctx, m.node.Name); err != nil {
			return err
		}
	}
	if err := m.wipe(ctx); err != nil {
		return fmt.Errorf("switching %s off: %w", m.node.Name, err)
	}
	m.power = false
	return nil
}

// wipe kills what runs and takes the namespace and the cable away, and with
// them the sockets that would speak up when the port is back.
func (m *machine) wipe(ctx context.Context) error {
	// Removed, not only emptied: a process that is started right in a cgroup which
	// was once killed is killed as well, by kernels that mistake it for a late fork.
	if err := m.cgroup.remove(ctx); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(m.dir, "init.pid")); err != nil {
		return err
	}
	return m.net.unplug(ctx, m.node.Name)
}

func (m *machine) cable(ctx context.Context, op string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.restoreCable(ctx); err != nil {
		return err
	}
	switch op {
	case "cut":
		m.cut = "cut"
		if m.power {
			return m.net.portDown(ctx, m.node.Name)
		}
	case "silentcut":
		m.cut = "silent"
		if m.power {
			return m.net.isolate(ctx, m.node.Name)
		}
	}
	return nil
}

func (m *machine) restoreCable(ctx context.Context) error {
	was := m.cut
	m.cut = ""
	switch {
	case !m.power:
		return nil
	case was == "cut":
		return m.net.portUp(ctx, m.node.Name)
	case was == "silent":
		return m.net.join(ctx, m.node.Name)
	}
	return nil
}

func (m *machine) setFrozen(ctx context.Context, frozen bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.power {
		return fmt.Errorf("%s has no power", m.node.Name)
	}
	if frozen {
		return m.cgroup.freeze(ctx)
	}
	return m.cgroup.thaw()
}

func (m *machine) generation() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.gen
}

func (m *machine) state() PowerState {
	m.mu.Lock()
	defer m.mu.Unlock()
	return PowerState{Powered: m.power, Cut: m.cut, Frozen: m.power && m.cgroup.frozen()}
}
