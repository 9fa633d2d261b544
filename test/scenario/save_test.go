package scenario

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWhatCannotBeSavedLeavesWhatWas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.json")
	require.NoError(t, SaveJSON(path, []int{1}))
	require.NoError(t, os.Mkdir(path+".new", 0o755)) // in the way of the next one
	require.Error(t, Save(path, []byte("more")))
	saved, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "[\n  1\n]\n", string(saved))
	assert.NoError(t, Save("", nil), "no file was asked for")
}

func TestSaveLeavesOneFile(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, Save(filepath.Join(dir, "a"), []byte("1")))
	require.NoError(t, Save(filepath.Join(dir, "a"), []byte("2")))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	saved, err := os.ReadFile(filepath.Join(dir, "a"))
	require.NoError(t, err)
	assert.Equal(t, "2", string(saved))
}

func TestMaySave(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, MaySave(filepath.Join(dir, "new", "deep", "report.json")))
	require.NoError(t, Save(filepath.Join(dir, "new", "deep", "report.json"), []byte("1")))
	require.NoError(t, MaySave(filepath.Join(dir, "new", "deep", "report.json")))
	saved, err := os.ReadFile(filepath.Join(dir, "new", "deep", "report.json"))
	require.NoError(t, err)
	assert.Equal(t, "1", string(saved), "looking does not write")
	assert.NoError(t, MaySave(""))
	assert.NoError(t, MaySave("/dev/stdout"))
	assert.ErrorContains(t, MaySave(dir), "found a directory")
	assert.Error(t, MaySave(filepath.Join(dir, "new", "deep", "report.json", "x")), "a file is no directory")
}
