package blackbox

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pgsqlms/internal/agent"
	"pgsqlms/internal/ocf"
)

const badInput = "../../docs/bad-input.md"

// refusal is a row of the tables in docs/bad-input.md: input, code, reason, results of the monitor and
// the probe, and the script that shows it.
type refusal struct{ input, code, reason, running, stopped, script string }

func readRefusals(t *testing.T) (rows []refusal) {
	t.Helper()
	text, err := os.ReadFile(badInput)
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for n := range cells {
			cells[n] = strings.TrimSpace(cells[n])
		}
		if len(cells) == 6 && regexp.MustCompile(`^[0-9]$`).MatchString(cells[1]) {
			rows = append(rows, refusal{cells[0], cells[1], strings.Trim(cells[2], "`"), cells[3], cells[4], cells[5]})
		}
	}
	require.NotEmpty(t, rows)
	return rows
}

// The page names reasons and codes that there are, and the script of each row has the agent refuse with them.
func TestBadInputIsShown(t *testing.T) {
	for _, row := range readRefusals(t) {
		t.Run(row.reason+" "+row.script, func(t *testing.T) {
			code, err := strconv.Atoi(row.code)
			require.NoError(t, err)
			require.Equal(t, reasonCode(row.reason), code, "the code of reason %s", row.reason)
			script, err := os.ReadFile(filepath.Join("testdata", row.script+".txt"))
			require.NoError(t, err)
			assert.True(t, refusesWith(string(script), row.code, row.reason), "no refusal with code %s and reason %s", row.code, row.reason)
			for _, result := range []string{row.running, row.stopped} {
				monitor, probe, differ := strings.Cut(result, " / ")
				if !differ {
					probe = monitor
				}
				if monitor != "-" {
					assert.Contains(t, string(script), fmt.Sprintf("others monitor=%s probe=%s\n", monitor, probe))
				}
			}
		})
	}
}

func reasonCode(name string) int {
	for _, r := range agent.Reasons() {
		if r.Name == name {
			return int(r.Code)
		}
	}
	return -1
}

// refuses matches a script's line.
var refuses = regexp.MustCompile(`(?m)^refuses ([0-9]) '(.*)'$`)

func refusesWith(script, code, name string) bool {
	for _, m := range refuses.FindAllStringSubmatch(script, -1) {
		if text := strings.ReplaceAll(m[2], "''", "'"); m[1] == code && isReasonOf(name, text) {
			return true
		}
	}
	return false
}

// Whatever keeps an instance from a node, or from all, is on the page.
func TestBadInputHasEveryRefusal(t *testing.T) {
	shown := map[string]bool{}
	for _, row := range readRefusals(t) {
		shown[row.reason] = true
	}
	for _, r := range agent.Reasons() {
		switch r.Code {
		case ocf.ErrArgs, ocf.ErrPerm, ocf.ErrInstalled, ocf.ErrConfigured:
			assert.True(t, shown[r.Name], "reason %s", r.Name)
		}
	}
}

// The scripts that the page names are there.
func TestBadInputNamesScripts(t *testing.T) {
	text, err := os.ReadFile(badInput)
	require.NoError(t, err)
	scripts, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	known := fmt.Sprint(scripts)
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		last := strings.TrimSpace(cells[len(cells)-1])
		if len(cells) < 3 || !regexp.MustCompile(`^[a-z_]+(, [a-z_]+)*$`).MatchString(last) || last == "test" {
			continue
		}
		for _, script := range strings.Split(last, ", ") {
			assert.Contains(t, known, "testdata/"+script+".txt")
		}
	}
}
