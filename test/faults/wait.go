package faults

import (
	"context"
	"fmt"
	"time"
)

// await asks again and again until nothing is missing, and tells what still was when the bound or ctx is over.
func await(ctx context.Context, bound, every time.Duration, missing func(context.Context) string) error {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	for {
		lacking := missing(ctx)
		if lacking == "" {
			return nil
		}
		if pause(ctx, every) != nil {
			return fmt.Errorf("not within %s: %s", bound.Round(time.Millisecond), lacking)
		}
	}
}

// pause lets a length of time pass, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
