package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

// built builds this command.
func built(t *testing.T, flags ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "static")
	build := exec.Command("go", append(append([]string{"build", "-trimpath", "-ldflags=-s -w", "-o", file}, flags...), ".")...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return file
}

func TestCheck(t *testing.T) {
	other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	self := built(t)
	require.NoError(t, check(self, runtime.GOARCH))
	require.ErrorContains(t, check(self, other), "found a program for")
	require.ErrorContains(t, check(self, "mips"), "expected amd64 or arm64")
	require.ErrorContains(t, check("/bin/sh", runtime.GOARCH), "asks for a loader")
	require.Error(t, check("main.go", runtime.GOARCH))
}

// Stripped or not, a binary says what tags it was built with.
func TestFailpointsAreNotPacked(t *testing.T) {
	require.ErrorContains(t, check(built(t, "-tags", "failpoint"), runtime.GOARCH), "built with -tags failpoint")
	for tags, fine := range map[string]bool{"": true, "lab": true, "failpoints": true, "failpoint": false, "lab,failpoint": false, "failpoint,lab": false} {
		err := checkTags(&debug.BuildInfo{Settings: []debug.BuildSetting{{Key: "CGO_ENABLED", Value: "0"}, {Key: "-tags", Value: tags}}})
		require.Equal(t, fine, err == nil, tags)
	}
	require.NoError(t, checkTags(&debug.BuildInfo{}))
}
