package packages

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// checkout is a repository of its own with tools/version.sh in it.
type checkout struct {
	t   *testing.T
	dir string
}

func newCheckout(t *testing.T) checkout {
	c := checkout{t, t.TempDir()}
	script, err := os.ReadFile("../../tools/version.sh")
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(filepath.Join(c.dir, "tools"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(c.dir, "tools/version.sh"), script, 0o755))
	c.run("git", "init", "--quiet")
	c.run("git", "add", ".")
	c.commit()
	return c
}

func (c checkout) run(name string, args ...string) string {
	c.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_COUNT=0",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b")
	out, err := cmd.CombinedOutput()
	require.NoError(c.t, err, "%s", out)
	return strings.TrimSpace(string(out))
}

func (c checkout) commit() {
	c.run("git", "commit", "--quiet", "--allow-empty", "--message", "one more")
}

func (c checkout) version() string {
	return c.run("tools/version.sh")
}

func (c checkout) dirty(t *testing.T) {
	path := filepath.Join(c.dir, "tools/version.sh")
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteString("# changed\n")
	require.NoError(t, err)
}

func TestVersion(t *testing.T) {
	c := newCheckout(t)
	require.Regexp(t, `^0\.0\.0\+1\.g[0-9a-f]{8}$`, c.version())
	c.run("git", "tag", "v1.2.3-rc1")
	require.Equal(t, "1.2.3~rc1", c.version())
	c.commit()
	c.run("git", "tag", "--annotate", "--message", "it", "v1.2.3")
	c.run("git", "tag", "something-else")
	require.Equal(t, "1.2.3", c.version())
	c.commit()
	c.commit()
	require.Regexp(t, `^1\.2\.3\+2\.g[0-9a-f]{8}$`, c.version())
	c.dirty(t)
	require.Regexp(t, `^1\.2\.3\+2\.g[0-9a-f]{8}\.dirty$`, c.version())
	c.run("git", "tag", "v1.3.0")
	require.Regexp(t, `^1\.3\.0\+0\.g[0-9a-f]{8}\.dirty$`, c.version())
}
