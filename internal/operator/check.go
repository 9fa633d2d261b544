package operator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"pgsqlms/internal/command"
	"pgsqlms/internal/crm"
	"pgsqlms/internal/pattern"
	"pgsqlms/internal/pg"
)

func checkCommand() verb {
	return verb{
		name:    "check",
		purpose: "every requirement and known trap: before going live, and any day after",
		example: "pgsqlms check                      # on each node: some things only the node itself can tell\n" +
			"pgsqlms check --output json | jq '.findings[] | select(.level != \"ok\")'\n",
		run: check,
	}
}

// checkWait bounds what is asked after the survey; a well cluster takes a tenth of it.
const checkWait = 3 * time.Second

// checkFacts are a survey, and what only a check asks. Maps are by node.
type checkFacts struct {
	survey
	version     string            // of this program
	versions    map[string]string // of it on the other nodes, for those that have told
	appName     string            // application_name in this node's primary_conninfo
	hosts       string            // host in there, as it is
	sessions    string            // target_session_attrs in there
	conninfoErr error
	selfTried   bool  // a connection for replication from this node to itself
	selfErr     error // how that ended
	checkups    map[string]checkup
	replication map[string]replicationTest
	space       []pg.Space
	spaceErr    error
	oldData     []string          // what rejoins have kept
	units       map[string]string // of PostgreSQL's own service, what systemctl is-enabled says
	unitsErr    error
	quorum      crm.Quorum // of two nodes
	quorumErr   error
	fencers     map[string]fencers // of the other nodes, by their names
}

// fencers are the devices with which this node could fence another one.
type fencers struct {
	devices []string
	err     error
}

type checkup struct {
	pg.Checkup
	err error
}

type replicationTest struct {
	system string
	err    error
}

// checkView is what `pgsqlms check` shows, and its JSON.
type checkView struct {
	Taken    time.Time `json:"time"`
	AskedOn  string    `json:"asked_on"`
	Resource string    `json:"resource"`
	Errors   int       `json:"errors"`
	Warnings int       `json:"warnings"`
	Unknown  int       `json:"unknown"`
	Findings findings  `json:"findings"`
}

func check(ctx context.Context, c *call) (ExitCode, error) {
	s := newSurveyor(c)
	s.patient = true
	found, err := s.survey(ctx, c.now())
	if ctx.Err() != nil {
		return ExitUnknown, errInterrupted
	}
	if err != nil {
		return ExitUnknown, err
	}
	f := gather(ctx, s.crm, found, c.Version)
	if ctx.Err() != nil {
		return ExitUnknown, errInterrupted
	}
	v := viewCheck(f)
	err = c.print(v, v.text)
	switch {
	case err != nil:
		return ExitUnknown, err
	case v.Errors > 0:
		return ExitWrong, nil
	}
	return ExitWell, nil
}

// viewCheck judges; it does no input and output.
func viewCheck(f checkFacts) checkView {
	all := judge(f)
	return checkView{
		Taken: f.taken, AskedOn: f.node, Resource: f.resource.Name, Findings: all,
		Errors: all.count(levelError), Warnings: all.count(levelWarning), Unknown: all.count(levelUnknown),
	}
}

func (v checkView) text(s style) string {
	var b strings.Builder
	verdict := s.paint("no error", green)
	if v.Errors > 0 {
		verdict = s.paint(plural(v.Errors, "error"), red)
	}
	fmt.Fprintf(&b, "%s, checked on %s, %s: %s, %s, %d cannot be told from here\n\n", s.paint(clean(v.Resource), bold), clean(orUnknown(v.AskedOn, false)),
		timeText(v.Taken), verdict, plural(v.Warnings, "warning"), v.Unknown)
	s.findings(&b, v.Findings)
	return b.String()
}

