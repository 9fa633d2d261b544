package blackbox

import (
	"fmt"
	"regexp"
	"strings"

	"pgsqlms/internal/agent"
	"pgsqlms/internal/ocf"
	"pgsqlms/metadata"
)

// checkDocumented: docs/reference.md, which is made from the same tables, has this exit code for this action, and this
// reason with this code.
func checkDocumented(r *run) error {
	if args := r.arguments(); len(args) > 0 && isAction(args[0]) && !isOutcome(args[0], r.code) {
		return fmt.Errorf("the reference has no exit code %d for %s", r.code, args[0])
	}
	for _, reason := range r.reasons() {
		if !isReason(finding(reason), ocf.ExitCode(r.code)) {
			return fmt.Errorf("the reference has no reason for exit code %d like %q", r.code, reason)
		}
	}
	return nil
}

func isAction(name string) bool {
	for _, a := range metadata.Actions() {
		if a.Name == name {
			return true
		}
	}
	return false
}

func isOutcome(action string, code int) bool {
	for _, o := range metadata.Outcomes() {
		if o.Action == action && o.Code == code {
			return true
		}
	}
	return false
}

// verb is where a finding is filled in.
var verb = regexp.MustCompile(`%[a-z]`)

// isReason looks for the reason in the table. Behind the table's words may stand the cause.
func isReason(text string, code ocf.ExitCode) bool {
	for _, reason := range agent.Reasons() {
		if reason.Code == code && isReasonOf(reason.Name, text) {
			return true
		}
	}
	return false
}

func isReasonOf(name, text string) bool {
	for _, reason := range agent.Reasons() {
		if reason.Name != name {
			continue
		}
		words := verb.Split(reason.Text, -1)
		for n := range words {
			words[n] = regexp.QuoteMeta(words[n])
		}
		return regexp.MustCompile(`\A` + strings.Join(words, ".*") + `(: .*)?\z`).MatchString(text)
	}
	return false
}
