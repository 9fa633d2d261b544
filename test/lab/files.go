package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ReadFile reads a file of a powered node.
func (l *Lab) ReadFile(node, path string) ([]byte, error) {
	var b []byte
	err := l.inNode(node, func() (err error) {
		b, err = os.ReadFile(path)
		return err
	})
	return b, err
}

// ReadLog is what a node has written to a file, by its path in the node, with
// or without power; "" if it has written none.
func (l *Lab) ReadLog(node, path string) string {
	b, err := os.ReadFile(l.LogFile(node, path))
	if err != nil {
		return ""
	}
	return string(b)
}

// WriteFile writes a file of a powered node, with the directories above it.
// owner is "user" or "user:group" of the node, "" for root.
func (l *Lab) WriteFile(node, path string, b []byte, mode fs.FileMode, owner string) error {
	return l.inNode(node, func() error {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, b, mode); err != nil {
			return err
		}
		if err := chown(path, owner); err != nil {
			return err
		}
		return os.Chmod(path, mode) // without the umask, and if it was there; a change of the owner takes set-uid away
	})
}

func chown(path, owner string) error {
	if owner == "" {
		owner = "root"
	}
	uid, gid, err := lookupOwner(owner)
	if err != nil {
		return err
	}
	return os.Chown(path, uid, gid)
}

// splitOwner takes "user" as "user:user".
func splitOwner(owner string) (user, group string, err error) {
	user, group, ok := strings.Cut(owner, ":")
	if !ok {
		group = user
	}
	if user == "" || group == "" {
		return "", "", fmt.Errorf("owner %q: expected user or user:group", owner)
	}
	return user, group, nil
}

// inNode runs fn with the files of a powered node.
func (l *Lab) inNode(node string, fn func() error) error {
	pid, err := l.initPid(node)
	if err != nil {
		return err
	}
	if err := inNamespacesOf(pid, fn); err != nil {
		return fmt.Errorf("on %s: %w", node, err)
	}
	return nil
}

// InstallAgent puts another file in the place of the agent under test, on all
// powered nodes.
func (l *Lab) InstallAgent(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("agent under test: %w", err)
	}
	return l.eachNode(func(n Node) error {
		if _, err := l.initPid(n.Name); err != nil {
			return nil // without power: its next owner of the file is the old one, and that is documented
		}
		return l.installFile(n.Name, b)
	})
}

// installFile replaces the agent by a rename, because the old one may be running. People find it in the PATH, as the
// project's packages have it.
func (l *Lab) installFile(node string, b []byte) error {
	const fresh = agentPath + ".new"
	if err := l.WriteFile(node, fresh, b, 0o755, ""); err != nil {
		return err
	}
	return l.inNode(node, func() error {
		if err := os.Rename(fresh, agentPath); err != nil {
			return err
		}
		if err := os.Symlink(agentPath, commandPath); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return nil
	})
}

func (l *Lab) eachNode(fn func(Node) error) error {
	nodes := l.Nodes()
	errs := make([]error, len(nodes))
	done := make(chan int)
	for i, n := range nodes {
		go func() {
			errs[i] = fn(n)
			done <- i
		}()
	}
	for range nodes {
		<-done
	}
	return errors.Join(errs...)
}
