package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"pgsqlms/internal/command"
	"pgsqlms/internal/crm"
	"pgsqlms/internal/election"
	"pgsqlms/internal/failpoint"
	"pgsqlms/internal/ocf"
	"pgsqlms/internal/pg"
	"pgsqlms/internal/wal"
	"pgsqlms/metadata"
)

// Cluster is what the agent asks of Pacemaker.
type Cluster interface {
	Check() error
	NodeName(ctx context.Context) (string, error)
	Members(ctx context.Context) ([]string, error)
	Private(ctx context.Context, node, name string) (value string, ok bool, err error)
	SetPrivate(ctx context.Context, node, name, value string) error
	DeletePrivate(ctx context.Context, node, name string) error
	PrivateOfAll(ctx context.Context, name string) (values map[string]string, err error)
	Scores(ctx context.Context, resource string, nodes []string) (scores map[string]int, err error)
	StoredScore(ctx context.Context, node, resource string) (score int, ok bool, err error)
	SetScore(ctx context.Context, node, resource string, score int) error
	DeleteLastingScore(ctx context.Context, node, resource string) error
	Property(ctx context.Context, resource string) (value string, ok bool, err error)
	SetProperty(ctx context.Context, resource, value string) error
	SetStatus(ctx context.Context, node, resource, text string) error
	Promoted(ctx context.Context, resource string) (nodes []string, err error)
}

// Process is what the agent is given by its process.
type Process struct {
	Args     []string // without the program's name
	Environ  []string
	Stdout   io.Writer
	Stderr   io.Writer
	Terminal bool // standard error is a terminal
	Started  time.Time
	Version  string
}

// agent is one action under way.
type agent struct {
	req   ocf.Request
	conf  config
	log   *ocf.Logger
	db    *pg.Instance
	crm   Cluster
	store store
	node  string // cached by nodeName

	environ []string // of the action
	program string   // the version of this one

	// beside is what a promotion has begun and PostgreSQL need not wait for. It is over
	// before the action is.
	beside sync.WaitGroup

	// endsWithShutdown is db's, by itself for the tests of a promotion without one.
	endsWithShutdown func(context.Context, wal.Position) (bool, error)
}

type action func(*agent, context.Context) (ocf.ExitCode, error)

// The actions that need a configuration, by the names Pacemaker gives them.
var actions = map[string]action{
	metadata.Start:       (*agent).start,
	metadata.Stop:        (*agent).stop,
	metadata.Monitor:     (*agent).monitor,
	metadata.Promote:     (*agent).promote,
	metadata.Demote:      (*agent).demote,
	metadata.Notify:      (*agent).notify,
	metadata.Reload:      (*agent).reload,
	metadata.ValidateAll: (*agent).validate,
	followAction:         (*agent).follow,
}

// Run carries out the action that p asks for and returns the process's exit code.
// Meta-data and methods are answered before any configuration is read.
func Run(ctx context.Context, p Process) ocf.ExitCode {
	dieBySignal()
	req := ocf.ParseRequest(p.Args, p.Environ, p.Started)
	req.Began(time.Now())
	log := ocf.NewLogger(metadata.Name, req.Instance, p.Environ, p.Stderr, p.Terminal)
	defer log.Close()
	switch req.Action {
	case metadata.MetaData:
		fmt.Fprint(p.Stdout, metadata.XML(p.Version))
		return ocf.Success
	case metadata.Methods:
		fmt.Fprintln(p.Stdout, strings.Join(metadata.MethodNames(), "\n"))
		return ocf.Success
	case "failpoints":
		if steps := failpoint.Names(); len(steps) > 0 {
			fmt.Fprintln(p.Stdout, strings.Join(steps, "\n"))
			return ocf.Success
		}
	}
	do, known := actions[req.Action]
	if !known {
		err := reasonNoAction.With(req.Action, strings.Join(metadata.MethodNames(), ", "))
		log.ExitReason(ocf.Explain(err))
		return err.Code
	}
	if idle(req) {
		return ocf.Success
	}
	ctx, cancel := context.WithDeadline(ctx, req.Deadline)
	defer cancel()
	code, err := inTime(req, func() (ocf.ExitCode, error) {
		return contained(log, func() (ocf.ExitCode, error) { return do(newAgent(ctx, p, req, log), ctx) })
	})
	if err != nil && req.Action == metadata.Notify { // which always succeeds
		log.Warnf("%v", err)
		return ocf.Success
	}
	if err != nil {
		log.ExitReason(ocf.Explain(err))
	}
	return code
}

// inTime gives an action up that does not come back although its deadline is over: it
// waits where no deadline reaches, in a system call on storage that hangs. Pacemaker
// would kill it a moment later, without a word, and fence the node after a stop.
func inTime(req ocf.Request, do func() (ocf.ExitCode, error)) (ocf.ExitCode, error) {
	ctx, cancel := context.WithDeadline(context.Background(), req.Overdue())
	defer cancel()
	code, err := command.Within(ctx, 0, do)
	if errors.Is(err, command.ErrGivenUp) {
		return refuse(reasonOverdue.With(req.Action, req.Timeout))
	}
	return code, err
}

func newAgent(ctx context.Context, p Process, req ocf.Request, log *ocf.Logger) *agent {
	env := func(name string) string {
		for _, kv := range p.Environ {
			if v, ok := strings.CutPrefix(kv, name+"="); ok {
				return v
			}
		}
		return ""
	}
	a := &agent{
		req: req, conf: readConfig(ctx, req, env("PGSQLMS_LOG_DIR")), log: log,
		crm:   crm.New(env("HA_SBIN_DIR"), p.Environ),
		store: newStore(env("HA_RSCTMP"), req.Instance),
		node:  req.Node(), environ: p.Environ, program: p.Version,
	}
	a.openInstance()
	return a
}

func (a *agent) openInstance() {
	a.db = pg.New(a.conf.instance())
	a.endsWithShutdown = a.db.EndsWithShutdown
}

// refuse is how an action ends with an error that carries its exit code.
func refuse(err error) (ocf.ExitCode, error) { return ocf.CodeOf(err), err }

// nodeName is this node's name in the cluster: from Pacemaker, or asked for where a
// person runs the action.
func (a *agent) nodeName(ctx context.Context) (string, error) {
	if a.node != "" {
		return a.node, nil
	}
	name, err := a.crm.NodeName(ctx)
	if err != nil {
		return "", reasonTools.Because(err)
	}
	a.node = name
	return name, nil
}

// transition is the promotion under way as Pacemaker's lists describe it.
func (a *agent) transition() election.Transition { return election.Classify(lists(a.req.Notify)) }

func lists(n ocf.Notification) election.Lists {
	return election.Lists{
		Active: n.Active, Promoted: n.Promoted, Unpromoted: n.Unpromoted,
		Start: n.Start, Stop: n.Stop, Promote: n.Promote, Demote: n.Demote,
	}
}
