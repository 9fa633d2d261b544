package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// agentPathOf is where a node has an agent.
func agentPathOf(agent string) string {
	if agent == AgentShell {
		return filepath.Join(filepath.Dir(agentPath), "pgsql")
	}
	return agentPath
}

// FindAgent is an agent named on a command line, as Config.Agent takes it:
// a packaged one, or the absolute path of a file that is there.
func FindAgent(name string) (string, error) {
	if slices.Contains(packagedAgents, name) {
		return name, nil
	}
	path, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("agent: %w; build it with \"make build\"", err)
	}
	return path, nil
}
