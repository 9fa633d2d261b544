package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheCheckedInReferenceIsCurrent(t *testing.T) {
	written, err := os.ReadFile("../../docs/reference.md")
	require.NoError(t, err)
	require.Equal(t, page(), string(written), `docs/reference.md is stale: run "make reference"`)
}
