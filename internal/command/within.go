package command

import (
	"context"
	"errors"
	"time"
)

// ErrGivenUp says that work has not come back in its time, and was left where it is.
var ErrGivenUp = errors.New("it has not come back in time")

// Within does what may stand still where no deadline reaches: a system call on storage
// that hangs, or a program that waits there and cannot even be killed (state D in ps(1)).
// When ctx has ended, do has late more to come back with an answer of its own; then it
// is given up, with ErrGivenUp. What it waits for may come all the same, and it goes on
// then until this process ends: it must share nothing with its caller but its result,
// which is dropped.
func Within[T any](ctx context.Context, late time.Duration, do func() (T, error)) (T, error) {
	type outcome struct {
		result T
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		result, err := do()
		done <- outcome{result, err}
	}()
	select {
	case o := <-done:
		return o.result, o.err
	case <-ctx.Done():
	}
	select {
	case o := <-done:
		return o.result, o.err
	case <-time.After(late):
	}
	var nothing T
	return nothing, ErrGivenUp
}
