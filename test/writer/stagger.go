package writer

import (
	"context"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// dialer is how a session's connection is opened: every dial bounded, because pgx dials once more by itself, for up to
// 15 s, to cancel a statement that it gave up.
func dialer(config Config) pgconn.DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, config.ConnectTimeout)
		defer cancel()
		if config.Stagger > 0 {
			return staggered(ctx, config.Dial, config.Stagger, network, address)
		}
		return config.Dial(ctx, network, address)
	}
}

// staggered begins another dial after every span, while those before still hang, and takes what the first one comes to,
// be it an error. While an address is nowhere the first packet of a dial is lost, and the kernel sends it again only after
// a second: a dial that was begun before the address was back tells nothing of it.
func staggered(ctx context.Context, dial Dial, every time.Duration, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // of those that hang
	type result struct {
		conn net.Conn
		err  error
	}
	first := make(chan result)
	begin := func() {
		conn, err := dial(ctx, network, address)
		select {
		case first <- result{conn, err}:
		case <-ctx.Done(): // too late
			if err == nil {
				_ = conn.Close()
			}
		}
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		go begin()
		select {
		case got := <-first:
			return got.conn, got.err
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}
