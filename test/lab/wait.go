package lab

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// await calls try until it succeeds, and returns its last error when the bound
// or ctx is over.
func await(ctx context.Context, bound, every time.Duration, try func() error) error {
	end := time.Now().Add(bound)
	for {
		err := try()
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("not within %v: %w", bound, err)
		}
		if perr := pause(ctx, every); perr != nil {
			return errors.Join(perr, err)
		}
	}
}

// pause waits, but not longer than ctx lives.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
