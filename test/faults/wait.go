package faults

import (
	"context"
	"fmt"
	"time"

	"pgsqlms/test/scenario"
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
		if scenario.Pause(ctx, every) != nil {
			return fmt.Errorf("not within %s: %s", bound.Round(time.Millisecond), lacking)
		}
	}
}
