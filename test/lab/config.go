package lab

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"pgsqlms/metadata"
)

// Names that the lab gives to things in the cluster.
const (
	Resource      = "pgsqld"       // the PostgreSQL primitive
	CloneResource = "pgsqld-clone" // its promotable clone
	VIPResource   = "pgsql-vip"    // the address that follows the promoted role
	FenceResource = "fencing"      // the fence device
	Client        = "client"       // the machine beside the nodes, for Dialer
	agentPath     = "/usr/lib/ocf/resource.d/heartbeat/pgsqlms"
	commandPath   = "/usr/sbin/pgsqlms"        // leads to it
	helperPath    = "/usr/lib/pgsqlms-lab/lab" // this executable, inside of a node
	fenceAgent    = "fence_lab"
)

// The lab's network. It exists only inside of the lab's namespaces, so two labs
// use the same addresses and never meet.
const (
	netPrefix  = "10.77.0."
	netBits    = 24
	clientAddr = netPrefix + "200"
	vipAddr    = netPrefix + "100"
)

// Op is one operation of the PostgreSQL resource.
type Op struct {
	Name     string        // start, monitor, ...
	Role     string        // "", "Promoted" or "Unpromoted"; respelled for old releases
	Interval time.Duration // 0 unless the operation recurs
	Timeout  time.Duration
}

// Config says what lab to build. The zero value of every field means its
// default.
type Config struct {
	Name  string // "lab"; part of the names of all that is made
	Nodes int    // 3
	Suite string // Debian release: "bookworm"
	// Packages are Debian's, on the nodes beside what every lab has. With some the lab is in a tree of its own.
	Packages []string

	// Agent is the OCF agent under test: a file on the host, or one of the
	// packaged systems to compare with: AgentPAF (default), AgentShell, AgentPatroni.
	Agent   string
	Patroni PatroniConfig // of AgentPatroni

	Sync       bool          // synchronous replication, ANY 1 of all nodes
	SyncNames  string        // synchronous_standby_names, when Sync's is not wanted
	Token      time.Duration // corosync's token timeout: 1 s
	ExactToken bool          // Token is what is in effect: without corosync's 650 ms more for every node above two
	DCDeadtime time.Duration // 5 s

	Params    map[string]string // of the PostgreSQL resource; added to or replacing the defaults
	Ops       []Op              // default: RecommendedOps
	CloneMeta map[string]string // added to notify=true, promotable=true, promoted-max=1
	RscMeta   map[string]string // resource defaults; default: stickiness 10, migration-threshold 5
	Props     map[string]string // cluster properties, added to the lab's
	// NoResources leaves the cluster with a fence device only, so that a test can
	// create the resources itself (with pcs, crmsh, ...).
	NoResources bool
	// Constraints is XML appended inside of <constraints>.
	Constraints string

	PGConf map[string]string // postgresql.conf settings, added to or replacing the lab's
	NoSync bool              // fsync=off, for tests that only care about the cluster

	// FenceReboot is the time from a fencing "reboot" until the node is powered
	// again: default 3 s, negative for never.
	FenceReboot time.Duration

	// ReadyTimeout bounds the wait for readiness in Up, and WaitReady when its
	// context has no deadline: 90 s.
	ReadyTimeout time.Duration
	// Keep leaves a lab that failed to come up as it is, for a look at it.
	Keep bool
}

// pafOps are the operations that PAF's documentation suggests.
func pafOps() []Op {
	return []Op{
		{Name: "start", Timeout: 60 * time.Second},
		{Name: "stop", Timeout: 60 * time.Second},
		{Name: "reload", Timeout: 20 * time.Second},
		{Name: "promote", Timeout: 30 * time.Second},
		{Name: "demote", Timeout: 120 * time.Second},
		{Name: "monitor", Role: "Promoted", Interval: 15 * time.Second, Timeout: 10 * time.Second},
		{Name: "monitor", Role: "Unpromoted", Interval: 16 * time.Second, Timeout: 10 * time.Second},
		{Name: "notify", Timeout: 60 * time.Second},
	}
}

// RecommendedOps are the operations that an agent's own documentation suggests.
func RecommendedOps(agent string) []Op {
	switch agent {
	case AgentShell:
		return shellOps()
	case AgentPAF:
		return pafOps()
	}
	return ownOps()
}

