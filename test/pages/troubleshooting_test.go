package pages

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgsqlms/internal/agent"
)

// Whoever reads a reason or a warning at night, and searches the page for its words, finds it there.
func TestEveryReasonAndWarningIsUnderTroubleshooting(t *testing.T) {
	known := patterns(read(t, "docs/troubleshooting.md"))
	for _, r := range agent.Reasons() {
		assert.True(t, known.match(r.Text), "the reason %s, %q, is not in docs/troubleshooting.md", r.Name, r.Text)
	}
	found := warnings(t)
	require.NotEmpty(t, found)
	for format, where := range found {
		assert.True(t, known.match(format), "%s: the warning %q is not in docs/troubleshooting.md", where, format)
	}
}

func TestPatterns(t *testing.T) {
	known := patterns("| `the instance in ... is not\ndown` | `... counts as absent: ...` | `stop` | `parameter ...` |")
	assert.True(t, known.match("the instance in %s is not down: %v"))
	assert.True(t, known.match("%q counts as absent: %v within %.3s"))
	assert.False(t, known.match("the instance in %s is down"))
	assert.False(t, known.match("so the instance in %s is not down"), "a page gives the beginning")
	assert.False(t, known.match("stop"), "too short to be searched for")
	assert.False(t, known.match("parameter %s: found %q"), "too short without what was found")
}

// texts are what a page says of messages, as patterns for the beginning of one.
type texts []*regexp.Regexp

// leastLength is how many bytes of a message a page gives at least, so that not every other one is found.
const leastLength = 12

var (
	span  = regexp.MustCompile("`([^`]+)`")
	space = regexp.MustCompile(`\s+`)
	verbs = regexp.MustCompile(`%[-+ #0]*\d*(?:\.\d+)?[a-zA-Z]`)
)

// patterns are the page's pieces between backquotes, in which three dots stand for what was found.
func patterns(page string) (known texts) {
	for _, m := range span.FindAllStringSubmatch(page, -1) {
		text := space.ReplaceAllString(m[1], " ")
		if len(strings.TrimSpace(strings.ReplaceAll(text, "...", ""))) < leastLength {
			continue
		}
		known = append(known, regexp.MustCompile("^"+strings.ReplaceAll(regexp.QuoteMeta(text), `\.\.\.`, ".*")))
	}
	return known
}

func (known texts) match(format string) bool {
	text := verbs.ReplaceAllString(format, "…")
	for _, k := range known {
		if k.MatchString(text) {
			return true
		}
	}
	return false
}

// warnings are the formats of all warnings of the program, with the place of each, but those that are another text alone.
func warnings(t *testing.T) map[string]string {
	found := map[string]string{}
	err := filepath.WalkDir(root+"/internal", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if format, ok := warning(n); ok && verbs.ReplaceAllString(format, "") != "" {
				found[format] = files.Position(n.Pos()).String()
			}
			return true
		})
		return nil
	})
	require.NoError(t, err)
	return found
}

// warning is the format of a call of Warnf.
func warning(n ast.Node) (string, bool) {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) == 0 {
		return "", false
	}
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || method.Sel.Name != "Warnf" {
		return "", false
	}
	literal, ok := call.Args[0].(*ast.BasicLit)
	if !ok {
		return "a warning whose text is not written where it is given", true // and so on no page
	}
	format, err := strconv.Unquote(literal.Value)
	return format, err == nil
}
