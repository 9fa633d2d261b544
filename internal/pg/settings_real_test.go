//go:build realpg

package pg

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is wrong in postgresql.conf is told with its place, which PostgreSQL gives in another line of its
// output than the one it gives up with.
func TestRealSettingsNameTheLine(t *testing.T) {
	s := newPrimary(t)
	for line, what := range map[string]string{
		"include_if_exists = 'none'\nprimary_conninfo = 'user=rep password='geheim''": `syntax error in file "` + s.data("postgresql.conf") + `" line `,
		"work_mem == '4MB'":  `syntax error in file "` + s.data("postgresql.conf") + `" line `,
		"nonsense_here = 1":  `unrecognized configuration parameter "nonsense_here" in file "` + s.data("postgresql.conf") + `" line `,
		"work_mem = 'a lot'": `invalid value for parameter "work_mem": "a lot"`,
	} {
		before, err := os.ReadFile(s.data("postgresql.conf"))
		require.NoError(t, err)
		s.configure(line)
		_, err = s.Settings(t.Context(), "port")
		require.ErrorContains(t, err, "contains errors: "+what)
		require.NotContains(t, err.Error(), "geheim")
		require.NoError(t, os.WriteFile(s.data("postgresql.conf"), before, 0o600))
	}
	_, err := s.Settings(t.Context(), "port")
	require.NoError(t, err)
}
