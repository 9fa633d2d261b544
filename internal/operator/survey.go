package operator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"pgsqlms/internal/crm"
	"pgsqlms/internal/ocf"
	"pgsqlms/internal/pg"
)

// The bounds of what is asked. Together they are what a person waits at most; a healthy
// cluster answers everything in a tenth of it.
const (
	surveyWait    = 3 * time.Second         // for all of it
	toolWait      = 1200 * time.Millisecond // for one of Pacemaker's tools: some 50 ms when well
	instanceWait  = 1200 * time.Millisecond // for the local instance to answer
	lookWait      = 500 * time.Millisecond  // for a user, a setting, pg_controldata
	neighbourWait = 1200 * time.Millisecond // for the others, all at once
)

// The same where nobody looks on while it is asked, and an answer is worth more than
// that it comes soon: on a machine under load Pacemaker's tools take seconds.
const (
	patientSurvey = 8 * time.Second
	patientTool   = 5 * time.Second
)

// survey is what was found of the cluster, before anything is made of it. Each source
// has its error beside it; what was not asked has errNotAsked.
type survey struct {
	taken time.Time
	node  string // this node's name in the cluster; empty if nobody could tell

	waited time.Duration // for each of Pacemaker's tools, at most

	state    crm.State // live, from crm_mon
	stateErr error
	cib      crm.CIB
	cibErr   error
	onDisk   bool // the CIB is this node's copy, without any state: Pacemaker did not answer

	resource crm.Resource
	instance instance
	local    answer
	runs     pg.Processes // where the local instance did not answer
	runsErr  error
	control  pg.ControlData // the same, and nothing of it runs
	ctrlErr  error

	others    map[string]answer // by node
	byAddress answer            // from the address in primary_conninfo, whose node is not known

	votes map[string]string // ballots by node; nil where they were not asked for
}

// answer is what one instance said.
type answer struct {
	report pg.Report
	err    error
}

func (a answer) ok() bool { return a.err == nil }

var (
	errNotAsked   = errors.New("not asked")
	errNoConninfo = errors.New("primary_conninfo is not set")
)

// surveyor asks.
type surveyor struct {
	crm      *crm.Cluster
	resource string // the one to look at; empty for the only one
	cibFile  string
	patient  bool
	hung     *hung // what storage that hangs has not given back
}

func (s surveyor) surveyWait() time.Duration {
	if s.patient {
		return patientSurvey
	}
	return surveyWait
}

func (s surveyor) toolWait() time.Duration {
	if s.patient {
		return patientTool
	}
	return toolWait
}

func newSurveyor(c *call) surveyor {
	return surveyor{crm: crm.New(environ(c.Environ, "HA_SBIN_DIR"), c.Environ), resource: c.resource, cibFile: crm.CIBFile, hung: &hung{}}
}

// survey looks at everything. Only a cluster without a resource to look at, or with
// several, is an error: then there is nothing to show.
func (s surveyor) survey(ctx context.Context, now time.Time) (survey, error) {
	ctx, cancel := context.WithTimeout(ctx, s.surveyWait())
	defer cancel()
	f, err := s.begin(ctx, now)
	if err != nil || !errors.Is(f.local.err, errNotAsked) {
		return f, err
	}
	f.askLocal(ctx)
	f.askNeighbours(ctx)
	return f, nil
}

// begin is the part of a survey that asks no PostgreSQL: Pacemaker, which resource it is,
// and where its local instance is. What is wrong with the latter stands in local.err.
func (s surveyor) begin(ctx context.Context, now time.Time) (survey, error) {
	f := survey{taken: now, waited: s.toolWait(), local: answer{err: errNotAsked}, byAddress: answer{err: errNotAsked}, others: map[string]answer{}}
	s.askPacemaker(ctx, &f)
	var err error
	if f.resource, err = s.choose(f); err != nil {
		return f, err
	}
	if f.instance, err = openInstance(ctx, f.resource); err != nil {
		f.local.err = err
	}
	f.instance.hung = s.hung
	return f, nil
}

