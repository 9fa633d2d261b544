package blackbox

import (
	"fmt"
	"os"
)

// condition answers [name] in front of a line of a script.
func condition(name string) (bool, error) {
	switch name {
	case "root":
		return os.Geteuid() == 0, nil
	case "terminal":
		t, err := openTerminal()
		if err == nil {
			t.text()
		}
		return err == nil, nil
	}
	return false, fmt.Errorf("no condition %q", name)
}
