package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"
)

// The power switch answers one JSON request per connection.

type powerRequest struct {
	Op   string // on, off, reboot, status, cut, silentcut, heal, freeze, thaw, fencing, autostart
	Node string
	// By is the node whose fence agent asks; empty for the lab itself. Only
	// requests with it are fencings, and fail or are delayed as a test wishes.
	By string
	// Linked leaves the switch port up while the node dies.
	Linked bool
	// Bare powers a node without the start of its cluster.
	Bare bool
	// Services says for "autostart" whether powered nodes start their cluster.
	Services bool
	Fencing  FencingMode
}

type powerReply struct {
	Error string
	Nodes map[string]PowerState
}

// PowerState is what the power switch knows about a node.
type PowerState struct {
	Powered bool
	Cut     string // "", "cut" or "silent"
	Frozen  bool
}

// FencingMode makes the power switch fail or delay what the fence agent asks
// for, and sets the time from a fencing "reboot" until the power is back.
type FencingMode struct {
	Fail   bool
	Delay  time.Duration
	Reboot time.Duration // 0: as it was; negative: never
}

// Fencing is one request of a node's fence agent to switch a node off.
type Fencing struct {
	Asked    time.Time
	Answered time.Time
	Victim   string
	By       string // the node that asked
	Action   string // off or reboot
	Error    string // why it was refused; empty when the victim is dead
}

// powerCall asks the power switch that listens on socket.
func powerCall(ctx context.Context, socket string, req powerRequest) (powerReply, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return powerReply{}, fmt.Errorf("the lab's power switch does not answer: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := json.NewEncoder(conn).Encode(req); err != nil {
		return powerReply{}, fmt.Errorf("power switch: %w", err)
	}
	var rep powerReply
	if err := json.NewDecoder(conn).Decode(&rep); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return powerReply{}, fmt.Errorf("power switch: no answer to %s %s: %w", req.Op, req.Node, err)
	}
	if rep.Error != "" {
		return rep, errors.New(rep.Error)
	}
	return rep, nil
}
