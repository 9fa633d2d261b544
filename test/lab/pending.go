package lab

import (
	"context"
	"errors"
	"io"
	"net"
	"time"
)

var errPending = errors.New("lab: being written")

// Lab is a cluster that is up.
type Lab struct{}

// Fencing is one answer of the power switch to the fence agent.
type Fencing struct {
	Time   time.Time // when it was answered
	Asked  time.Time // when it was asked
	Victim string
	By     string // the node that asked
	Action string // off or reboot
	OK     bool
	Error  string
}

// ExecOptions are the conditions under which Exec runs a command in a node.
type ExecOptions struct {
	User  string // "root"
	Stdin io.Reader
	Env   []string // added to a small clean environment
	Dir   string   // "/"
}

// Result is how a command in a node ended.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// Hook: see doc.go.
func Hook() {}

func Up(ctx context.Context, cfg Config, progress func(string)) (*Lab, error) { return nil, errPending }
func Open(name string) (*Lab, error)                                          { return nil, errPending }

// Down takes the lab called name away, also one that came up half.
func Down(ctx context.Context, name string) error { return errPending }

func (l *Lab) Down(ctx context.Context) error      { return errPending }
func (l *Lab) Config() Config                      { return Config{} }
func (l *Lab) Nodes() []Node                       { return nil }
func (l *Lab) VIP() string                         { return vipAddr }
func (l *Lab) Dir() string                         { return "" }
func (l *Lab) WaitReady(ctx context.Context) error { return errPending }

// Missing tells what still keeps the lab from being ready; empty when ready.
func (l *Lab) Missing(ctx context.Context) []string                    { return nil }
func (l *Lab) Primary(ctx context.Context) (string, error)             { return "", errPending }
func (l *Lab) Status(ctx context.Context) (*Status, error)             { return nil, errPending }
func (l *Lab) SQL(ctx context.Context, node, q string) (string, error) { return "", errPending }
func (l *Lab) DSN(host string) string                                  { return "" } // host: node name or address, user postgres, no password

// Exec runs argv in a node. A non-zero exit code is not an error.
func (l *Lab) Exec(ctx context.Context, node string, o ExecOptions, argv ...string) (Result, error) {
	return Result{}, errPending
}

// Run is Exec as root, and a non-zero exit code is an error that has its stderr.
func (l *Lab) Run(ctx context.Context, node string, argv ...string) (string, error) {
	return "", errPending
}

// Dialer connects from a node or from Client; host names may be node names.
func (l *Lab) Dialer(from string) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return nil
}
func (l *Lab) ReadFile(node, path string) ([]byte, error) { return nil, errPending }
func (l *Lab) WriteFile(node, path string, b []byte, mode uint32, owner string) error {
	return errPending
}
func (l *Lab) InstallAgent(path string) error { return errPending }
func (l *Lab) CollectLogs(dir string) error   { return errPending }

func (l *Lab) KillNode(ctx context.Context, node string) error                  { return errPending } // link first, then SIGKILL
func (l *Lab) KillNodeLinked(ctx context.Context, node string) error            { return errPending } // FINs may leave
func (l *Lab) Boot(ctx context.Context, node string) error                      { return errPending }
func (l *Lab) Cut(ctx context.Context, node string) error                       { return errPending } // carrier lost
func (l *Lab) SilentCut(ctx context.Context, node string) error                 { return errPending } // carrier stays
func (l *Lab) Heal(ctx context.Context, node string) error                      { return errPending }
func (l *Lab) Freeze(ctx context.Context, node string) error                    { return errPending }
func (l *Lab) Thaw(ctx context.Context, node string) error                      { return errPending }
func (l *Lab) BlockPort(ctx context.Context, node, from string, port int) error { return errPending }
func (l *Lab) Unblock(ctx context.Context, node string) error                   { return errPending }
func (l *Lab) KillPostgres(ctx context.Context, node string) error              { return errPending } // kill -9 postmaster and children
func (l *Lab) KillPostmaster(ctx context.Context, node string) error            { return errPending } // only the postmaster
func (l *Lab) KillBackend(ctx context.Context, node, match string) error        { return errPending } // first child whose title has match
func (l *Lab) SignalPostgres(ctx context.Context, node, match string, sig int) error {
	return errPending
}                                                                  // SIGSTOP/SIGCONT...
func (l *Lab) StopCluster(ctx context.Context, node string) error  { return errPending } // clean pacemaker + corosync stop
func (l *Lab) StartCluster(ctx context.Context, node string) error { return errPending }

// SetFencing makes the power switch refuse or delay the fence agent's requests,
// and sets the time from a fencing reboot to the power coming back.
type FencingMode struct {
	Fail   bool
	Delay  time.Duration
	Reboot time.Duration // negative: never
}

func (l *Lab) SetFencing(ctx context.Context, m FencingMode) error  { return errPending }
func (l *Lab) Fencings() ([]Fencing, error)                         { return nil, errPending }
func (l *Lab) Powered(ctx context.Context) (map[string]bool, error) { return nil, errPending }

// Status is the cluster as its tools and the databases describe it.
type Status struct {
	DC, DCState string
	Online      []string
	Nodes       map[string]NodeStatus
	VIPNode     string
	Failures    []string
}

// NodeStatus is one node's part of Status.
type NodeStatus struct {
	Powered   bool
	Role      string // of the PostgreSQL resource: Promoted, Unpromoted, Stopped, ""
	SQL       string // primary, standby, or the error
	Streaming bool   // as the primary sees it
	SyncState string
	Score     string // promotion score, "" when unset
}

// Bind is a host directory shown in a sandbox.
type Bind struct {
	Host, Inside string
	Write        bool
}

// Sandbox describes a throw-away root of a tree.
type Sandbox struct {
	Suite  string
	Binds  []Bind
	Dir    string
	Env    []string
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
}

// RunInTree runs argv as root in a throw-away root of the tree and returns its exit code.
func RunInTree(ctx context.Context, s Sandbox, argv ...string) (int, error) { return 0, errPending }

// Requirements says what this machine lacks to run a lab; empty when nothing.
func Requirements() []string { return nil }

const DefaultSuite = "bookworm"
