package pages

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// step is one comment of a page, with the block that follows it.
type step struct {
	line   int    // in the page, for messages
	task   string // the heading that it stands under
	kind   string
	words  []string // what the kind is about: nodes, states, a fault
	text   string   // of "shows"
	script string   // of "on"
	code   int
	typed  string
	asks   bool // changes nothing, so it may be asked again
}

// kinds are the comments that the test knows.
var kinds = []string{"on", "until", "shows", "fault", "copy"}

var comment = regexp.MustCompile(`^<!-- ([a-z]+)(?: (.*))? -->$`)

const indent = "    "

// parse finds the steps of a page, in their order.
func parse(page string) ([]step, error) {
	lines := strings.Split(page, "\n")
	var steps []step
	task := ""
	for i, line := range lines {
		if name, ok := strings.CutPrefix(line, "## "); ok {
			task = name
		}
		if !strings.HasPrefix(line, "<!--") || strings.Contains(line, "Generated") {
			continue
		}
		m := comment.FindStringSubmatch(line)
		if m == nil || !slices.Contains(kinds, m[1]) {
			return nil, fmt.Errorf("line %d: %q, expected a comment that begins with one of %v", i+1, line, kinds)
		}
		s, err := parseStep(m[1], m[2], lines[i+1:])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		s.line, s.task = i+1, task
		steps = append(steps, s)
	}
	return steps, nil
}

func parseStep(kind, rest string, after []string) (step, error) {
	s := step{kind: kind}
	switch kind {
	case "shows":
		s.text = rest
	case "until":
		for state := range strings.SplitSeq(rest, ";") {
			s.words = append(s.words, strings.TrimSpace(state))
		}
	case "on":
		return s.parseOn(rest, after)
	default:
		s.words = strings.Fields(rest)
	}
	return s, nil
}

func (s step) parseOn(rest string, after []string) (step, error) {
	nodes, more, _ := strings.Cut(rest, ", ")
	s.words = strings.Fields(nodes)
	if typed, ok := strings.CutPrefix(more, "typing "); ok {
		text, err := strconv.Unquote(`"` + typed + `"`)
		if err != nil {
			return s, fmt.Errorf("what is typed, %q: %w", typed, err)
		}
		s.typed, more = text, ""
	}
	if rest, ok := strings.CutPrefix(more, "asking"); ok {
		s.asks, more = true, strings.TrimPrefix(rest, ", ")
	}
	if code, ok := strings.CutPrefix(more, "exit "); ok {
		n, err := strconv.Atoi(code)
		if err != nil {
			return s, err
		}
		s.code, more = n, ""
	}
	s.script = block(after)
	switch {
	case more != "":
		return s, fmt.Errorf("%q, expected typing, asking or exit", more)
	case len(s.words) == 0:
		return s, fmt.Errorf("no node is named")
	case s.script == "":
		return s, fmt.Errorf("no indented block follows")
	}
	return s, nil
}

// block is the indented text at the beginning of the lines.
func block(lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		text, ok := strings.CutPrefix(line, indent)
		if !ok && strings.TrimSpace(line) != "" {
			break
		}
		b.WriteString(text + "\n")
	}
	if text := strings.Trim(b.String(), "\n"); text != "" {
		return text + "\n"
	}
	return ""
}

// anchor is the name that a heading gets as the target of a link.
func anchor(heading string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(heading) {
		switch {
		case r == ' ' || r == '-':
			b.WriteByte('-')
		case r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		}
	}
	return b.String()
}
