package scenario

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestThePrimaryMovedWhilePreparing(t *testing.T) {
	require.NoError(t, unmoved("n1", "n1"))
	assert.ErrorContains(t, unmoved("n1", "n2"), "the primary was n1 and is n2 now")
}

func TestInParallel(t *testing.T) {
	first, second := errors.New("first"), errors.New("second")
	err := inParallel(3, func(i int) error { return []error{first, nil, second}[i] })
	assert.ErrorIs(t, err, first)
	assert.ErrorIs(t, err, second)
	assert.NoError(t, inParallel(0, nil))
}

// pgbench on the node that is to be promoted would take from what is measured.
func TestBystander(t *testing.T) {
	assert.Equal(t, "n2", bystander([]string{"n2", "n3"}, "n3"))
	assert.Equal(t, "n3", bystander([]string{"n2", "n3"}, "n2"))
	assert.Equal(t, "n2", bystander([]string{"n2"}, "n2"))
}

func TestTheLengthOfTheWriting(t *testing.T) {
	assert.Equal(t, 2*time.Second, Runner{}.withDefaults().writing(t.Context()))
	asked := 0
	r := Runner{SteadyFrom: func(context.Context) time.Duration { asked++; return 7 * time.Second }}.withDefaults()
	assert.Zero(t, asked, "not before the writing has begun")
	assert.Equal(t, 7*time.Second, r.writing(t.Context()))
}
