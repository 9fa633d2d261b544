package scenario

import (
	"errors"
	"os"
	"strings"

	"pgsqlms/test/lab"
)

// Possible says why no lab can run here, with what mends it.
func Possible() error {
	if os.Geteuid() != 0 {
		return errors.New("root is needed: the nodes are namespaces with mounts of their own; run it again with sudo")
	}
	lacking := lab.Requirements()
	if len(lacking) == 0 {
		return nil
	}
	text := "this machine lacks what the lab needs:\n  - " + strings.Join(lacking, "\n  - ")
	if hint := lab.InstallHint(); hint != "" {
		text += "\n" + hint
	}
	return errors.New(text)
}
