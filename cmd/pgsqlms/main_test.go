package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Without an argument the program is an alert agent where Pacemaker says so, and a
// resource agent without an action (3) elsewhere; with one, Pacemaker's action.
func TestWhoIsCalled(t *testing.T) {
	ran := func(args []string, environ ...string) (int, string) {
		var out, errout bytes.Buffer
		code := run(args, environ, &out, &errout)
		return code, out.String() + errout.String()
	}
	alert := []string{"CRM_alert_version=2.1.5", "CRM_alert_kind=node", "CRM_alert_desc=lost"}
	code, said := ran(nil, alert...)
	assert.Zero(t, code)
	assert.Empty(t, said, "an event that is no promotion")
	code, said = ran(nil)
	assert.Equal(t, 3, code)
	assert.Contains(t, said, "unknown action")
	code, _ = ran([]string{"nonsense"}, alert...)
	assert.Equal(t, 3, code)
	code, said = ran([]string{"explain", "--help"})
	assert.Zero(t, code)
	assert.Contains(t, said, "pgsqlms explain n3")
}
