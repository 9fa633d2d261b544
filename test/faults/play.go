package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgsqlms/test/lab"
	"pgsqlms/test/scenario"
	"pgsqlms/test/writer"
)

// Play is a scenario under way.
type Play struct {
	Lab      *lab.Lab
	Mode     Mode
	Variant  string
	Rand     *rand.Rand // the only source of what a scenario leaves to chance
	Size     Size
	Primary  string   // before the fault
	Standbys []string // those of before, the best promotion score first
	Allow    Allowance
	Load     Load // set by Prepare, if a scenario wants more than the light one
	Steady   time.Duration

	stand    *stand
	say      func(string)
	clients  *clients
	began    time.Time
	fault    time.Time // when the first injection began
	injected time.Time // when Play was done
	marks    map[string]int64
	skew     map[string]time.Duration // how far a node's clock is ahead
	events   []Event
	found    []Breach
	diverged []Divergence
	rebuilt  time.Duration  // spent on rebuilding nodes
	frozen   bool           // a node was frozen
	armed    string         // what the failpoint's file says
	started  map[string]int // how often Pacemaker of a node was started after it had ended for good
}

// Size is how much a scenario does that can do more or less of it.
type Size struct {
	Switchovers int // of F18
	ReplayMB    int // WAL that F14 leaves to be replayed
}

// Event is something that was done to the cluster, or seen.
type Event struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// note writes down what happens.
func (p *Play) note(format string, args ...any) {
	e := Event{At: time.Now(), Text: fmt.Sprintf(format, args...)}
	p.events = append(p.events, e)
	p.say(e.Text)
}

// inject does something to the cluster. The first time is the fault's.
func (p *Play) inject(what string, do func() error) error {
	if p.fault.IsZero() {
		p.fault = time.Now()
	}
	p.note("%s", what)
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// breached notes an invariant that did not hold, where the scenario can go on.
func (p *Play) breached(i Invariant, format string, args ...any) {
	b := breach(i, format, args...)
	p.found = append(p.found, b)
	p.note("BREACH %s", b)
}

// nodes are the names of all.
func (p *Play) nodes() []string {
	var names []string
	for _, n := range p.Lab.Nodes() {
		names = append(names, n.Name)
	}
	return names
}

// monitor is the promoted role's monitor interval.
func (p *Play) monitor() time.Duration { return p.stand.monitor() }

// look finds out the roles before the fault. A standby that has just connected stops streaming for a moment when it goes
// over to the next timeline, so a look at a cluster that was ready may have to be repeated.
func (p *Play) look(ctx context.Context) error {
	var status *lab.Status
	err := await(ctx, 15*time.Second, 200*time.Millisecond, func(ctx context.Context) string {
		var err error
		if status, err = p.Lab.Status(ctx); err != nil {
			return err.Error()
		}
		return strings.Join(status.Missing(), "; ")
	})
	if err != nil {
		return fmt.Errorf("the cluster is not ready: %w", err)
	}
	scores := map[string]int{}
	p.Standbys = nil
	for _, name := range p.nodes() {
		node := status.Nodes[name]
		scores[name], _ = strconv.Atoi(node.Score)
		if node.SQL == "primary" {
			p.Primary = name
			continue
		}
		p.Standbys = append(p.Standbys, name)
	}
	slices.SortStableFunc(p.Standbys, func(a, b string) int { return scores[b] - scores[a] })
	return nil
}

// markLogs remembers how long the logs of nodes are, so that logged gives what was written since.
func (p *Play) markLogs(nodes ...string) {
	if p.marks == nil {
		p.marks = map[string]int64{}
	}
	for _, node := range nodes {
		for _, path := range []string{logPostgres, logPacemaker} {
			file := p.Lab.LogFile(node, path)
			if info, err := os.Stat(file); err == nil {
				p.marks[file] = info.Size()
			}
		}
	}
}

// logged is what a node has written to a log since the beginning. It needs no power.
func (p *Play) logged(node, path string) string {
	file := p.Lab.LogFile(node, path)
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	return string(text[min(p.marks[file], int64(len(text))):])
}

func (p *Play) logOf(node string) NodeLog {
	var n NodeLog
	n.parsePostgres(p.logged(node, logPostgres))
	n.parsePacemaker(p.logged(node, logPacemaker), p.began)
	n.shift(-p.skew[node])
	return n
}

func (p *Play) logs() map[string]NodeLog {
	logs := map[string]NodeLog{}
	for _, node := range p.nodes() {
		logs[node] = p.logOf(node)
	}
	return logs
}

// promotions are those since the beginning, by the databases' logs alone, which cost little to read.
func (p *Play) promotions() []promotion {
	logs := map[string]NodeLog{}
	for _, node := range p.nodes() {
		var n NodeLog
		n.parsePostgres(p.logged(node, logPostgres))
		n.shift(-p.skew[node])
		logs[node] = n
	}
	return allPromotions(logs)
}

// awaitPromotion waits until a node has begun a timeline after an instant.
func (p *Play) awaitPromotion(ctx context.Context, after time.Time, bound time.Duration) (string, error) {
	node := ""
	err := await(ctx, bound, 100*time.Millisecond, func(context.Context) string {
		for _, found := range p.promotions() {
			if found.At.After(after) {
				node = found.node
				return ""
			}
		}
		return "no node was promoted"
	})
	if err != nil && ctx.Err() == nil {
		return "", breach(I6, "%v", err)
	}
	return node, err
}

// awaitWrites waits until a row that was sent after an instant is acknowledged through the virtual IP.
func (p *Play) awaitWrites(ctx context.Context, after time.Time, bound time.Duration) error {
	bounded, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	a, err := p.clients.vip.AwaitAck(bounded, after)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return breach(I6, "after %s %v", bound, err)
	}
	p.note("writes are acknowledged, by %s", a.Node)
	return nil
}

