package operator

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// meter shows how far a copy is: on a terminal as a bar on one line, elsewhere as a line
// now and then.
type meter struct {
	out      io.Writer
	terminal bool
	columns  int
	now      func() time.Time

	what  string
	began time.Time
	shown time.Time
	open  bool // a line of the terminal is not ended
	done  uint64
}

// How often it is shown.
const (
	barEvery  = 200 * time.Millisecond
	lineEvery = 10 * time.Second
)

// start begins with something new.
func (m *meter) start(what string) {
	m.end()
	m.what, m.began, m.shown, m.done = what, m.now(), m.now(), 0
}

// tell takes how many bytes are done, of how many; total is 0 while that is not known.
func (m *meter) tell(done, total uint64) {
	m.done = done
	every := lineEvery
	if m.terminal {
		every = barEvery
	}
	now := m.now()
	if m.out == nil || now.Sub(m.shown) < every {
		return
	}
	m.shown = now
	text := progressText(m.what, done, total, now.Sub(m.began), m.terminal)
	if m.terminal {
		m.open = true
		fmt.Fprintf(m.out, "\r%s\x1b[K", clip(text, m.columns-1))
		return
	}
	fmt.Fprintf(m.out, "           %s\n", text)
}

// end ends the line of a bar.
func (m *meter) end() {
	if m.open {
		fmt.Fprint(m.out, "\r\x1b[K")
		m.open = false
	}
}

// progressText is, for example, "copied 1.2 GB of 4.8 GB (25 %), 120 MB/s, 31 s left".
func progressText(what string, done, total uint64, took time.Duration, bar bool) string {
	var b strings.Builder
	if bar && total > 0 {
		const width = 30
		full := int(min(done, total) * width / total)
		fmt.Fprintf(&b, "[%s%s] ", strings.Repeat("#", full), strings.Repeat(".", width-full))
	}
	fmt.Fprintf(&b, "%s %s", what, bytesText(done))
	if total > 0 {
		fmt.Fprintf(&b, " of %s (%d %%)", bytesText(total), min(done, total)*100/total)
	}
	rate := float64(done) / max(took.Seconds(), 0.001)
	if done == 0 || took <= 0 {
		return b.String()
	}
	fmt.Fprintf(&b, ", %s/s", bytesText(uint64(rate)))
	if total > done {
		fmt.Fprintf(&b, ", %s left", durationText(time.Duration(float64(total-done)/rate*float64(time.Second))))
	}
	return b.String()
}