// gather asks what a survey does not, everything at once.
func gather(ctx context.Context, cluster *crm.Cluster, s survey, version string) checkFacts {
	f := checkFacts{survey: s, version: version, checkups: map[string]checkup{}, replication: map[string]replicationTest{}, fencers: map[string]fencers{}}
	ctx, cancel := context.WithTimeout(ctx, checkWait)
	defer cancel()
	var asked sync.WaitGroup
	if s.stateErr == nil {
		asked.Go(func() { f.versions, _ = cluster.PrivateOfAll(ctx, crm.VersionAttribute(s.resource.Name)) })
	}
	var mu sync.Mutex
	for _, node := range f.toFence() {
		asked.Go(func() {
			devices, err := cluster.Fencers(ctx, node)
			mu.Lock()
			defer mu.Unlock()
			f.fencers[node] = fencers{devices, err}
		})
	}
	if s.stateErr == nil && s.state.Members() == 2 {
		asked.Go(func() { f.quorum, f.quorumErr = cluster.Quorum(ctx) })
	}
	if s.instance.Instance == nil { // its parameters are wrong
		f.conninfoErr, f.spaceErr, f.unitsErr = s.local.err, s.local.err, errNotAsked
		asked.Wait()
		return f
	}
	if s.local.ok() {
		asked.Go(func() {
			c, err := s.instance.Checkup(ctx)
			mu.Lock()
			defer mu.Unlock()
			f.checkups[s.node] = checkup{c, err}
		})
	}
	asked.Go(func() { f.space, f.spaceErr = s.instance.Space(ctx) })
	asked.Go(func() { f.oldData, _ = s.instance.OldData(ctx) }) // where this cannot be told, nor can the space
	asked.Go(func() { f.units, f.unitsErr = enabledUnits(ctx, s.instance) })
	conninfo, err := s.instance.Conninfo(ctx)
	if err == nil && conninfo.Empty() {
		err = errNoConninfo
	}
	f.conninfoErr = err
	if err == nil {
		f.appName, f.hosts, f.sessions = conninfo.ApplicationName(), conninfo.Host(), conninfo.TargetSessionAttrs()
		if s.local.ok() && s.node != "" {
			f.selfTried = true
			asked.Go(func() { _, f.selfErr = s.instance.TryReplication(ctx, conninfo.At(s.node)) })
		}
		for _, node := range f.askable() {
			there := conninfo.At(node)
			asked.Go(func() {
				c, err := s.instance.CheckupAt(ctx, there)
				mu.Lock()
				defer mu.Unlock()
				f.checkups[node] = checkup{c, err}
			})
			asked.Go(func() {
				system, err := s.instance.TryReplication(ctx, there)
				mu.Lock()
				defer mu.Unlock()
				f.replication[node] = replicationTest{system, err}
			})
		}
	}
	asked.Wait()
	return f
}

// toFence are the other nodes, of which a fence device has to be known here: not where nothing
// is fenced, or where the nodes do it themselves by their watchdogs.
func (s *survey) toFence() (nodes []string) {
	if s.stateErr != nil || !s.cib.Fencing() || s.cib.WatchdogFencing() {
		return nil
	}
	for _, node := range s.nodeNames() {
		if node != s.node {
			nodes = append(nodes, node)
		}
	}
	return nodes
}

// errNoSystemd says that nobody can tell which services start by themselves.
var errNoSystemd = errors.New("systemd does not run here")

// enabledUnits asks systemd about the services under which Debian's and PostgreSQL's own
// packages start an instance at boot.
func enabledUnits(ctx context.Context, i instance) (map[string]string, error) {
	if _, err := os.Stat("/run/systemd/system"); err != nil { // sd_booted(3)
		return nil, errNoSystemd
	}
	major, err := i.Version(ctx)
	if err != nil {
		major = 0
	}
	found := map[string]string{}
	for _, unit := range unitsOf(major, i.dataDir, i.startOpts) {
		// It says enabled, disabled, masked, ... and ends with 1 for most of them.
		result, err := command.Run(ctx, command.Cmd{Path: "/usr/bin/systemctl", Args: []string{"is-enabled", unit}})
		if err != nil {
			return nil, err
		}
		if word := command.FirstLine(result.Stdout); word != "" {
			found[unit] = word
		}
	}
	return found, nil
}

// allUnit is the service with which Debian's packages start every instance whose start.conf
// says auto, and PostgreSQL's own packages one of no version.
const allUnit = "postgresql.service"

// debianName is the name of an instance in the two places where Debian's packages have it:
// /etc/postgresql/MAJOR/NAME and /var/lib/postgresql/MAJOR/NAME.
var debianName = pattern.New(`/postgresql/(\d+)/([\w.-]+)(?:/|$)`)

// unitsOf are the services that could start an instance: that of Debian's packages under the
// name which its configuration's or its data's place has, else under the name that the
// packages give, main. A major version of 0 is one that is not known.
func unitsOf(major int, dataDir, startOpts string) []string {
	units := []string{allUnit}
	if major == 0 {
		return units
	}
	name := "main"
	for _, place := range []string{startOpts, dataDir} {
		if m := debianName.FindStringSubmatch(place); m != nil && m[1] == strconv.Itoa(major) {
			name = m[2]
			break
		}
	}
	return append(units, fmt.Sprintf("postgresql-%d.service", major), fmt.Sprintf("postgresql@%d-%s.service", major, name))
}

// starts are those of the units that systemd starts at boot. Debian's generator makes an
// instance with "auto" in its start.conf enabled-runtime, whatever is enabled or disabled:
// the unit is wanted by postgresql.service alone, and counts with that.
func starts(units map[string]string) (found []string) {
	for _, unit := range slices.Sorted(maps.Keys(units)) {
		generated := strings.HasPrefix(unit, "postgresql@") && units[unit] == "enabled-runtime"
		if strings.HasPrefix(units[unit], "enabled") && !generated {
			found = append(found, unit)
		}
	}
	return found
}
