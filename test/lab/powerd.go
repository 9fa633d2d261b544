package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// powerd is the power switch: the one process that starts and kills nodes and
// plugs their cables. It is outside of the nodes and reached by a unix socket
// that each of them sees.
type powerd struct {
	dir   string // the lab's
	plan  plan
	net   network
	nodes map[string]*machine

	mu        sync.Mutex // of what follows
	fencing   FencingMode
	autostart bool
}

// requestBound keeps a request from holding a machine for ever.
const requestBound = 60 * time.Second

func powerdMain(dir string) error {
	signal.Ignore(unix.SIGHUP, unix.SIGINT, unix.SIGPIPE)
	p, err := readPlan(dir)
	if err != nil {
		return err
	}
	d := &powerd{dir: dir, plan: p, net: network{p.Config.Name}, nodes: map[string]*machine{}}
	d.fencing.Reboot = p.Config.FenceReboot
	for _, n := range p.nodes() {
		d.nodes[n.Name] = newMachine(dir, p, n)
	}
	if err := os.MkdirAll(powerDir(dir), 0o755); err != nil {
		return err
	}
	l, err := net.Listen("unix", powerSocket(dir))
	if err != nil {
		return err
	}
	ready := os.NewFile(3, "ready")
	fmt.Fprint(ready, "ok")
	ready.Close()
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go d.serve(conn)
	}
}

func powerDir(labDir string) string    { return filepath.Join(labDir, "power") }
func powerSocket(labDir string) string { return filepath.Join(powerDir(labDir), "switch") }

func (d *powerd) serve(conn net.Conn) {
	defer conn.Close()
	var req powerRequest
	if err := json.NewDecoder(conn).Decode(&req); err != nil {
		logf("bad request: %v", err)
		return
	}
	asked := time.Now()
	var rep powerReply
	err := d.handle(conn, req)
	if err != nil {
		rep.Error = err.Error()
	}
	if req.By != "" && (req.Op == "off" || req.Op == "reboot") {
		d.record(Fencing{Asked: asked, Answered: time.Now(), Victim: req.Node, By: req.By, Action: req.Op, Error: rep.Error})
	}
	if req.Op != "status" {
		logf("%s %s by %q after %v: %s", req.Op, req.Node, req.By, time.Since(asked).Round(time.Millisecond), orOK(err))
	}
	rep.Nodes = d.state()
	if err := json.NewEncoder(conn).Encode(rep); err != nil {
		logf("answering %s %s: %v", req.Op, req.Node, err) // the one who asked is gone, perhaps dead
	}
}

func (d *powerd) handle(conn net.Conn, req powerRequest) error {
	switch req.Op {
	case "status":
		return nil
	case "fencing":
		d.setFencing(req.Fencing)
		return nil
	case "autostart":
		d.setAutostart(req.Services)
		return nil
	}
	m, ok := d.nodes[req.Node]
	if !ok {
		return fmt.Errorf("no node %q in this lab; it has %d nodes, n1 and so on", req.Node, len(d.nodes))
	}
	if req.By != "" {
		if err := d.fencingMode(conn); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), requestBound)
	defer cancel()
	switch req.Op {
	case "on":
		return m.on(ctx, d.starts() && !req.Bare)
	case "off":
		return m.off(ctx, req.Linked)
	case "reboot":
		if err := m.off(ctx, req.Linked); err != nil {
			return err
		}
		d.onLater(m)
		return nil
	case "cut", "silentcut", "heal":
		return m.cable(ctx, req.Op)
	case "freeze", "thaw":
		return m.setFrozen(ctx, req.Op == "freeze")
	}
	return fmt.Errorf("power switch: unknown request %q", req.Op)
}

// onLater powers the machine after the time that a reboot is set to take. A
// machine that was powered or switched again in between is left alone.
func (d *powerd) onLater(m *machine) {
	d.mu.Lock()
	after := d.fencing.Reboot
	d.mu.Unlock()
	if after < 0 {
		return
	}
	generation := m.generation()
	time.AfterFunc(after, func() {
		if m.generation() != generation {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), requestBound)
		defer cancel()
		err := m.on(ctx, d.starts())
		logf("on %s, end of its reboot: %s", m.node.Name, orOK(err))
	})
}

// fencingMode makes the wait and the failure that a test has asked for. A fence
// agent that was killed meanwhile, by a timeout or with its node, has asked for
// nothing any more.
func (d *powerd) fencingMode(conn net.Conn) error {
	d.mu.Lock()
	mode := d.fencing
	d.mu.Unlock()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	go func() {
		_, err := conn.Read(make([]byte, 1)) // there is nothing more to read: it ends with the connection
		cancel(fmt.Errorf("the one who asked is gone: %w", err))
	}()
	if err := pause(ctx, mode.Delay); err != nil {
		return err
	}
	if mode.Fail {
		return fmt.Errorf("the power switch is set to refuse fencing")
	}
	return nil
}

func (d *powerd) setFencing(m FencingMode) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if m.Reboot == 0 {
		m.Reboot = d.fencing.Reboot
	}
	d.fencing = m
}

func (d *powerd) setAutostart(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.autostart = on
}

func (d *powerd) starts() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.autostart
}

func (d *powerd) state() map[string]PowerState {
	out := map[string]PowerState{}
	for name, m := range d.nodes {
		out[name] = m.state()
	}
	return out
}

// record appends to the lab's list of fencings.
func (d *powerd) record(f Fencing) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b, err := json.Marshal(f)
	if err == nil {
		err = appendLine(fencingsFile(d.dir), b)
	}
	if err != nil {
		logf("recording a fencing: %v", err)
	}
}

func fencingsFile(labDir string) string { return filepath.Join(labDir, "fencings.jsonl") }

func appendLine(path string, line []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.Write(append(line, '\n')); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func logf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s %s\n", time.Now().Format("2006-01-02T15:04:05.000"), fmt.Sprintf(format, args...))
}

func orOK(err error) string {
	if err == nil {
		return "ok"
	}
	return err.Error()
}
