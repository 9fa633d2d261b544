package agent

import (
	"context"
	"time"
)

// pollEvery is how long the agent sleeps between two looks at something that costs
// no process and no connection to look at.
const pollEvery = 10 * time.Millisecond

// poll calls done until it says true or fails, or ctx ends; it then returns ctx's
// error. It looks once more after the end, so that a slow last look still counts.
func poll(ctx context.Context, every time.Duration, done func() (bool, error)) error {
	timer := time.NewTimer(every)
	defer timer.Stop()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		timer.Reset(every)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
	}
}

// part is a context that ends after the given part of the time that is left.
func part(ctx context.Context, fraction float64) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	left := time.Until(deadline)
	return context.WithTimeout(ctx, time.Duration(fraction*float64(left)))
}
