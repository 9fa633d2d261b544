package pg

import (
	"context"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

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
	configs, err := i.primaryConfigs(ctx, values)
	if err != nil {
		return false, err
	}
	addresses := lookUp(ctx, configs)
	for ctx.Err() == nil {
		if anyListens(ctx, addresses) && i.wouldLetStream(ctx, self.end.Timeline) {
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
	return err == nil && up.LetsStream() && up.Timeline > later
}

// address is one for net.Dial.
type address struct{ network, address string }

// lookUp finds the servers' addresses, once: for a name that may take longer than dialWait.
func lookUp(ctx context.Context, configs []*pgconn.Config) []address {
	ctx, cancel := context.WithTimeout(ctx, askedWait)
	defer cancel()
	var all []address
	for _, c := range configs {
		network, at := pgconn.NetworkAddress(c.Host, c.Port)
		if network != "unix" {
			found, err := c.LookupFunc(ctx, c.Host)
			if err != nil || len(found) == 0 {
				continue
			}
			_, at = pgconn.NetworkAddress(found[0], c.Port)
		}
		all = append(all, address{network, at})
	}
	return all
}

func anyListens(ctx context.Context, addresses []address) bool {
	for _, a := range addresses {
		dialer := net.Dialer{Timeout: dialWait}
		if c, err := dialer.DialContext(ctx, a.network, a.address); err == nil {
			_ = c.Close()
			return true
		}
	}
	return false
}
