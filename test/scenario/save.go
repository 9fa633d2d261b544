package scenario

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// SaveJSON writes a report to a file as Save does.
func SaveJSON(path string, report any) error {
	if path == "" {
		return nil
	}
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	return Save(path, append(text, '\n'))
}

// Save writes a file, if one is named, in one step: whoever is interrupted, or finds the disk full, leaves what was saved
// before.
func Save(path string, text []byte) error {
	if path == "" {
		return nil
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return os.WriteFile(path, text, 0o644) // a terminal, a pipe
	}
	fresh := path + ".new"
	if err := os.WriteFile(fresh, text, 0o644); err != nil {
		return errors.Join(err, removed(fresh))
	}
	return os.Rename(fresh, path)
}

func removed(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// MaySave says why a file, if one is named, could not be saved later, and makes the directory that it is to be in.
func MaySave(path string) error {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("%s: expected a file to write to, found a directory", path)
	case err == nil && !info.Mode().IsRegular():
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	fresh := path + ".new"
	if err := os.WriteFile(fresh, nil, 0o644); err != nil {
		return err
	}
	return os.Remove(fresh)
}
