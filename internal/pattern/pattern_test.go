package pattern

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPattern(t *testing.T) {
	p := New(`n(\d+)`)
	assert.True(t, p.MatchString("n17"))
	assert.Equal(t, []string{"n17", "17"}, p.FindStringSubmatch("from n17"))
	assert.Equal(t, "node, node", p.ReplaceAllString("n1, n2", "node"))
}

// One that is no expression would be noticed by whoever needs it.
func TestEveryPatternCompiles(t *testing.T) {
	use := regexp.MustCompile("pattern\\.New\\(`([^`]*)`\\)")
	found := 0
	for _, dir := range []string{"../crm", "../operator", "../pg", "../agent"} {
		files, err := filepath.Glob(dir + "/*.go")
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			assert.NotContains(t, string(text), "regexp.MustCompile", "%s compiles at the start of every action", file)
			for _, m := range use.FindAllStringSubmatch(string(text), -1) {
				_, err := regexp.Compile(m[1])
				assert.NoError(t, err, file)
				found++
			}
		}
	}
	assert.Greater(t, found, 20, "they are written otherwise by now")
}
