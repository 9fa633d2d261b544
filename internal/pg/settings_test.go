package pg

import (
	"os"
	"os/user"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgsqlms/internal/command"
)

// An answer that was not read to its end is no value, and no reason to ban a node: it counts as one that came too late.
func TestSettingsThatAreNotWhole(t *testing.T) {
	bin := t.TempDir()
	me, err := user.Current()
	require.NoError(t, err)
	account, err := command.LookupUser(t.Context(), me.Username)
	require.NoError(t, err)
	instance := New(Config{BinDir: bin, PGData: bin, User: account})
	for answer, want := range map[string]string{`/data\n`: "/data", `\n`: "", ``: "late", `/da`: "late"} {
		script := "#!/bin/sh\nprintf '" + answer + "'\n"
		require.NoError(t, os.WriteFile(filepath.Join(bin, "postgres"), []byte(script), 0o755))
		settings, err := instance.Settings(t.Context(), "data_directory")
		if want == "late" {
			assert.True(t, IsTimeout(err), "%q: %v", answer, err)
			continue
		}
		require.NoError(t, err, "%q", answer)
		assert.Equal(t, want, settings["data_directory"])
	}
}
