package agent

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The reference page is made from Reasons, so one that is missing there is unknown to
// the reader.
func TestEveryReasonIsInTheTable(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "reasons.go", nil, 0)
	require.NoError(t, err)
	declared := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			declared += len(spec.Names)
		}
		return true
	})
	names := map[string]bool{}
	for _, r := range Reasons() {
		assert.False(t, names[r.Name], "%s is there twice", r.Name)
		names[r.Name] = true
		assert.NotEmpty(t, r.Help, r.Name)
		assert.NotZero(t, r.Code, r.Name)
	}
	assert.Len(t, names, declared)
}
