//go:build lab

package e2e

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The logs that tests read, by their paths in a node.
const (
	logPostgres  = "/var/log/postgresql/postgresql.log"
	logPacemaker = "/var/log/pacemaker/pacemaker.log"
)

// markLogs remembers how long the logs are, so that logged gives what a test has caused.
func (c *cluster) markLogs() {
	for _, n := range c.Nodes() {
		for _, path := range []string{logPostgres, logPacemaker} {
			file := c.LogFile(n.Name, path)
			if info, err := os.Stat(file); err == nil {
				c.logs[file] = info.Size()
			}
		}
	}
}

// logged is what a node has written to a log since the test began. It needs no power.
func (c *cluster) logged(node, path string) string {
	c.t.Helper()
	name := c.LogFile(node, path)
	f, err := os.Open(name)
	require.NoError(c.t, err)
	defer f.Close()
	_, err = f.Seek(c.logs[name], io.SeekStart)
	require.NoError(c.t, err)
	text, err := io.ReadAll(f)
	require.NoError(c.t, err)
	return string(text)
}

// count is the number of lines of a log that contain a text.
func (c *cluster) count(node, path, text string) int {
	c.t.Helper()
	return len(c.linesWith(node, path, text))
}

func (c *cluster) linesWith(node, path, text string) []string {
	c.t.Helper()
	var found []string
	for line := range strings.Lines(c.logged(node, path)) {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// postgresLogged gives the time of the first line with a text in a node's PostgreSQL log.
func (c *cluster) postgresLogged(node, text string) time.Time {
	c.t.Helper()
	lines := c.linesWith(node, logPostgres, text)
	require.NotEmpty(c.t, lines, "no line with %q in PostgreSQL's log of %s", text, node)
	return stamp(c.t, lines[0])
}

// stamp reads the time at the begin of a line of PostgreSQL's log.
func stamp(t *testing.T, line string) time.Time {
	t.Helper()
	const layout = "2006-01-02 15:04:05.000 MST"
	require.Greater(t, len(line), len(layout))
	at, err := time.Parse(layout, line[:len(layout)])
	require.NoError(t, err)
	return at
}

// transitions is the number that Pacemaker computed, on whatever node its coordinator is.
func (c *cluster) transitions() int {
	c.t.Helper()
	n := 0
	for _, node := range c.Nodes() {
		n += c.count(node.Name, logPacemaker, "Calculated transition")
	}
	return n
}

// collectLogs saves the logs of all nodes, and names the directory.
func (c *cluster) collectLogs() {
	name := strings.NewReplacer("/", "-", " ", "-").Replace(c.t.Name())
	dir, err := os.MkdirTemp("", fmt.Sprintf("pgsqlms-e2e-%s-", name))
	if err == nil {
		err = c.CollectLogs(dir)
	}
	assert.NoError(c.t, err)
	c.t.Logf("the logs of all nodes: %s", filepath.Clean(dir))
}
