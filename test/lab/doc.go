// Package lab runs a real Pacemaker cluster on this one machine: N nodes with
// their own corosync, pacemakerd and PostgreSQL, a switch between them, a
// client beside them, and a power switch that really kills a node.
//
// A node is a set of namespaces (network, mount, pid, uts, ipc) over a Debian
// tree that the lab makes with debootstrap and keeps in a cache. Nothing is
// installed on the host, no service of the host is touched, and every path the
// lab writes to is its own. Root is needed.
//
// # Use from a test or a program
//
// The program is its own helper: the same executable is the init of a node,
// the power switch outside of the nodes, and the fence agent inside of them.
// So the first statement of main, or of TestMain, is
//
//	lab.Hook()
//
// and the executable must be static (CGO_ENABLED=0), because it also runs in
// nodes of other Debian releases. Then:
//
//	l, err := lab.Up(ctx, lab.Config{Agent: "/path/to/pgsqlms", Sync: true}, nil)
//	if err != nil { ... }            // Up has cleaned up behind itself
//	defer l.Down(context.Background())
//	p, err := l.Primary(ctx)         // "n1"
//	err = l.KillNode(ctx, p)         // power loss
//	err = l.WaitReady(ctx)
//
// Up returns when the cluster is ready in the sense of WaitReady, unless
// Config.NoResources is set. Open finds a lab that is already up by its name,
// so that the command line and a program can look at the same one.
//
// # Finding one's way
//
//   - config.go: what can be chosen, and its defaults
//   - up.go, down.go, lab.go: the life of a lab
//   - exec.go, files.go, dial.go: run commands in a node, read and write its
//     files, connect from a node or from the client
//   - faults.go: power, cables, freezing, killing processes, packet filters
//   - status.go, ready.go: what the cluster looks like
//   - system.go: what differs between the systems that keep PostgreSQL up;
//     pacemaker.go, shellagent.go, patroni.go, vip.go: each of them
//   - tree.go, sandbox.go: the Debian tree, and one throw-away root of it
//   - powerd*.go, init.go, fenceagent.go, measure.go: the helpers that Hook runs
//
// docs/lab.md describes the same for people who only use the command line.
package lab
