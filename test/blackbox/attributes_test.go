package blackbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The node attributes are files, one for each attribute of each node. A value is added with the time from which it can
// be seen, as attrd answers an update before it applies it; the last that can be seen counts.

func (p place) attribute(node, name string) string {
	return p.path("attributes", node, filepath.Base(name))
}

func (p place) setAttribute(node, name, value string, from time.Time) error {
	file := p.attribute(node, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%d %s\n", from.UnixNano(), value)
	return errors.Join(err, f.Close())
}

// nodesWith are the nodes on which an attribute was ever set.
func (p place) nodesWith(name string) []string {
	files, _ := filepath.Glob(p.path("attributes", "*", filepath.Base(name)))
	var nodes []string
	for _, file := range files {
		nodes = append(nodes, filepath.Base(filepath.Dir(file)))
	}
	return nodes
}

// getAttribute says not ok for one that was never set. After a deletion the value is empty, as it is with attrd.
func (p place) getAttribute(node, name string) (value string, ok bool, err error) {
	text, err := os.ReadFile(p.attribute(node, name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	for line := range strings.Lines(string(text)) {
		from, v, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if ns, err := strconv.ParseInt(from, 10, 64); err == nil && ns <= time.Now().UnixNano() {
			value, ok = v, true
		}
	}
	return value, ok, err
}
