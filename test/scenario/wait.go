package scenario

import (
	"context"
	"fmt"
	"time"
)

// await asks again and again until nothing is missing, and tells what still was when ctx ends first.
func await(ctx context.Context, every time.Duration, missing func() string) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		lacking := missing()
		if lacking == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %s", ctx.Err(), lacking)
		case <-tick.C:
		}
	}
}

// Pause lets a length of time pass, unless ctx ends before.
func Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
