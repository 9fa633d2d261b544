package operator

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeTools is a directory of Pacemaker's and PostgreSQL's programs that are scripts, and of
// the files that these serve. The scripts know it as $d, and note their calls.
type fakeTools struct {
	t   *testing.T
	dir string
}

func (w fakeTools) write(name, text string) {
	require.NoError(w.t, os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600))
}

func (w fakeTools) tool(name, script string) {
	text := fmt.Sprintf("#!/bin/sh\nd='%s'\necho %s \"$@\" >> \"$d/calls\"\n%s\n", w.dir, name, script)
	require.NoError(w.t, os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o700))
}

func (w fakeTools) calls() string {
	text, err := os.ReadFile(filepath.Join(w.dir, "calls"))
	require.NoError(w.t, err)
	return string(text)
}
