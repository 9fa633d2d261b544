package crm

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Both outputs are those of Corosync 3.1.7, of a cluster of two with and without two_node.
func TestQuorumFlags(t *testing.T) {
	for script, want := range map[string][]string{
		"printf 'Votequorum information\n----\nExpected votes:   2\nFlags:            2Node Quorate WaitForAll \n'": {"2Node", "Quorate", "WaitForAll"},
		"printf 'Quorum:           2 Activity blocked\nFlags:            \n'; exit 2":                               {},
	} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "corosync-quorumtool"), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
		flags, err := New(dir, nil).QuorumFlags(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, flags)
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "corosync-quorumtool"), []byte("#!/bin/sh\necho 'Cannot initialize QUORUM service' >&2; exit 1\n"), 0o755))
	_, err := New(dir, nil).QuorumFlags(t.Context())
	require.ErrorContains(t, err, "Cannot initialize QUORUM service")
}
