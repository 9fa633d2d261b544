//go:build failpoint

package failpoint

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAsked(t *testing.T) {
	const point = "start-signal"
	start, demote := []string{"/agent", "start"}, []string{"/agent", "demote"}
	for _, c := range []struct {
		line string
		args []string
		want string
	}{
		{"start-signal kill\n", start, "kill"},
		{"start-signal kill\n", demote, "kill"},
		{"start-signal node demote\n", demote, "node"},
		{"start-signal kill demote\n", start, ""},
		{"start-signal kill demote\n", []string{"/agent"}, ""},
		{"start-launched kill\n", start, ""},
		{"start-signal\n", start, ""},
		{"start-signal kill demote now\n", demote, ""},
		{"", start, ""},
	} {
		assert.Equal(t, c.want, asked(c.line, point, c.args), "%q in %v", c.line, c.args)
	}
	assert.Empty(t, asked("no-such kill", "no-such", start), "a step that is not in the list")
}
