package crm

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Both outputs are those of Corosync 3.1.7, of a cluster of two with and without two_node.
func TestQuorum(t *testing.T) {
	for script, want := range map[string]Quorum{
		"printf 'Votequorum information\n----\nExpected votes:   2\nFlags:            2Node Quorate WaitForAll \n'": {[]string{"2Node", "Quorate", "WaitForAll"}, 2},
		"printf 'Quorum:           2 Activity blocked\nFlags:            \n'; exit 2":                               {[]string{}, 0},
	} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "corosync-quorumtool"), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
		quorum, err := New(dir, nil).Quorum(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, quorum)
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "corosync-quorumtool"), []byte("#!/bin/sh\necho 'Cannot initialize QUORUM service' >&2; exit 1\n"), 0o755))
	_, err := New(dir, nil).Quorum(t.Context())
	require.ErrorContains(t, err, "Cannot initialize QUORUM service")
}
