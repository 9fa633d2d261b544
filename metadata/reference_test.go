package metadata

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReferenceNamesEverything(t *testing.T) {
	page := Reference(nil)
	for _, p := range Parameters() {
		require.Contains(t, page, "| `"+p.Name+"` |")
		require.Contains(t, page, p.Long)
	}
	for _, a := range Actions() {
		require.Contains(t, page, "| `"+a.Name+"` |")
	}
	for _, c := range ExitCodes() {
		require.Contains(t, page, "`OCF_"+c.Name+"`")
	}
	require.Contains(t, page, "op monitor role=Promoted interval=1s timeout=10s\n")
	require.NotContains(t, page, "op meta-data")
	require.NotContains(t, page, "Exit reasons")
}

func TestReferencePrintsReasons(t *testing.T) {
	page := Reference([]Reason{{"name", 1, "a | %q of %s, %d", "wait"}})
	require.Contains(t, page, "## Exit reasons")
	require.Contains(t, page, "| `name` | 1 | a \\| … of …, … | wait |")
}

// A row with a cell too many or too few is not shown as a table.
func TestReferenceTablesAreRegular(t *testing.T) {
	columns := 0
	for _, line := range strings.Split(Reference([]Reason{{"name", 1, "x | y", "z"}}), "\n") {
		if !strings.HasPrefix(line, "|") {
			columns = 0
			continue
		}
		n := strings.Count(line, "|") - strings.Count(line, `\|`)
		if columns == 0 {
			columns = n
		}
		require.Equal(t, columns, n, line)
	}
}
