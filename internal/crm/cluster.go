package crm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"pgsqlms/internal/command"
)

// DefaultSbinDir is where Debian and Enterprise Linux keep Pacemaker's tools.
const DefaultSbinDir = "/usr/sbin"

// Cluster is the local node's view of the cluster.
type Cluster struct {
	sbin string
	env  []string
}

// New takes the directory of Pacemaker's tools, DefaultSbinDir when empty, and the
// environment for them: only what tells them which cluster to speak to is passed on.
func New(sbin string, environ []string) *Cluster {
	if sbin == "" {
		sbin = DefaultSbinDir
	}
	return &Cluster{sbin: sbin, env: clusterEnvironment(environ)}
}

// The tools must not see OCF_RESKEY_CRM_meta_on_node: with it, attrd_updater 2.1.5
// takes a query about any node for one about this node.
func clusterEnvironment(environ []string) []string {
	var env []string
	for _, kv := range environ {
		if strings.HasPrefix(kv, "PCMK_") || strings.HasPrefix(kv, "CIB_") {
			env = append(env, kv)
		}
	}
	return env
}

// Check says which of the tools is missing or cannot be run.
func (c *Cluster) Check() error {
	for _, tool := range []string{"attrd_updater", "crm_attribute", "crm_node"} {
		path := filepath.Join(c.sbin, tool)
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
			return fmt.Errorf("%s cannot be executed", path)
		}
	}
	return nil
}

// NodeName is the cluster's name of the local node.
func (c *Cluster) NodeName(ctx context.Context) (string, error) {
	out, err := c.run(ctx, "crm_node", "-n")
	return strings.TrimSpace(out), err
}

// Members are the names of the nodes in this partition.
func (c *Cluster) Members(ctx context.Context) ([]string, error) {
	out, err := c.run(ctx, "crm_node", "-p")
	return strings.Fields(out), err
}

// ToolError is a tool's own failure, with what it said.
type ToolError struct {
	Tool string
	Code int
	Text string
}

func (e *ToolError) Error() string {
	return fmt.Sprintf("%s ended with exit code %d: %s", e.Tool, e.Code, e.Text)
}

func (c *Cluster) run(ctx context.Context, tool string, args ...string) (string, error) {
	result, err := c.result(ctx, tool, args...)
	if err != nil {
		return "", err
	}
	if result.Code != 0 {
		return "", &ToolError{Tool: tool, Code: result.Code, Text: lastLine(result.Stderr)}
	}
	return result.Stdout, nil
}

