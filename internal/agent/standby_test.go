package agent

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// Each change of a node's status makes Pacemaker compute a transition: numbers alone are
// no reason for one at every monitor.
func TestStatusIsNotRewrittenForItsNumbers(t *testing.T) {
	store := newStore(t.TempDir(), "pgsqld")
	inBubble(func(t *testing.T) {
		a, cluster := newTestAgent(nil)
		a.store = store
		show := func(text, want string) {
			t.Helper()
			a.trouble(t.Context(), text)
			assert.Equal(t, want, cluster.status["b"])
		}
		const first = "waits for n2: n3 leads with 0/5000060, 120 bytes behind"
		const second = "waits for n2: n3 leads with 0/50000F8, 80 bytes behind"
		show(first, first)
		show(second, first)
		time.Sleep(shownFor - time.Second)
		show(second, first)
		a.store.forget()
		show(second, first)
		time.Sleep(time.Second)
		show(second, second)

		const other = "waits for n4: n3 leads with 0/50000F8, 80 bytes behind"
		show(other, other)
		show("does not stream: no such host", "does not stream: no such host")
		show("", "")
		show(other, other)

		// Pacemaker was restarted on this node.
		delete(cluster.status, "b")
		show(other, "")
		time.Sleep(shownFor)
		show(other, other)
	})(t)
}

func TestAlike(t *testing.T) {
	for _, c := range []struct {
		one, other string
		alike      bool
	}{
		{"", "", true},
		{"", "7", false},
		{"7 bytes", "1234 bytes", true},
		{"7 bytes", "7 byte", false},
		{"at 0/A0, on timeline 2;", "at 3F/FFFFFFFF, on timeline 3;", true},
		{"segment 0000000100000000000000AB is gone", "segment 0000000100000001000000FF is gone", true},
		{"waits for n2", "waits for n3", false},
		{"waits for DB1", "waits for DB2", false},
		{"waits for pg-1", "waits for pg-2", false},
		{"no answer from 10.0.0.1", "no answer from 10.0.0.2", false},
	} {
		assert.Equal(t, c.alike, alike(c.one, c.other), "%q and %q", c.one, c.other)
	}
}
