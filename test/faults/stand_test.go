package faults

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"pgsqlms/test/lab"
)

// A cluster that does not come up is tried again. One that is there already is not this run's.
func TestAClusterThatDoesNotComeUp(t *testing.T) {
	slow, exists := errors.New("not ready after 120 s"), fmt.Errorf("a lab called x %w", lab.ErrExists)
	for name, c := range map[string]struct {
		errs []error // of one attempt after the other
		ends bool    // a person ends the run in the first one
		made int
		says []string
	}{
		"at once":           {errs: []error{nil}, made: 1},
		"the second time":   {errs: []error{slow, nil}, made: 2},
		"the third time":    {errs: []error{slow, slow, nil}, made: 3},
		"never":             {errs: []error{slow, slow, slow, nil}, made: 3, says: []string{"bring the cluster up: not ready"}},
		"another one's":     {errs: []error{exists, nil}, made: 1, says: []string{"is there already"}},
		"a part is left":    {errs: []error{slow, exists, nil}, made: 2, says: []string{"not ready", "is there already"}},
		"ended by a person": {errs: []error{slow, nil}, ends: true, made: 1, says: []string{"not ready"}},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		made := 0
		s := &stand{config: lab.Config{Name: "x"}, say: func(string) {}}
		s.make = func(_ context.Context, config lab.Config, _ func(string)) (*lab.Lab, error) {
			assert.True(t, config.Sync)
			if c.ends {
				cancel()
			}
			made++
			if err := c.errs[made-1]; err != nil {
				return nil, err
			}
			return &lab.Lab{}, nil
		}
		err := s.up(ctx, Sync)
		cancel()
		assert.Equal(t, c.made, made, name)
		assert.Equal(t, c.says == nil, s.lab != nil, name)
		assert.Equal(t, c.says == nil, err == nil, name)
		for _, text := range c.says {
			assert.ErrorContains(t, err, text, name)
		}
	}
}
