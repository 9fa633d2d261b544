//go:build lab

package e2e

import (
	"context"
	"fmt"
	"time"

	"github.com/stretchr/testify/require"
)

// awaitEvery is the pause between two looks, each of which starts processes on a small machine.
const awaitEvery = 200 * time.Millisecond

// await calls missing until it returns nil, and fails the test with what it said last when the bound is over.
func (c *cluster) await(what string, bound time.Duration, missing func() error) {
	c.t.Helper()
	require.NoError(c.t, awaitErr(c.ctx, what, bound, missing))
}

// awaitErr is await for a function that is called from within a scenario.
func awaitErr(ctx context.Context, what string, bound time.Duration, missing func() error) error {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	tick := time.NewTicker(awaitEvery)
	defer tick.Stop()
	for {
		err := missing()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: not within %s: %w", what, bound, err)
		case <-tick.C:
		}
	}
}

// stays looks again and again for a length of time, for what must not happen, and returns the first error.
func stays(ctx context.Context, what string, length time.Duration, broken func() error) error {
	end := time.Now().Add(length)
	tick := time.NewTicker(awaitEvery)
	defer tick.Stop()
	for time.Now().Before(end) {
		if err := broken(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}
