package pg

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFindPassword(t *testing.T) {
	const file = "# a comment:1:2:3:4\n\nhost:5432:postgres:postgres:first\r\n*:5432:*:other:a\\:b\\\\c:ignored\n*:*:*:*:last"
	for wanted, password := range map[string]string{
		"host 5432 postgres postgres":  "first",
		"host 5432 postgres other":     `a:b\c`,
		"elsewhere 1 x y":              "last",
		"hostx 5432 postgres postgres": "last",
	} {
		require.Equal(t, password, findPassword(file, strings.Fields(wanted)...), wanted)
	}
	require.Empty(t, findPassword("", "host", "1", "d", "u"))
	require.Empty(t, findPassword("host:1:d:u", "host", "1", "d", "u"), "four fields")
	require.Empty(t, findPassword("host:1\n:::\n::::\n", "host", "1", "d", "u"))
	require.Equal(t, "x", findPassword(`a\:b:1:d:u:x`, "a:b", "1", "d", "u"))
	require.Equal(t, "x", findPassword(`\*:1:d:u:x`, "*", "1", "d", "u"))
	require.Empty(t, findPassword(`\*:1:d:u:x`, "host", "1", "d", "u"), "an escaped star is a star")
}

func FuzzFindPassword(f *testing.F) {
	f.Add("*:*:*:*:secret\\:\\")
	f.Fuzz(func(t *testing.T, text string) {
		if password := findPassword(text, "host", "5432", "postgres", "postgres"); !strings.Contains(text, ":") && password != "" {
			t.Fatalf("%q gave %q", text, password)
		}
	})
}