func (s surveyor) askPacemaker(ctx context.Context, f *survey) {
	ctx, cancel := context.WithTimeout(ctx, s.toolWait())
	defer cancel()
	var asked sync.WaitGroup
	asked.Go(func() { f.state, f.stateErr = s.crm.State(ctx) })
	asked.Go(func() { f.cib, f.cibErr = s.crm.CIB(ctx) })
	asked.Go(func() { f.node, _ = s.crm.NodeName(ctx) })
	asked.Wait()
	if f.cibErr != nil {
		live := f.cibErr
		if f.cib, f.cibErr = crm.CIBOnDisk(s.cibFile); f.cibErr == nil {
			f.onDisk = true
		} else {
			f.cibErr = fmt.Errorf("%w; and %w", live, f.cibErr)
		}
	}
	if f.node == "" {
		f.node = nameByHost(f.cib.NodeNames)
	}
}

// nameByHost is for a node without a cluster, where nobody else can tell its name: that
// of the machine, if the cluster has a node of that name.
func nameByHost(nodes []string) string {
	host, err := os.Hostname()
	if err != nil {
		return ""
	}
	short, _, _ := strings.Cut(host, ".")
	for _, name := range nodes {
		if name == host || name == short {
			return name
		}
	}
	return ""
}

// choose takes the resource that was asked for, or the only one.
func (s surveyor) choose(f survey) (crm.Resource, error) {
	if f.cibErr != nil {
		return crm.Resource{}, fmt.Errorf("the cluster's configuration cannot be read: %w; to do: run it as root on a node of the cluster", f.cibErr)
	}
	var names []string
	for _, r := range f.cib.Resources {
		names = append(names, r.Name)
	}
	if s.resource != "" {
		r, found := f.cib.Resource(s.resource)
		if !found {
			return r, usagef("--resource: the cluster has no resource %q of ocf:heartbeat:%s, found %s", s.resource, crm.AgentType, orNone(names))
		}
		return r, nil
	}
	switch len(f.cib.Resources) {
	case 0:
		return crm.Resource{}, fmt.Errorf("the cluster has no resource of ocf:heartbeat:%s", crm.AgentType)
	case 1:
		return f.cib.Resources[0], nil
	}
	return crm.Resource{}, usagef("the cluster has more than one resource of ocf:heartbeat:%s; say which with --resource, one of %s", crm.AgentType, orNone(names))
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// askLocal asks this node's instance, and where it does not answer, its processes and
// pg_control.
func (f *survey) askLocal(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, instanceWait)
	f.local.report, f.local.err = f.instance.Report(bounded)
	cancel()
	if f.local.ok() {
		return
	}
	f.runs, f.runsErr = f.instance.Processes(ctx)
	f.ctrlErr = errNotAsked
	if f.runsErr == nil && !f.runs.Running() {
		bounded, cancel := context.WithTimeout(ctx, lookWait)
		defer cancel()
		f.control, f.ctrlErr = f.instance.Control(bounded)
	}
}

// askNeighbours asks the instances of the other nodes as this node's WAL receiver would
// ask a primary: by the same user, under their nodes' names. Whether they let us in is up
// to their pg_hba.conf; what they send to a standby is known from the primary as well.
func (f *survey) askNeighbours(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, lookWait)
	conninfo, err := f.instance.Conninfo(bounded)
	cancel()
	if err == nil && conninfo.Empty() {
		err = errNoConninfo
	}
	ctx, cancel = context.WithTimeout(ctx, neighbourWait)
	defer cancel()
	var asked sync.WaitGroup
	var mu sync.Mutex
	for _, node := range f.askable() {
		if err != nil {
			f.others[node] = answer{err: err}
			continue
		}
		asked.Go(func() {
			a := f.ask(ctx, conninfo.At(node))
			mu.Lock()
			defer mu.Unlock()
			f.others[node] = a
		})
	}
	if err == nil && (!f.local.ok() || f.local.report.InRecovery) {
		asked.Go(func() { f.byAddress = f.ask(ctx, conninfo) })
	}
	asked.Wait()
}

