package agent

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"pgsqlms/internal/ocf"
)

// Of the notifications that a switchover waits for only the one before the demotion has something to do.
func TestIdleNotifications(t *testing.T) {
	const prefix = "OCF_RESKEY_CRM_meta_notify_"
	request := func(action, kind, operation string, more ...string) ocf.Request {
		return ocf.ParseRequest([]string{action}, append([]string{
			"OCF_RESKEY_CRM_meta_on_node=b", prefix + "type=" + kind, prefix + "operation=" + operation,
			prefix + "active_uname=a b c", prefix + "promote_uname=b", prefix + "demote_uname=a",
			prefix + "promoted_uname=a", prefix + "unpromoted_uname=b c",
		}, more...), time.Now())
	}
	for _, c := range []struct {
		action, kind, operation string
		idle                    bool
		more                    []string
	}{
		{"notify", "post", "demote", true, nil},
		{"notify", "pre", "stop", true, nil},
		{"notify", "post", "promote", true, nil},
		{"notify", "pre", "demote", false, nil},
		{"notify", "pre", "start", false, nil},
		{"notify", "pre", "promote", true, nil},
		{"notify", "pre", "promote", false, []string{prefix + "stop_uname=a"}}, // no switchover
		{"stop", "post", "demote", false, nil},
	} {
		assert.Equal(t, c.idle, idle(request(c.action, c.kind, c.operation, c.more...)), "%+v", c)
	}
}
