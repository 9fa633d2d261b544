package packages

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/operator"
)

// program prints the two kinds of help that the completion reads.
const program = `#!/bin/sh
case $* in
help) cat <<END
pgsqlms 1.2.3: PostgreSQL streaming replication under Pacemaker

  pgsqlms status       who is who, and how well
  pgsqlms switchover   moves the primary

Run them as root.
END
;;
'status --help') cat <<END
usage: pgsqlms status [flags]

  --output FORM          form of the output, text or json
  --watch SECONDS        show it again
  --help                 this text

example:
  pgsqlms status --watch 5
END
;;
*) echo "unknown action" >&2; exit 3 ;;
esac
`

const crmNode = "#!/bin/sh\nprintf '%s\\n' '1 n1 member' '2 n2 member' '3 n22 lost'\n"

// complete is what bash offers after the words, of which the last one may be empty.
func complete(t *testing.T, words ...string) []string {
	t.Helper()
	return completeWith(t, program, words...)
}

func completeWith(t *testing.T, program string, words ...string) []string {
	t.Helper()
	bin := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "pgsqlms"), []byte(program), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(bin, "crm_node"), []byte(crmNode), 0o755))
	script := `source ../../packaging/pgsqlms.bash
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		_pgsqlms
		echo "${COMPREPLY[*]}"`
	cmd := exec.Command("bash", append([]string{"-c", script, "bash"}, words...)...)
	cmd.Env = []string{"PATH=" + bin + ":/usr/bin:/bin"}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return strings.Fields(string(out))
}

func TestCompletion(t *testing.T) {
	require.Equal(t, []string{"status", "switchover"}, complete(t, "pgsqlms", ""))
	require.Equal(t, []string{"switchover"}, complete(t, "pgsqlms", "sw"))
	require.Equal(t, []string{"--output", "--watch", "--help"}, complete(t, "pgsqlms", "status", "--"))
	require.Equal(t, []string{"--watch"}, complete(t, "pgsqlms", "status", "--w"))
	require.Equal(t, []string{"text", "json"}, complete(t, "pgsqlms", "status", "--output", ""))
	require.Equal(t, []string{"n1", "n2", "n22"}, complete(t, "pgsqlms", "switchover", ""))
	require.Equal(t, []string{"n2", "n22"}, complete(t, "pgsqlms", "switchover", "n2"))
	require.Empty(t, complete(t, "pgsqlms", "status", ""))
	require.Empty(t, complete(t, "pgsqlms", "nonsense", "--"))
}

// What the program really prints is understood.
func TestCompletionOfTheRealHelp(t *testing.T) {
	said := func(args ...string) string {
		var out bytes.Buffer
		require.Equal(t, operator.ExitWell, operator.Run(t.Context(), operator.Process{Args: args, Stdout: &out, Stderr: &out}))
		return out.String()
	}
	commands, _, err := operator.Manual()
	require.NoError(t, err)
	script := "#!/bin/sh\ncase $* in\nhelp) cat <<'END'\n" + said("help") + "END\n;;\n"
	var names []string
	for _, c := range commands {
		names = append(names, c.Name)
		script += "'" + c.Name + " --help') cat <<'END'\n" + said(c.Name, "--help") + "END\n;;\n"
	}
	script += "esac\n"
	require.Equal(t, names, completeWith(t, script, "pgsqlms", ""))
	for _, c := range commands {
		flags := []string{"--help"}
		for _, f := range c.Flags {
			flags = append(flags, "--"+f.Name)
		}
		require.ElementsMatch(t, flags, completeWith(t, script, "pgsqlms", c.Name, "--"), c.Name)
	}
}
