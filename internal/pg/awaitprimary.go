package pg

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"time"

	"pgsqlms/internal/wal"
)

const (
	// dialWait bounds one attempt to connect. Where an address has not moved yet the packets
	// are lost, and the kernel would send the first one again only after a second.
	dialWait = 50 * time.Millisecond

	// dialEvery is the pause between two.
	dialEvery = 20 * time.Millisecond

	// askedWait bounds the questions to a server that listens.
	askedWait = time.Second
)

// AwaitPrimary waits until one of the servers that primary_conninfo names would let this
// standby stream a timeline later than what it has, and says whether that came before ctx
// ended. Others may listen all the time where more than one is named.
func (i *Instance) AwaitPrimary(ctx context.Context) (bool, error) {
	self, err := i.follower(ctx)
	if err != nil {
		return false, err
	}
	values, err := ParseConninfo(self.conninfo)
	if err != nil {
		return false, err
	}
	targets, err := primaryTargets(values)
	if err != nil {
		return false, err
	}
	lookUp(ctx, targets)
	for ctx.Err() == nil {
		if anyListens(ctx, targets) && i.wouldLetStream(ctx, self.end.Timeline) {
			return true, nil
		}
		_ = pause(ctx, dialEvery)
	}
	return false, nil
}

func (i *Instance) wouldLetStream(ctx context.Context, later wal.Timeline) bool {
	ctx, cancel := context.WithTimeout(ctx, askedWait)
	defer cancel()
	up, err := i.AskPrimary(ctx)
	return err == nil && up.Refusal == "" && up.Divergence == nil && up.Timeline > later
}

// lookUp puts addresses in the place of names, once: it may take longer than dialWait.
func lookUp(ctx context.Context, targets []primaryTarget) {
	ctx, cancel := context.WithTimeout(ctx, askedWait)
	defer cancel()
	for n, t := range targets {
		if t.addr != "" || isSocketDir(t.host) {
			continue
		}
		if found, err := net.DefaultResolver.LookupHost(ctx, t.host); err == nil && len(found) > 0 {
			targets[n].addr = found[0]
		}
	}
}

func isSocketDir(host string) bool {
	return strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@")
}

func anyListens(ctx context.Context, targets []primaryTarget) bool {
	for _, t := range targets {
		network, address := "tcp", net.JoinHostPort(t.addr, t.port)
		switch {
		case t.addr != "":
		case isSocketDir(t.host):
			network, address = "unix", filepath.Join(t.host, ".s.PGSQL."+t.port)
		default:
			continue // a name without an address
		}
		dialer := net.Dialer{Timeout: dialWait}
		if c, err := dialer.DialContext(ctx, network, address); err == nil {
			_ = c.Close()
			return true
		}
	}
	return false
}
