// Package pattern has regular expressions that are compiled when they are first used. Pacemaker
// runs the agent every second for each instance, and next to none of its expressions is used
// by a monitor: compiling them all took a tenth of its CPU time.
package pattern

import (
	"regexp"
	"sync"
)

// Pattern is a regular expression of package regexp.
type Pattern struct {
	compiled func() *regexp.Regexp
}

// New does not look at the expression yet: one that is none panics at its first use.
func New(expression string) *Pattern {
	return &Pattern{sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })}
}

// MatchString is regexp.Regexp's.
func (p *Pattern) MatchString(s string) bool { return p.compiled().MatchString(s) }

// FindStringSubmatch is regexp.Regexp's.
func (p *Pattern) FindStringSubmatch(s string) []string { return p.compiled().FindStringSubmatch(s) }

// ReplaceAllString is regexp.Regexp's.
func (p *Pattern) ReplaceAllString(s, replacement string) string {
	return p.compiled().ReplaceAllString(s, replacement)
}
