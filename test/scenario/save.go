package scenario

import (
	"encoding/json"
	"os"
)

// SaveJSON writes a report to a file, if one is named.
func SaveJSON(path string, report any) error {
	if path == "" {
		return nil
	}
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
