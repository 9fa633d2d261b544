package pages

import (
	"os"
	"os/exec"
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
func TestLinksLeadSomewhere(t *testing.T) { checkLinks(t, root) }

// Also in a package, which has the pages and no sources.
func TestLinksOfAPackageLeadSomewhere(t *testing.T) {
	doc := t.TempDir()
	cmd := exec.Command("tools/doc.sh", doc)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	checkLinks(t, doc)
}

func checkLinks(t *testing.T, dir string) {
	t.Helper()
	for _, page := range pages(t, dir) {
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

// pages are those that a person reads, the decisions among them.
func pages(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(dir + "/docs/*.md")
	require.NoError(t, err)
	decisions, err := filepath.Glob(dir + "/docs/decisions/*.md")
	require.NoError(t, err)
	require.NotEmpty(t, decisions)
	return slices.Concat(names, decisions, []string{dir + "/README.md", dir + "/CHANGELOG.md"})
}

// A row that is broken in two is shown as the end of its table and a line of text.
func TestRowsOfTablesAreWhole(t *testing.T) {
	for _, page := range pages(t, root) {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, line := range brokenRows(string(text)) {
			t.Errorf("%s:%d follows a row of a table and is none: it begins without |", page, line)
		}
	}
	assert.Equal(t, []int{3, 6}, brokenRows("| a |\n| b\nb |\n\n| d |\n- e\n\ntext\n"))
}

// brokenRows are the numbers of the lines that follow a row and are none.
func brokenRows(page string) (lines []int) {
	row := false
	for i, line := range strings.Split(page, "\n") {
		is := strings.HasPrefix(line, "|")
		if row && !is && line != "" {
			lines = append(lines, i+1)
		}
		row = is
	}
	return lines
}

// avoided is what no page has anybody type, and why.
var avoided = map[string]*regexp.Regexp{
	"with an older package beside the new one a pattern names both":         regexp.MustCompile(`\S*(?:pgsqlms[-_]|resource-agents-paf_)\*\S*`),
	"a password on a command line is seen by ps, and stays in a history":    regexp.MustCompile(`echo .*\.pgpass`),
	"pcs of Enterprise Linux 9 and newer warns of it, and will not take it": regexp.MustCompile(`promotable notify=true`),
}

func TestPagesAvoidWhatHarms(t *testing.T) {
	for _, page := range append(pages(t, root), root+"/man/ocf_heartbeat_pgsqlms.7", root+"/man/pgsqlms.8") {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for why, pattern := range avoided {
			assert.Empty(t, pattern.FindAllString(string(text), -1), "%s: %s", page, why)
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
