package pages

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const root = "../.."

// tried are the pages whose blocks are run in the lab.
var tried = []string{"quickstart-debian.md", "quickstart-el.md", "cookbook.md", "migration.md"}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	require.NoError(t, err)
	return string(text)
}

func TestParse(t *testing.T) {
	steps, err := parse("text\n\n<!-- on n1 n2, typing a\\nb\\n -->\n\n    one \\\n      two\n\n    three\n\nmore\n" +
		"<!-- on n1, asking, exit 1 -->\n    four\n<!-- shows a, b -->\n<!-- until ready; primary n2 -->\n")
	require.NoError(t, err)
	assert.Equal(t, []step{
		{line: 3, kind: "on", words: []string{"n1", "n2"}, script: "one \\\n  two\n\nthree\n", typed: "a\nb\n"},
		{line: 11, kind: "on", words: []string{"n1"}, script: "four\n", code: 1, asks: true},
		{line: 13, kind: "shows", text: "a, b"},
		{line: 14, kind: "until", words: []string{"ready", "primary n2"}},
	}, steps)
	for _, wrong := range []string{"<!-- onn n1 -->", "<!-- on -->\n    a", "<!-- on n1 -->\ntext", "<!-- on n1, now -->\n    a", "<!--x"} {
		_, err := parse(wrong)
		assert.Error(t, err, wrong)
	}
}

func TestPagesCanBeTried(t *testing.T) {
	for _, name := range tried {
		steps, err := parse(read(t, "docs/"+name))
		require.NoError(t, err, name)
		assert.NotEmpty(t, steps, name)
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

// Every link of a page leads to a file, and to a heading in it.
func TestLinksLeadSomewhere(t *testing.T) {
	pages, err := filepath.Glob(root + "/docs/*.md")
	require.NoError(t, err)
	for _, page := range append(pages, root+"/README.md") {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			file, name, _ := strings.Cut(m[1], "#")
			if strings.Contains(file, "://") {
				continue
			}
			target := page
			if file != "" {
				target = filepath.Join(filepath.Dir(page), file)
			}
			_, err := os.Stat(target)
			if assert.NoError(t, err, "%s: %s", page, m[1]) && name != "" {
				assert.Contains(t, anchors(t, target), name, "%s: %s", page, m[1])
			}
		}
	}
}

func anchors(t *testing.T, page string) []string {
	t.Helper()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	var names []string
	for _, m := range heading.FindAllStringSubmatch(string(text), -1) {
		names = append(names, anchor(strings.ReplaceAll(m[1], "`", "")))
	}
	slices.Sort(names)
	return names
}
