package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheck(t *testing.T) {
	other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	self := filepath.Join(t.TempDir(), "static")
	build := exec.Command("go", "build", "-o", self, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)

	require.NoError(t, check(self, runtime.GOARCH))
	require.ErrorContains(t, check(self, other), "found a program for")
	require.ErrorContains(t, check(self, "mips"), "expected amd64 or arm64")
	require.ErrorContains(t, check("/bin/sh", runtime.GOARCH), "asks for a loader")
	require.Error(t, check("main.go", runtime.GOARCH))
}
