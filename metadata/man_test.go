package metadata

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAgentManualNamesEverything(t *testing.T) {
	manual := AgentManual([]Reason{{"name", 1, "a %q of %s", "wait"}})
	for _, p := range Parameters() {
		require.Contains(t, manual, "\n\\fB"+p.Name+"\\fR (")
		require.Contains(t, manual, escapeRoff(p.Short)+".\n")
	}
	for _, name := range MethodNames() {
		require.Contains(t, manual, "\n\\fB"+escapeRoff(name)+"\\fR")
	}
	for _, c := range ExitCodes() {
		require.Contains(t, manual, ", \\fBOCF_"+c.Name+"\\fR\n")
	}
	require.Contains(t, manual, "\na \\&... of \\&... (code 1)\nTo do: wait.\n")
	require.Contains(t, manual, "    op monitor role=Promoted interval=1s timeout=10s \\e\n")
	// In one step: without notify the agent refuses to start.
	require.Contains(t, manual, "    promotable\npcs \\-f pg.xml resource meta pgsqld\\-clone notify=true\npcs cluster cib\\-push pg.xml\n")
	require.Contains(t, manual, "\n/var/log/pgsqlms/RESOURCE.log\n")
}

func TestCommandManual(t *testing.T) {
	manual := CommandManual([]Command{
		{Name: "status", Purpose: "shows it", Flags: []Flag{{"watch", "seconds", "again"}, {"yes", "", "does not ask"}}},
		{Name: "switchover", Args: " [NODE]", Purpose: "moves it", Example: "pgsqlms switchover n2 # now\n.hidden\n"},
	}, []CommandExit{{3, "it cannot be told"}})
	require.Contains(t, manual, ".SH EXIT STATUS\n.TP\n3\nIt cannot be told.\n")
	require.Contains(t, manual, "\\fBpgsqlms status\\fR [flags]\n.br\n\\fBpgsqlms switchover\\fR [flags] [NODE]\n.br\n")
	require.Contains(t, manual, ".SS \"status\"\nShows it.\n.TP\n\\fB\\-\\-watch\\fR SECONDS\nAgain.\n.TP\n\\fB\\-\\-yes\\fR\nDoes not ask.\n")
	require.Contains(t, manual, ".nf\npgsqlms switchover n2 # now\n\\&.hidden\n.fi\n")
	require.Contains(t, manual, "\n\\fBhelp\\fR, \\fB\\-\\-help\\fR\n")
	require.Contains(t, manual, ".SH FILES\n")
	require.Contains(t, manual, "\n/usr/share/doc/pgsqlms\n")
	require.NotContains(t, CommandManual(nil, nil), ".SH COMMANDS")
}

// A line of text that groff takes for a macro is not shown at all.
func TestManualsUseKnownMacrosOnly(t *testing.T) {
	known := strings.Fields(`.\" .TH .SH .SS .TP .IP .PP .RS .RE .nf .fi .br .nh .ad`)
	for _, manual := range []string{AgentManual([]Reason{{"dot", 1, ".x", "'y"}}), CommandManual([]Command{{Name: "a", Purpose: ".b"}}, []CommandExit{{4, ".c"}})} {
		for line := range strings.Lines(manual) {
			require.NotEqual(t, "\n", line, "an empty line is a break of its own")
			if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
				require.Contains(t, known, strings.Fields(line)[0])
			}
		}
	}
}

func TestRoff(t *testing.T) {
	require.Equal(t, `a \fB\-\-b\fR c\ed`, roff("a\n`--b` c\\d"))
	require.Equal(t, `\&.x`, guarded(".x"))
	require.Equal(t, `\&'x`, guarded("'x"))
	require.Equal(t, "x", guarded("x"))
}
