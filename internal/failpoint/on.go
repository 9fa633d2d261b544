//go:build failpoint

package failpoint

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// The file that asks for a failure holds one line: a name, what is to happen, and in which
// action, if not in any: a demotion goes through steps of a start. It is removed when that
// step is reached. resource-agents' directory is root's alone.
const (
	file    = "/run/resource-agents/pgsqlms-failpoint"
	hitFile = file + ".hit"
)

// patience is how long a step waits at most for its node to be killed.
const patience = time.Minute

// Hit is called at the step of that name. It ends this action's process group (kill),
// says that it was reached and waits for the end of the node, or to be let go (node).
func Hit(name string) {
	data, err := os.ReadFile(file)
	if err != nil {
		return
	}
	what := asked(string(data), name, os.Args)
	if what == "" || os.Remove(file) != nil {
		return
	}
	switch what {
	case "kill":
		say(name)
		_ = syscall.Kill(0, syscall.SIGKILL)
	case "node":
		say(name)
		hold()
	}
}

// asked is what the file's line wants to happen at a step of the process with these
// arguments; empty when it is about another step, or another action.
func asked(line, name string, args []string) string {
	fields := strings.Fields(line)
	if len(fields) < 2 || len(fields) > 3 || fields[0] != name || !slices.Contains(names, name) {
		return ""
	}
	if len(fields) == 3 && (len(args) < 2 || args[1] != fields[2]) {
		return ""
	}
	return fields[1]
}

// hold waits for the end of the node, or until hitFile is taken away: where the agents of two
// nodes come by at once, only one of the nodes is killed.
func hold() {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(hitFile); os.IsNotExist(err) {
			return
		}
	}
}

func say(name string) { _ = os.WriteFile(hitFile, []byte(name+"\n"), 0o600) }

// Names are all steps, in the order of a start, a promotion, a demotion and a stop.
func Names() []string { return slices.Clone(names) }

var names = []string{
	"start-begin", "start-signal", "start-launched", "start-up", "start-nominate",
	"notify-vote", "notify-ballot", "notify-voted", "notify-aside", "notify-score",
	"promote-begin", "promote-hold", "promote-skipped", "promote-preferred", "promote-record",
	"promote-decided", "promote-told", "promote-writes",
	"monitor-scores", "monitor-score", "monitor-record",
	"notify-checkpoint",
	"demote-begin", "demote-down", "demote-started", "demote-published",
	"stop-begin", "stop-down",
}
