package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheCheckedInPagesAreCurrent(t *testing.T) {
	all, err := pages()
	require.NoError(t, err)
	for name, text := range all {
		written, err := os.ReadFile(filepath.Join("../..", name))
		require.NoError(t, err)
		require.Equal(t, text, string(written), `%s is stale: run "make reference"`, name)
	}
}