// MonitorInterval is that of a role's monitor, zero where there is none. The role is Promoted or Unpromoted.
func MonitorInterval(ops []Op, role string) time.Duration {
	for _, op := range ops {
		if op.Name == "monitor" && op.Role == role {
			return op.Interval
		}
	}
	return 0
}

// ownOps are those of this agent's meta-data.
func ownOps() []Op {
	var ops []Op
	for _, a := range metadata.Actions() {
		if slices.Contains([]string{metadata.MetaData, metadata.ValidateAll, metadata.Methods}, a.Name) {
			continue // nobody configures these
		}
		ops = append(ops, Op{Name: a.Name, Role: string(a.Role), Interval: a.Interval, Timeout: a.Timeout})
	}
	return ops
}

func (c Config) withDefaults() Config {
	def(&c.Name, "lab")
	def(&c.Nodes, 3)
	def(&c.Suite, DefaultSuite)
	def(&c.Agent, AgentPAF)
	def(&c.Token, time.Second)
	def(&c.DCDeadtime, 5*time.Second)
	def(&c.FenceReboot, 3*time.Second)
	def(&c.ReadyTimeout, 90*time.Second)
	if c.Ops == nil {
		c.Ops = RecommendedOps(c.Agent)
	}
	meta := map[string]string{"resource-stickiness": "10", "migration-threshold": "5"}
	if c.Agent == AgentShell {
		meta = shellMeta()
	}
	c.RscMeta = merged(meta, c.RscMeta)
	c.Patroni = c.Patroni.withDefaults()
	return c
}

var (
	nameRule  = regexp.MustCompile(`^[a-z][a-z0-9]{0,9}$`)
	suiteRule = regexp.MustCompile(`^[a-z]+$`)
)

func (c Config) validate() error {
	if err := CheckName(c.Name); err != nil {
		return err
	}
	if c.Nodes < 1 || c.Nodes > 9 {
		return fmt.Errorf("%d nodes: expected 1 to 9", c.Nodes)
	}
	if !suiteRule.MatchString(c.Suite) {
		return fmt.Errorf("suite %q: expected the name of a Debian release, such as %s", c.Suite, DefaultSuite)
	}
	if slices.Contains(packagedAgents, c.Agent) {
		return nil
	}
	st, err := os.Stat(c.Agent)
	if err != nil {
		return fmt.Errorf("agent under test: %w (expected an executable file, or one of %s)", err, strings.Join(packagedAgents, ", "))
	}
	if !st.Mode().IsRegular() || st.Mode()&0o111 == 0 {
		return fmt.Errorf("agent under test %s: expected an executable file, found mode %s", c.Agent, st.Mode())
	}
	return nil
}

// Node is one machine of the cluster.
type Node struct {
	Name string // n1, n2, ...
	ID   int    // corosync's node id: 1, 2, ...
	Addr string
}

func nodesOf(n int) []Node {
	nodes := make([]Node, n)
	for i := range nodes {
		nodes[i] = Node{
			Name: fmt.Sprintf("n%d", i+1),
			ID:   i + 1,
			Addr: fmt.Sprintf("%s%d", netPrefix, 11+i),
		}
	}
	return nodes
}

// stateRoot is where labs keep all that changes.
func stateRoot() string {
	if d := os.Getenv("PGSQLMS_LAB_STATE"); d != "" {
		return d
	}
	return "/var/lib/pgsqlms-lab"
}

// cacheRoot is where Debian trees are kept between labs.
func cacheRoot() string {
	if d := os.Getenv("PGSQLMS_LAB_CACHE"); d != "" {
		return d
	}
	return "/var/cache/pgsqlms-lab"
}

func stateDir(name string) string { return filepath.Join(stateRoot(), name) }

func def[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

func merged(base, over map[string]string) map[string]string {
	out := maps.Clone(base)
	maps.Copy(out, over)
	return out
}

// CheckName refuses a lab's name that cannot be one.
func CheckName(name string) error {
	if !nameRule.MatchString(name) {
		return fmt.Errorf("lab name %q: expected a lower-case letter and up to nine more letters or digits, because it becomes part of interface and namespace names", name)
	}
	return nil
}