// nobodyPromoted watches for a length of time that no node begins a timeline.
func (p *Play) nobodyPromoted(ctx context.Context, length time.Duration, but ...string) error {
	before := len(p.promotions())
	end := time.Now().Add(length)
	for time.Now().Before(end) {
		found := p.promotions()
		for _, one := range found[min(before, len(found)):] {
			if !slices.Contains(but, one.node) {
				return breach(I1, "%s was promoted at %s, when it could not know whether it holds all that was acknowledged", one.node, clock(one.At))
			}
		}
		if err := scenario.Pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
	p.note("nobody was promoted for %s", length)
	return nil
}

// served waits, after everything that Play did, for writes that are acknowledged.
func (p *Play) served(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, max(p.Allow.Serve, 10*time.Second)+30*time.Second)
	defer cancel()
	if _, err := p.clients.vip.AwaitAck(bounded, p.injected); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return breach(I6, "%v", err)
	}
	return nil
}

// gather collects the evidence. What cannot be had is missing in it, and the checks say so.
func (p *Play) gather(ctx context.Context, vip, all writer.History) Evidence {
	e := Evidence{Mode: p.Mode, Fault: p.fault, Before: p.Primary, VIP: vip, All: all, Diverged: p.diverged, Started: len(p.started), Frozen: p.frozen}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	e.After, _ = p.Lab.Primary(ctx) // without one there is nothing to read either, and that is a breach
	if e.After != "" {
		if stored, err := writer.Stored(ctx, p.clients.config, p.clients.firstID); err == nil {
			e.Stored = stored
		}
		e.Copies, e.Unread = p.copies(ctx, e.After)
	} else {
		e.Unread = []string{"there is no primary"}
	}
	e.Fencings = p.fencings()
	e.Logs = p.logs()
	e.Found = p.found // what comparing has found is among it
	return e
}

// fencings are those since the beginning.
func (p *Play) fencings() []lab.Fencing {
	all, err := p.Lab.Fencings()
	if err != nil {
		p.say(err.Error())
	}
	return slices.DeleteFunc(all, func(f lab.Fencing) bool { return f.Answered.Before(p.began) })
}

// copySQL compares the writers' table by all of its ids.
const copySQL = "select count(*), coalesce(md5(string_agg(id::text, ',' order by id)), '') from " + table

// copies reads what the primary holds, and every standby that streams once it has replayed all of it; and says of which
// node it could not.
func (p *Play) copies(ctx context.Context, primary string) (copies []Copy, unread []string) {
	end, err := p.Lab.SQL(ctx, primary, "select pg_current_wal_lsn()")
	if err != nil {
		return nil, []string{fmt.Sprintf("%s: %v", primary, err)}
	}
	first, err := p.copyOf(ctx, primary)
	if err != nil {
		return nil, []string{fmt.Sprintf("%s: %v", primary, err)}
	}
	copies = []Copy{first}
	for _, node := range p.nodes() {
		if node == primary {
			continue
		}
		one, err := p.standbysCopy(ctx, node, end)
		if err != nil {
			unread = append(unread, fmt.Sprintf("%s: %v", node, err))
			continue
		}
		copies = append(copies, one)
	}
	return copies, unread
}

// standbysCopy waits a little for a standby that connects anew at this moment.
func (p *Play) standbysCopy(ctx context.Context, node, end string) (Copy, error) {
	err := await(ctx, 3*time.Second, 200*time.Millisecond, func(ctx context.Context) string {
		status, err := p.Lab.SQL(ctx, node, "select status from pg_stat_wal_receiver")
		if err != nil || status != "streaming" {
			return fmt.Sprintf("its WAL receiver's status is %q (%v)", status, err)
		}
		return ""
	})
	if err != nil {
		return Copy{}, err
	}
	if err := p.awaitReplay(ctx, node, end); err != nil {
		p.breached(I4, "%s streams and does not replay: %v", node, err)
		return Copy{}, err
	}
	return p.copyOf(ctx, node)
}

func (p *Play) awaitReplay(ctx context.Context, node, lsn string) error {
	return await(ctx, 15*time.Second, 100*time.Millisecond, func(ctx context.Context) string {
		out, err := p.Lab.SQL(ctx, node, fmt.Sprintf("select pg_last_wal_replay_lsn() >= '%s', pg_last_wal_replay_lsn()", lsn))
		if err != nil {
			return err.Error()
		}
		if done, at, _ := strings.Cut(out, "|"); done != "t" {
			return "it has replayed " + at + " of " + lsn
		}
		return ""
	})
}

func (p *Play) copyOf(ctx context.Context, node string) (Copy, error) {
	c := Copy{Node: node}
	out, err := p.Lab.SQL(ctx, node, copySQL)
	if err != nil {
		return c, err
	}
	if _, err := fmt.Sscanf(out, "%d|%s", &c.Rows, &c.Sum); err != nil && c.Rows > 0 {
		return c, fmt.Errorf("reading %q: %w", out, err)
	}
	c.History, err = p.Lab.SQL(ctx, node, historySQL)
	return c, err
}

// historySQL reads the newest timeline's history that a node has. A standby has the files of all that it followed.
const historySQL = `select coalesce((select f || ': ' || regexp_replace(pg_read_file('pg_wal/' || f), '\s+', ' ', 'g')
  from pg_ls_dir('pg_wal') f where f ~ '^[0-9A-F]{8}\.history$' order by f desc limit 1), 'timeline 1')`

// asBreach takes an error of the cluster's making as the breach it is.
func asBreach(err error) (Breach, bool) {
	var b Breach
	return b, errors.As(err, &b)
}
