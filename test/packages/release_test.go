package packages

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// An archive has what the program needs beside it, and whoever makes one of a checkout that is no release is told.
func TestRelease(t *testing.T) {
	c := newCheckout(t)
	for _, name := range []string{"tools/release.sh", "tools/doc.sh"} {
		script, err := os.ReadFile("../../" + name)
		require.NoError(t, err)
		c.write(name, string(script), 0o755)
	}
	for _, name := range []string{
		"README.md", "CHANGELOG.md", "LICENSE", "docs/install.md", "man/pgsqlms.8", "packaging/pgsqlms.bash", "packaging/pgsqlms.logrotate",
	} {
		c.write(name, name, 0o644)
	}
	c.run("git", "add", ".")
	c.commit()
	said, _ := c.release()
	require.Contains(t, said, "is no release")
	c.run("git", "tag", "v1.2.3")
	said, dist := c.release()
	require.NotContains(t, said, "is no release")

	const base = "pgsqlms-1.2.3-linux-amd64"
	files := members(t, filepath.Join(dist, base+".tar.gz"))
	require.Equal(t, "the agent", files[base+"/pgsqlms"])
	require.Equal(t, "all licenses", files[base+"/LICENSE"], "ours alone is not enough")
	for _, name := range []string{"README.md", "docs/install.md", "man/pgsqlms.8", "pgsqlms.bash", "pgsqlms.logrotate"} {
		require.Contains(t, files, base+"/"+name)
	}
	sums, err := os.ReadFile(filepath.Join(dist, "SHA256SUMS"))
	require.NoError(t, err)
	require.Regexp(t, `^[0-9a-f]{64}  `+base+`\.tar\.gz\n$`, string(sums))
}

func (c checkout) write(name, text string, mode os.FileMode) {
	c.t.Helper()
	path := filepath.Join(c.dir, name)
	require.NoError(c.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(c.t, os.WriteFile(path, []byte(text), mode))
}

// release makes the archive of what "make release" has built: what the script said, and where the archive is.
func (c checkout) release() (said, dist string) {
	c.t.Helper()
	dist = c.t.TempDir()
	require.NoError(c.t, os.MkdirAll(filepath.Join(dist, "stage/amd64"), 0o755))
	require.NoError(c.t, os.WriteFile(filepath.Join(dist, "stage/amd64/pgsqlms"), []byte("the agent"), 0o755))
	require.NoError(c.t, os.WriteFile(filepath.Join(dist, "stage/amd64/copyright"), []byte("all licenses"), 0o644))
	return c.run("tools/release.sh", dist, "amd64"), dist
}

// members are the files of an archive with their contents.
func members(t *testing.T, path string) map[string]string {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	require.NoError(t, err)
	files := map[string]string{}
	for archive := tar.NewReader(unzipped); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		require.NoError(t, err)
		text, err := io.ReadAll(archive)
		require.NoError(t, err)
		files[h.Name] = string(text)
	}
}
