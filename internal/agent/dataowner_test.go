package agent

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What belongs to others only root can make: see as_root_planted_directory in
// test/blackbox.
func TestWayToTheData(t *testing.T) {
	top, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	in := func(name string) string { return filepath.Join(top, name) }
	require.NoError(t, os.MkdirAll(in("a/data"), 0o700))
	require.NoError(t, os.MkdirAll(in("open/data"), 0o700))
	require.NoError(t, os.Chmod(in("open"), 0o777))
	require.NoError(t, os.MkdirAll(in("sticky/data"), 0o700))
	require.NoError(t, os.Chmod(in("sticky"), 0o777|os.ModeSticky))
	for link, target := range map[string]string{
		"link": in("a"), "relative": "../" + filepath.Base(top) + "/a/.", "loop": in("loop"), "through": "open/../a",
	} {
		require.NoError(t, os.Symlink(target, in(link)))
	}
	for path, planted := range map[string]string{
		"a/data":         "",
		"a//./data/":     "",
		"link/data":      "",
		"link/../a/data": "",
		"relative/data":  "",
		"sticky/data":    "",
		"open/data":      in("open") + " can be changed by everybody",
		"through/data":   in("open") + " can be changed by everybody",
	} {
		d := ownerOf(top + "/" + path)
		assert.True(t, d.there, path)
		assert.Equal(t, uint32(os.Geteuid()), d.owner.UID, path)
		assert.Equal(t, planted, d.planted, path)
	}
	for _, path := range []string{in("none"), in("loop"), in("loop/data"), top + "/a/data/none/..", "a/data", ""} {
		assert.Equal(t, dataOwner{}, ownerOf(path), path)
	}
}
