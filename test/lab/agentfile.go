package lab

import (
	"fmt"
	"os"
	"path/filepath"
)

// FindAgent is an agent named on a command line, as Config.Agent takes it:
// AgentPAF, or the absolute path of a file that is there.
func FindAgent(name string) (string, error) {
	if name == AgentPAF {
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