// nodeNames are those that may run an instance, in order: all but remote ones, for which
// the configuration need not say that they are.
func (f *survey) nodeNames() (names []string) {
	for _, name := range f.cib.NodeNames {
		if node, _ := f.state.Node(name); !node.Remote {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// askable are the other nodes that are up, or of which nobody can tell whether they are.
func (f *survey) askable() (nodes []string) {
	for _, name := range f.nodeNames() {
		node, known := f.state.Node(name)
		if name == f.node || known && !node.Online && !node.Pending {
			continue
		}
		nodes = append(nodes, name)
	}
	return nodes
}

// promoted is the node with the primary by Pacemaker's word; empty for none. One that is
// lost counts for none: nobody can tell whether it still is one. Pacemaker holds an
// instance whose promotion failed for promoted until it is demoted, and it is not.
func (f *survey) promoted() string {
	for _, name := range f.state.Promoted(f.resource.Name) {
		node, _ := f.state.Node(name)
		op, found := f.cib.Last(f.resource.Name, name, "promote")
		failed := found && op.Done && op.Code != 0
		if !node.Unclean && !failed {
			return name
		}
	}
	return ""
}

// locations are the constraints about the resource that hold now, for what Pacemaker tells;
// without it, all.
func (f *survey) locations() []crm.Location {
	if f.stateErr != nil {
		return f.cib.LocationsOf(f.resource)
	}
	return f.cib.InEffect(f.state, f.resource)
}

// beside are the constraints about what runs only where the promoted instance does: they draw
// the role along, or have what follows it run nowhere.
func (f *survey) beside() (found []crm.Location) {
	var names []string
	for _, l := range f.cib.WithPromoted(f.resource, crm.Infinity) {
		for _, name := range append([]string{l.Resource}, f.cib.Group(l.Resource)...) {
			if slices.Contains(names, name) {
				continue
			}
			names = append(names, name)
			of := survey{cib: f.cib, state: f.state, stateErr: f.stateErr, resource: crm.Resource{Name: name}}
			found = append(found, of.locations()...)
		}
	}
	return found
}

// around are the locations and those beside them.
func (f *survey) around() []crm.Location { return append(f.locations(), f.beside()...) }

// about names a constraint, and what it is about where that is not the resource itself; and
// what it has to be removed from.
func (f *survey) about(l crm.Location) (name string, of crm.Resource) {
	if l.Resource == "" || l.Resource == f.resource.Name || l.Resource == f.resource.Clone {
		return l.ID, f.resource
	}
	return l.ID + " of " + l.Resource + ", which runs with the primary,", crm.Resource{Name: l.Resource}
}

// gone says of a node that Pacemaker has lost it, or never saw it, and that its instance has
// not answered: what others still have of its connections is not ended yet. An instance that
// Pacemaker was told to leave alone runs on without a Pacemaker. The name is a node's, or
// what a standby calls itself.
func (f *survey) gone(name string) bool {
	n := slices.IndexFunc(f.state.Nodes, func(node crm.Node) bool { return strings.EqualFold(node.Name, name) })
	if f.stateErr != nil || n < 0 || (&assessor{survey: *f}).reportOf(f.state.Nodes[n].Name) != nil {
		return false
	}
	node := f.state.Nodes[n]
	managed, set := f.resource.Meta["is-managed"]
	left := node.Maintenance || ocf.IsTrue(f.cib.Properties["maintenance-mode"]) || set && !ocf.IsTrue(managed)
	return node.Unclean || !node.Online && !node.Pending && !left
}

// notLive says that Pacemaker did not answer, and how long that was waited for. One that is
// there and slow has not refused.
func (f *survey) notLive() string {
	if errors.Is(f.stateErr, context.DeadlineExceeded) {
		return "Pacemaker has not answered on this node within " + durationText(f.waited)
	}
	return "Pacemaker does not answer on this node (" + first(f.stateErr) + ")"
}

// errOtherCluster is what is found where a name or an address leads somewhere else.
var errOtherCluster = errors.New("the server there is not of this cluster")

func (f *survey) ask(ctx context.Context, c pg.Conninfo) answer {
	report, err := f.instance.ReportAt(ctx, c)
	switch {
	case err != nil:
	case f.local.ok() && report.System != f.local.report.System:
		err = fmt.Errorf("%w: its system identifier is %s, this node's is %s", errOtherCluster, report.System, f.local.report.System)
	case f.local.ok() && report.Started.Equal(f.local.report.Started) && report.InRecovery == f.local.report.InRecovery:
		err = fmt.Errorf("%w: the name leads to this node itself", errOtherCluster)
	}
	return answer{report, err}
}

// environ is a variable of an environment in the form of os.Environ.
func environ(env []string, name string) string {
	for _, kv := range env {
		if v, found := strings.CutPrefix(kv, name+"="); found {
			return v
		}
	}
	return ""
}
