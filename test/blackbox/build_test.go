package blackbox

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

const agentSource = "../../cmd/pgsqlms"

// buildAgent builds what is installed on a cluster's nodes: the static binary.
func buildAgent(to string) error {
	cmd := exec.Command("go", "build", "-o", to, agentSource)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}

// noteSources opens the agent's files. "go test" takes an old result for a new one when nothing changed that it knows of,
// and it does not know what "go build" reads below it. What is opened before the first test begins it does not note.
func noteSources() error {
	seen := 0
	for _, dir := range []string{agentSource, "../../internal", "../../metadata"} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" {
				return err
			}
			seen++
			_, err = os.ReadFile(path)
			return err
		})
		if err != nil {
			return err
		}
	}
	if seen == 0 {
		return fmt.Errorf("no sources in %s", agentSource)
	}
	return nil
}
