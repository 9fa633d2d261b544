package main

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgsqlms/test/lab"
)

// What comes after something that ended badly is measured, in a fresh cluster.
func TestWhatIsLeftGetsAFreshCluster(t *testing.T) {
	bad := map[string]bool{"b": true, "d": true}
	var clusters [][]string
	errs := untilDone(t.Context(), []string{"a", "b", "c", "d"}, func(left []string) (int, error) {
		clusters = append(clusters, left)
		for i, one := range left {
			if bad[one] {
				return i + 1, fmt.Errorf("%w: %s", errFinding, one)
			}
		}
		return len(left), nil
	})
	assert.Equal(t, [][]string{{"a", "b", "c", "d"}, {"c", "d"}}, clusters)
	require.Len(t, errs, 2)
	assert.EqualError(t, errs[1], "measured, but then: d")
}

func TestAClusterThatDoesNotComeUpEndsTheTurn(t *testing.T) {
	tries := 0
	errs := untilDone(t.Context(), []string{"a", "b"}, func([]string) (int, error) { tries++; return 0, errors.New("no") })
	assert.Len(t, errs, 1)
	assert.Equal(t, 1, tries)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	assert.Empty(t, untilDone(over, []string{"a"}, func([]string) (int, error) { tries++; return 1, nil }))
	assert.Equal(t, 1, tries, "after Ctrl-C nothing is begun")
}

// What an agent did wrong is told, and is no failure of the bench, also where something else was one.
func TestFindingsAreNoFailures(t *testing.T) {
	var said []string
	s := &series{progress: func(text string) { said = append(said, text) }}
	errs := []error{fmt.Errorf("%w: not whole", errFinding), errors.New("no cluster"), fmt.Errorf("5 nodes: %w", errFinding)}
	failures := s.told(2, agent{Name: "paf"}, errs)
	require.Len(t, failures, 1)
	assert.EqualError(t, failures[0], "turn 2, paf: no cluster")
	assert.Equal(t, "turn 2, paf: 5 nodes: measured, but then", said[2])
}

func TestALabThatWasLeftIsReplaced(t *testing.T) {
	exists := fmt.Errorf("a lab called bench %w", lab.ErrExists)
	other := errors.New("other")
	for _, c := range []struct {
		name  string
		ups   []error
		down  error
		want  error
		downs int
	}{
		{"it comes up", []error{nil}, nil, nil, 0},
		{"one was left", []error{exists, nil}, nil, nil, 1},
		{"it stays", []error{exists, exists}, nil, lab.ErrExists, 1},
		{"it cannot be taken away", []error{exists}, other, other, 1},
		{"another error", []error{other}, nil, other, 0},
	} {
		ups, downs := 0, 0
		err := replaced(func() error { ups++; return c.ups[ups-1] }, func() error { downs++; return c.down }, func(string) {})
		assert.ErrorIs(t, err, c.want, c.name)
		assert.Equal(t, len(c.ups), ups, c.name)
		assert.Equal(t, c.downs, downs, c.name)
	}
}

// Every kind of thing that can be asked for has a fault, an order, and its place among light, heavy and apart.
func TestKillNodeWithoutMoreComesFirst(t *testing.T) {
	assert.Equal(t, []string{whatSwitchoverLoad, whatKillNodeClean, whatKillNodeDirty, whatKillNodeBacklog}, heavy)
	o := options{dirtyMB: 10, loadMB: 20, backlogMB: 30}
	names := map[string]string{}
	for _, what := range append(light[1:], heavy...) {
		names[o.fault(what).Name] = what
	}
	assert.Len(t, names, 7, "%v", names)
}