// result is what a tool that ran to its end left behind, whatever its exit code.
func (c *Cluster) result(ctx context.Context, tool string, args ...string) (command.Result, error) {
	result, err := command.Run(ctx, command.Cmd{Path: filepath.Join(c.sbin, tool), Args: args, Env: c.env})
	if err != nil {
		return result, fmt.Errorf("%s: %w", tool, err)
	}
	return result, nil
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// The exit codes with which the tools say that what they are asked for is not there:
// CRM_EX_NOSUCH since 2.0 (pcmk_rc2exitc of ENXIO in results.c), before that ENXIO itself;
// and attrd_updater of 2.1.5 says CRM_EX_CONFIG. That is what the others say of a
// configuration that fits no schema: whether it has the attribute, they do not know. An
// attribute manager that cannot be reached gives other codes (69, 76, 102).
const (
	exitConfig = 78
	exitNoSuch = 105
	exitENXIO  = 6
)

func isAbsent(err error) bool {
	var tool *ToolError
	if !errors.As(err, &tool) {
		return false
	}
	return tool.Code == exitNoSuch || tool.Code == exitENXIO || tool.Code == exitConfig && tool.Tool == "attrd_updater"
}

// Private is the value of a private attribute of a node: one that lives in the
// attribute managers only, never in the CIB, so that writing it does not disturb a
// transition. ok is false when it was never set there or was deleted.
func (c *Cluster) Private(ctx context.Context, node, name string) (value string, ok bool, err error) {
	values, err := c.query(ctx, name, "-N", node, "-p")
	value, ok = values[node]
	return value, ok, err
}

// PrivateOfAll are the values of a private attribute by node, for the price of one. Who is
// not in it has none.
func (c *Cluster) PrivateOfAll(ctx context.Context, name string) (map[string]string, error) {
	return c.query(ctx, name, "-A", "-p")
}

// SetPrivate asks for a private attribute of a node to be set. It returns before
// the value can be read.
func (c *Cluster) SetPrivate(ctx context.Context, node, name, value string) error {
	_, err := c.run(ctx, "attrd_updater", "-n", name, "-N", node, "-p", "--update="+value)
	return err
}

// DeletePrivate asks for a private attribute of a node to be deleted; one that is
// not there is fine.
func (c *Cluster) DeletePrivate(ctx context.Context, node, name string) error {
	_, err := c.run(ctx, "attrd_updater", "-n", name, "-N", node, "-p", "-D")
	if isAbsent(err) {
		return nil
	}
	return err
}

// BallotAttribute is the private node attribute that holds a node's vote before a
// promotion, with the history of its timeline.
func BallotAttribute(resource string) string { return "ballot-" + resource }

// VersionAttribute is the private node attribute that says which version of this program
// looks after a resource there.
func VersionAttribute(resource string) string { return "version-" + resource }

// ScoreAttribute is the node attribute that holds a resource's promotion score in
// every version of Pacemaker.
func ScoreAttribute(resource string) string { return "master-" + resource }

// Scores are the promotion scores of those nodes that have one, as they stand until each
// node's next reboot. One that is no number is an error, beside those that are.
func (c *Cluster) Scores(ctx context.Context, resource string, nodes []string) (map[string]int, error) {
	scores := make(map[string]int, len(nodes))
	if len(nodes) == 0 {
		return scores, nil
	}
	values, err := c.query(ctx, ScoreAttribute(resource), "-A")
	for _, node := range nodes {
		value, ok := values[node]
		if !ok {
			continue
		}
		score, bad := parseScore(value)
		if bad != nil {
			err = fmt.Errorf("promotion score of %s on %s is %q: %w", resource, node, value, bad)
			continue
		}
		scores[node] = score
	}
	return scores, err
}

// StoredScore is a node's promotion score as the CIB has it. Scores is what the attribute
// manager has been told, which writes it there a moment later.
func (c *Cluster) StoredScore(ctx context.Context, node, resource string) (score int, ok bool, err error) {
	out, err := c.run(ctx, "crm_attribute", "-t", "status", "-N", node, "-n", ScoreAttribute(resource), "-G", "-q")
	if isAbsent(err) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	score, err = parseScore(strings.TrimSpace(out))
	return score, err == nil, err
}

// SetScore sets a node's promotion score until its next reboot. Pacemaker then
// breaks off a running transition and computes a new one.
func (c *Cluster) SetScore(ctx context.Context, node, resource string, score int) error {
	_, err := c.run(ctx, "attrd_updater", "-n", ScoreAttribute(resource), "-N", node,
		"--update="+strconv.Itoa(score))
	return err
}

// Infinity is Pacemaker's score that nothing makes up for (CRM_SCORE_INFINITY).
const Infinity = 1_000_000

func parseScore(s string) (int, error) {
	switch strings.ToUpper(strings.TrimPrefix(s, "+")) {
	case "INFINITY":
		return Infinity, nil
	case "-INFINITY":
		return -Infinity, nil
	}
	n, err := strconv.ParseInt(s, 10, 32)
	return int(n), err
}

// query asks the attribute manager, with -N for one node or with -A for all of them.
func (c *Cluster) query(ctx context.Context, name string, flags ...string) (map[string]string, error) {
	out, err := c.run(ctx, "attrd_updater", append(append([]string{"-n", name}, flags...), "-Q")...)
	if isAbsent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseAttribute(out, name), nil
}
