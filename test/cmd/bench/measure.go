package main

import (
	"context"

	"pgsqlms/test/lab"
)

// cost is what one run of a command took, in seconds.
type cost struct {
	CPU, Wall float64
}

func measureMonitors(ctx context.Context, l *lab.Lab, node string, environment []string, n int) ([]cost, error) {
	return nil, nil
}
