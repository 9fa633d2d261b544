package operator

import (
	"context"
	"slices"
	"sync"
	"time"

	"pgsqlms/internal/crm"
)

// progress follows a switchover by what Pacemaker says. It does no input and output.
type progress struct {
	resource, from, target string
	followers              []string
	before                 []crm.Failure // those that were there when it began

	passed  []string  // what was said already
	held    time.Time // when somebody was last seen with the role, before nobody was
	demoted bool      // nobody was seen with it
	again   time.Time // when somebody was first seen with it after that
}

// advance is what is new in a look, in the words of the terminal.
func (p *progress) advance(s crm.State, now time.Time) (lines []string) {
	say := func(is bool, line string) {
		if is && !slices.Contains(p.passed, line) {
			p.passed = append(p.passed, line)
			lines = append(lines, line)
		}
	}
	switch {
	case len(s.Primaries(p.resource)) == 0:
		p.demoted = true
	case !p.demoted:
		p.held = now
	case p.again.IsZero():
		p.again = now
	}
	from, _ := s.On(p.resource, p.from)
	target, _ := s.On(p.resource, p.target)
	away := from.Role != crm.RolePromoted
	say(from.Pending == "Demoting", p.from+" is being demoted")
	say(away, p.from+" is demoted")
	say(target.Pending == "Promoting", p.target+" is being promoted")
	if reason, refused := p.refused(s); refused {
		say(true, "the promotion of "+p.target+" failed: "+reason)
	}
	say(target.Role == crm.RolePromoted && !target.Failed, p.target+" is promoted")
	say(slices.Contains(p.passed, p.from+" is demoted") && !away, p.from+" is promoted again")
	for _, name := range p.followers {
		say(p.started(s, name), name+" is started on "+p.target)
	}
	return lines
}

func (p *progress) started(s crm.State, name string) bool {
	i, found := s.On(name, p.target)
	return found && i.Role != crm.RoleStopped && i.Pending == "" && !i.Failed
}

// refused says whether the promotion of the target has failed since, and why: so says the
// agent there.
func (p *progress) refused(s crm.State) (reason string, is bool) {
	for _, f := range s.Failures {
		if f.Resource() == p.resource && f.Node == p.target && f.Task == "promote" && !slices.Contains(p.before, f) {
			if f.Reason == "" {
				return f.Text, true
			}
			return f.Reason, true
		}
	}
	return "", false
}

// moved says that the target has the role, and nobody else.
func (p *progress) moved(s crm.State) bool {
	i, found := s.On(p.resource, p.target)
	return found && i.Role == crm.RolePromoted && !i.Failed && len(s.Promoted(p.resource)) == 1
}

// missing are those of what moves along that do not run on the target.
func (p *progress) missing(s crm.State) (names []string) {
	for _, name := range p.followers {
		if !p.started(s, name) {
			names = append(names, name)
		}
	}
	return names
}

// elsewhere is a node that is neither the old primary nor the target, and has the role;
// empty for none. It has it after a failure, and keeps it.
func (p *progress) elsewhere(s crm.State) string {
	for _, node := range s.Primaries(p.resource) {
		if node != p.from && node != p.target {
			return node
		}
	}
	return ""
}

// lost says why the target cannot have the role any more, or that the old primary has it
// again: to wait on would only keep the role pinned to a node that may come back later.
func (p *progress) lost(s crm.State) (reason string, is bool) {
	if node, _ := s.Node(p.target); !serves(node) {
		return p.target + nodeText(node), true
	}
	if i, found := s.On(p.resource, p.target); found && (i.Failed || i.Blocked) {
		return p.target + instanceText(i), true
	}
	if slices.Contains(p.passed, p.from+" is demoted") && slices.Equal(s.Primaries(p.resource), []string{p.from}) && !p.busy(s) {
		return p.from + " was promoted again", true
	}
	return "", false
}

// busy says that an action other than a monitor is under way on the resource.
func (p *progress) busy(s crm.State) bool {
	return slices.ContainsFunc(s.Instances, func(i crm.Instance) bool {
		return i.Resource == p.resource && i.UnderWay()
	})
}

// asker asks one instance whether it is a primary.
type asker func(ctx context.Context) (bool, error)

// askers are those of the old primary and of the target, where both can be asked over SQL.
func (m *mover) askers(ctx context.Context) (askers [2]asker) {
	if m.found.instance.Instance == nil { // its parameters are wrong
		return askers
	}
	bounded, cancel := context.WithTimeout(ctx, lookWait)
	defer cancel()
	conninfo, err := m.found.instance.Conninfo(bounded)
	for n, node := range []string{m.v.From, m.v.Target} {
		switch {
		case node == m.found.node:
			askers[n] = func(ctx context.Context) (bool, error) {
				r, err := m.found.instance.Report(ctx)
				return !r.InRecovery, err
			}
		case err == nil && m.found.others[node].ok():
			there := conninfo.At(node)
			askers[n] = func(ctx context.Context) (bool, error) {
				a := m.found.ask(ctx, there)
				return !a.report.InRecovery, a.err
			}
		}
	}
	return askers
}

// gap is how long neither of two instances said that it is a primary.
type gap struct {
	mu       sync.Mutex
	lastOld  time.Time // when the old primary was last asked and still was one
	firstNew time.Time // when a primary answered first after that: the target, or the old one again
	running  sync.WaitGroup
}

// startGap asks both again and again until ctx ends. Without one of them it asks neither.
func startGap(ctx context.Context, c *call, askers [2]asker) *gap {
	g := &gap{}
	if askers[0] == nil || askers[1] == nil {
		return g
	}
	for n, ask := range askers {
		g.running.Go(func() {
			defer func() { c.liftInPanic(switchoverName, recover()) }()
			for ctx.Err() == nil {
				g.once(ctx, ask, n == 0)
				select {
				case <-ctx.Done():
				case <-time.After(askEvery):
				}
			}
		})
	}
	return g
}

func (g *gap) once(ctx context.Context, ask asker, old bool) {
	asked := time.Now()
	bounded, cancel := context.WithTimeout(ctx, instanceWait)
	defer cancel()
	primary, err := ask(bounded)
	if err == nil && primary {
		g.note(old, asked, time.Now())
	}
}

// mostPause is more than what lies between two answers of a primary that was one all the
// time: the old one is one again when it answers after that.
const mostPause = instanceWait + askEvery

// note takes an answer. The old primary was one at some moment after it was asked, the new
// one at some moment before it answered, so the gap is never measured too short.
func (g *gap) note(old bool, asked, answered time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case !old, !g.lastOld.IsZero() && asked.Sub(g.lastOld) > mostPause:
		if g.firstNew.IsZero() {
			g.firstNew = answered
		}
	case g.firstNew.IsZero():
		g.lastOld = asked
	}
}

// wait is the gap's length when all have stopped asking; 0 where it was not seen whole.
func (g *gap) wait() time.Duration {
	g.running.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.lastOld.IsZero() || g.firstNew.IsZero() {
		return 0
	}
	return g.firstNew.Sub(g.lastOld)
}
