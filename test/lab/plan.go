package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// plan is what is written to the lab's directory before anything is made. All
// other names follow from the lab's name, so that Down finds everything of a
// lab that came up only half.
type plan struct {
	Config Config
	Tree   string
	Cgroup string
	Facts  treeFacts
}

func (p plan) nodes() []Node { return nodesOf(p.Config.Nodes) }

func planFile(labDir string) string { return filepath.Join(labDir, "lab.json") }

func (p plan) write(labDir string) error {
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	return writeFileAtomic(planFile(labDir), b)
}

func readPlan(labDir string) (plan, error) {
	var p plan
	b, err := os.ReadFile(planFile(labDir))
	if errors.Is(err, fs.ErrNotExist) {
		return p, fmt.Errorf("no lab is up here: %s does not exist (lab up makes one)", labDir)
	}
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(b, &p); err != nil {
		return p, fmt.Errorf("%s: %w", planFile(labDir), err)
	}
	return p, nil
}

func writeFileAtomic(path string, b []byte) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, b, 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
