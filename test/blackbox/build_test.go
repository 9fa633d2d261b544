package blackbox

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const agentSource = "../../cmd/pgsqlms"

// buildAgent builds what is installed on a cluster's nodes: the static binary.
//
// "go test" takes an old result for a new one when nothing changed that it knows of, and it does not know what "go build"
// reads below it. The agent's packages it knows because documented_test.go imports them; the main package cannot be
// imported, so its files are opened here.
func buildAgent(to string) error {
	if err := noteSources(); err != nil {
		return err
	}
	cmd := exec.Command("go", "build", "-o", to, agentSource)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}

// noteSources opens the files of the main package.
func noteSources() error {
	files, err := filepath.Glob(agentSource + "/*.go")
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no sources in %s: %w", agentSource, err)
	}
	for _, file := range files {
		if _, err := os.ReadFile(file); err != nil {
			return err
		}
	}
	return nil
}
