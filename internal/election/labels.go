package election

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pgsqlms/internal/wal"
)

// A record and a ballot are written as labelled values, "label=value label=value", in
// ASCII without quotes, so that they pass unchanged through the tools, the XML and the
// logs of every version of Pacemaker. A label that is not known is from a newer version
// and is passed over.

// labels is such a text taken apart. It remembers the first mistake.
type labels struct {
	values map[string][]string
	err    error
}

// readLabels splits the text. Only the labels named in repeated may come twice.
func readLabels(s string, repeated ...string) *labels {
	l := &labels{values: map[string][]string{}}
	for _, field := range strings.Split(s, " ") {
		label, value, found := strings.Cut(field, "=")
		switch {
		case !found || !isWord(label) || value == "" || !isPlain(value):
			l.fail("%q: expected label=value", clip(field))
		case len(l.values[label]) > 0 && !slices.Contains(repeated, label):
			l.fail("label %q comes twice", clip(label))
		}
		l.values[label] = append(l.values[label], value)
	}
	return l
}

func (l *labels) fail(format string, args ...any) {
	if l.err == nil {
		l.err = fmt.Errorf(format, args...)
	}
}

// text is the value of a label; one that is needed and missing is a mistake.
func (l *labels) text(label string, needed bool) (string, bool) {
	v := l.values[label]
	if len(v) == 0 {
		if needed {
			l.fail("label %q is missing", label)
		}
		return "", false
	}
	return v[0], true
}

func (l *labels) number(label string, needed bool) uint64 {
	s, found := l.text(label, needed)
	if !found {
		return 0
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || strconv.FormatUint(n, 10) != s {
		l.fail("%s=%s: expected a decimal number", label, clip(s))
	}
	return n
}

func (l *labels) lsn(label string, needed bool) wal.LSN {
	s, found := l.text(label, needed)
	if !found {
		return 0
	}
	at, err := wal.ParseLSN(s)
	if err != nil {
		l.fail("%s: %w", label, err)
	}
	return at
}

// history reads timeline=5 from=4@0/5000060,3@0/4000028.
func (l *labels) history() wal.History {
	s, found := l.text("timeline", true)
	if !found {
		return wal.History{}
	}
	t, err := wal.ParseTimeline(s)
	if err != nil {
		l.fail("timeline: %w", err)
	}
	h := wal.History{Timeline: t}
	if s, found = l.text("from", false); found {
		h.Ancestors = l.places("from", s)
	}
	if parent := h.Parent(); parent.Timeline >= t {
		l.fail("from: timeline %d cannot be left for timeline %d", parent.Timeline, t)
	}
	return h
}

// places reads where timelines were left, the latest first, as in 4@0/5000060,3@0/4000028.
func (l *labels) places(label, s string) (way []wal.Ancestor) {
	for _, place := range slices.Backward(strings.Split(s, ",")) {
		timeline, end, found := strings.Cut(place, "@")
		t, err := wal.ParseTimeline(timeline)
		at, err2 := wal.ParseLSN(end)
		if !found || err != nil || err2 != nil {
			l.fail("%s: %q: expected timeline@LSN", label, clip(place))
			return nil
		}
		if n := len(way); n > 0 && (t <= way[n-1].Timeline || at < way[n-1].End) {
			l.fail("%s: %s: timelines and the places where they were left go down from left to right", label, clip(place))
			return nil
		}
		way = append(way, wal.Ancestor{Timeline: t, End: at})
	}
	return way
}

// rule reads n1:1:n2,n3, the primary, how many it needs, of whom; or n1:0.
func (l *labels) rule(label, s string) Rule {
	parts := strings.Split(s, ":")
	if len(parts) < 2 || len(parts) > 3 {
		l.fail("%s=%s: expected primary:number:names", label, clip(s))
		return Rule{}
	}
	r := Rule{Primary: l.name(parts[0])}
	need, err := strconv.ParseInt(parts[1], 10, 32)
	if err != nil || need < 0 || strconv.Itoa(int(need)) != parts[1] || need == 0 && len(parts) == 3 {
		l.fail("%s=%s: expected a number of standbys, 0 without names", label, clip(s))
	}
	r.Need = int(need)
	if len(parts) == 3 {
		for _, name := range strings.Split(parts[2], ",") {
			r.Of = append(r.Of, l.name(name))
		}
	}
	return r
}

// attempt reads a rule, a colon, and places.
func (l *labels) attempt(label, s string) Attempt {
	end := strings.LastIndexByte(s, ':')
	if end < 0 {
		l.fail("%s=%s: expected primary:number:names:timeline@LSN", label, clip(s))
		return Attempt{}
	}
	a := Attempt{Rule: l.rule(label, s[:end])}
	if way := l.places(label, s[end+1:]); len(way) > 0 {
		last := len(way) - 1
		a.At = wal.Position{Timeline: way[last].Timeline, LSN: way[last].End}
		a.History = wal.History{Timeline: a.At.Timeline, Ancestors: slices.Clip(way[:last])}
		if last == 0 {
			a.History.Ancestors = nil
		}
	}
	return a
}

func (l *labels) name(s string) string {
	name, ok := unescape(s)
	if !ok {
		l.fail("%q is not how a name is written: letters, digits, . _ - and %%XX", clip(s))
	}
	return name
}

func writeHistory(b *strings.Builder, h wal.History) {
	if len(h.Ancestors) > 0 {
		b.WriteString(" from=" + places(h))
	}
}

// places writes where the ancestors of h were left.
func places(h wal.History) string {
	var texts []string
	for _, a := range slices.Backward(h.Ancestors) {
		texts = append(texts, fmt.Sprintf("%d@%s", a.Timeline, a.End))
	}
	return strings.Join(texts, ",")
}

// text is the rule as a record has it.
func (r Rule) text() string {
	text := fmt.Sprintf("%s:%d", escape(r.Primary), r.Need)
	for i, name := range r.Of {
		sign := ","
		if i == 0 {
			sign = ":"
		}
		text += sign + escape(name)
	}
	return text
}

// escape writes a name, which may be anything, in letters, digits and . _ - and, for
// what is none of these, % and two hexadecimal digits. The empty name is a lone %.
func escape(name string) string {
	if name == "" {
		return "%"
	}
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; isNameByte(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func unescape(s string) (string, bool) {
	if s == "%" {
		return "", true
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		c, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", false
		}
		b.WriteByte(byte(c))
		i += 2
	}
	name := b.String()
	return name, escape(name) == s // there is one way to write a name
}

func isNameByte(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '.' || c == '_' || c == '-'
}

func isWord(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") == ""
}

// isPlain says whether all of s is printable ASCII without quotes and backslash.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || strings.IndexByte("\"'\\`", c) >= 0 {
			return false
		}
	}
	return true
}
