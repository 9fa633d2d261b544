package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"pgsqlms/test/lab"
	"pgsqlms/test/scenario"
	"pgsqlms/test/writer"
)

// Options say what is run on what.
type Options struct {
	Agent    string // as lab.Config takes it
	Name     string // of the lab
	Suite    string
	Monitor  time.Duration // interval of the promoted role's monitor; the other role's is a second longer
	Modes    []Mode
	Rounds   int // how often each scenario is played in each mode
	Seed     uint64
	Size     Size
	Evidence string // a directory, made when something has to be kept
	Say      func(string)
}

// Run is one scenario played once, as it is reported.
type Run struct {
	Agent    string         `json:"agent"`
	Fault    string         `json:"fault"`
	Title    string         `json:"title,omitempty"`
	Variant  string         `json:"variant,omitempty"`
	Mode     Mode           `json:"mode"`
	Round    int            `json:"round"`
	Seed     uint64         `json:"seed"`
	Begun    time.Time      `json:"begun"`
	Took     float64        `json:"took_seconds"`
	Before   string         `json:"primary_before"`
	After    string         `json:"primary_after"`
	Events   []Event        `json:"events"`
	Gap      float64        `json:"write_gap_seconds"`
	GapOpen  bool           `json:"write_gap_open"`
	Whole    float64        `json:"whole_seconds"`
	Counts   Counts         `json:"counts"`
	Findings []Finding      `json:"invariants"`
	Error    string         `json:"error,omitempty"` // what kept it from being played
	Evidence string         `json:"evidence,omitempty"`
	evidence Evidence       // what keep writes down
	story    []string       // what the client saw in the gap
	gap      writer.Gap     // of the writer at the virtual IP
	histo    writer.History // of all writers
}

// Counts are the figures behind I1.
type Counts struct {
	Acknowledged int `json:"acknowledged"`
	InDoubt      int `json:"in_doubt"`
	DoubtStored  int `json:"in_doubt_stored"`
	Lost         int `json:"lost"`
}

// Breaches are those of all invariants.
func (r Run) Breaches() []Breach {
	var all []Breach
	for _, f := range r.Findings {
		all = append(all, f.Breaches...)
	}
	return all
}

// Healthy says whether nothing was wrong.
func (r Run) Healthy() bool { return r.Error == "" && len(r.Breaches()) == 0 }

// Runner plays one scenario after the other.
type Runner struct {
	options Options
	stand   *stand
	kept    int // failures kept so far
}

// NewRunner makes a runner. Close takes its cluster away.
func NewRunner(o Options) *Runner {
	if o.Say == nil {
		o.Say = func(string) {}
	}
	config := lab.Config{
		Name: o.Name, Suite: o.Suite, Agent: o.Agent, Ops: operations(o.Agent, o.Monitor),
		// The default, 60 s, would end a fencing that takes a minute.
		Props: map[string]string{"stonith-timeout": "180s"},
	}
	return &Runner{options: o, stand: &stand{config: config, say: o.Say, make: lab.Up}}
}

// Close takes the cluster away.
func (r *Runner) Close(ctx context.Context) error { return r.stand.discard(ctx) }

// operations are the recommended ones with other intervals.
func operations(agent string, monitor time.Duration) []lab.Op {
	ops := lab.RecommendedOps(agent)
	for i := range ops {
		switch ops[i].Role {
		case "Promoted":
			ops[i].Interval = monitor
		case "Unpromoted":
			ops[i].Interval = monitor + time.Second
		}
	}
	return ops
}

// Play plays a scenario once. After a failure the evidence is kept and the cluster thrown away, so that the next one
// begins with a new one. It returns an error only when ctx has ended or nothing can be played at all.
func (r *Runner) Play(ctx context.Context, f Fault, mode Mode, round int, seed uint64) (Run, error) {
	run := Run{Agent: agentName(r.options.Agent), Fault: f.ID, Title: f.Title, Variant: f.variant(round, seed), Mode: mode, Round: round + 1,
		Seed: seed, Begun: time.Now()}
	say := func(text string) { r.options.Say(fmt.Sprintf("%s %s: %s", f.ID, mode, text)) }
	l, err := r.healthy(ctx, mode, say)
	if err != nil {
		return run, errors.Join(ctx.Err(), err)
	}
	p := &Play{
		Lab: l, Mode: mode, Variant: run.Variant, Size: r.options.Size, Steady: 2 * time.Second, Load: light,
		Rand: rand.New(rand.NewPCG(seed, uint64(round))), stand: r.stand, say: say, began: time.Now(),
		started: map[string]int{},
	}
	bounded, cancel := context.WithTimeout(ctx, f.bound())
	defer cancel()
	r.course(bounded, f, p, &run)
	run.Took = time.Since(run.Begun).Seconds()
	run.Events = p.events
	return run, r.afterwards(ctx, f, p, &run)
}

// healthy gives the cluster that is there, or a new one: what an earlier scenario left behind is no finding of the next one.
func (r *Runner) healthy(ctx context.Context, mode Mode, say func(string)) (l *lab.Lab, err error) {
	for range upAttempts {
		if l, err = r.stand.ready(ctx, mode); err == nil || ctx.Err() != nil || r.stand.lab == nil {
			return l, err
		}
		say("the cluster is not healthy, it is thrown away: " + err.Error())
		if left := r.stand.discard(ctx); left != nil {
			return nil, errors.Join(err, left)
		}
	}
	return nil, err
}

// course is everything that counts: from the last look at a healthy cluster to the verdict.
func (r *Runner) course(ctx context.Context, f Fault, p *Play, run *Run) {
	if err := r.begin(ctx, f, p); err != nil {
		run.Error = err.Error()
		return
	}
	run.Before = p.Primary
	clients, err := startClients(p.Lab, p.Load)
	if err != nil {
		run.Error = err.Error()
		return
	}
	p.clients = clients
	took, err := r.underWriters(ctx, f, p)
	vip, all := clients.stop()
	if p.fault.IsZero() {
		p.fault = p.began
	}
	evidence := p.gather(context.WithoutCancel(ctx), vip, all)
	evidence.Whole = took
	var late *notWhole
	if errors.As(err, &late) {
		evidence.WholeErr = late.Error()
	} else if b, ok := asBreach(err); ok {
		evidence.Found = append(evidence.Found, b)
		evidence.Ended = true
	} else if err != nil {
		run.Error, evidence.Unread = err.Error(), nil // nobody waited for the nodes to stream
	}
	run.conclude(evidence, p.Allow)
}

// begin makes everything ready for the fault: the scenario's own preparations, the table, the marks in the logs.
func (r *Runner) begin(ctx context.Context, f Fault, p *Play) error {
	if err := p.look(ctx); err != nil {
		return err
	}
	if f.Prepare != nil {
		p.note("preparing")
		if err := f.Prepare(ctx, p); err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
		if err := r.stand.whole(ctx); err != nil {
			return fmt.Errorf("after preparing: %w", err)
		}
		if err := p.look(ctx); err != nil {
			return fmt.Errorf("after preparing: %w", err)
		}
	}
	sql := "drop table if exists " + table + "; create table " + table + " (id bigint primary key, writer text not null)"
	if _, err := p.Lab.SQL(ctx, p.Primary, sql); err != nil {
		return err
	}
	p.began = time.Now()
	p.markLogs(p.nodes()...)
	return nil
}

// underWriters is the part while the clients write.
func (r *Runner) underWriters(ctx context.Context, f Fault, p *Play) (whole time.Duration, err error) {
	if err := p.awaitWrites(ctx, time.Now(), 15*time.Second); err != nil {
		return 0, errors.New("before the fault: " + err.Error()) // no breach: nothing was injected yet
	}
	if err := scenario.Pause(ctx, p.Steady); err != nil {
		return 0, err
	}
	err = f.Play(ctx, p)
	p.injected = time.Now()
	if err == nil {
		err = p.served(ctx)
	}
	if err != nil {
		return 0, err
	}
	whole, err = p.whole(ctx)
	if err != nil && ctx.Err() == nil {
		if _, is := asBreach(err); !is {
			return whole, &notWhole{err}
		}
	}
	return whole, err
}

// notWhole says what was missing when the wait for all nodes was over.
type notWhole struct{ error }

// conclude holds the evidence against the invariants.
func (r *Run) conclude(e Evidence, a Allowance) {
	r.evidence, r.histo, r.After = e, e.All, e.After
	r.gap = writer.WriteGap(e.VIP, e.VIP.At(e.Fault))
	r.Gap, r.GapOpen, r.Whole = r.gap.Length().Seconds(), r.gap.Open, e.Whole.Seconds()
	r.story = writer.Story(e.VIP, r.gap)
	r.Findings = Check(e, a)
	v := writer.Judge(e.All, e.Stored)
	r.Counts = Counts{Acknowledged: v.Acknowledged, InDoubt: v.InDoubt, DoubtStored: v.DoubtStored}
	if e.Stored != nil {
		r.Counts.Lost = len(v.Lost)
	}
}

// afterwards leaves a healthy cluster, or none.
func (r *Runner) afterwards(ctx context.Context, f Fault, p *Play, run *Run) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !run.Healthy() {
		r.keep(ctx, p, run)
		return r.stand.discard(ctx)
	}
	if f.Spoils {
		return r.stand.discard(ctx)
	}
	err := error(nil)
	if f.Restore != nil {
		bounded, cancel := context.WithTimeout(ctx, 3*time.Minute)
		err = f.Restore(bounded, p)
		cancel()
	}
	if err == nil {
		err = r.stand.tidy(ctx)
	}
	if err != nil && ctx.Err() == nil {
		r.options.Say("the cluster could not be tidied up, and is thrown away: " + err.Error())
		return r.stand.discard(ctx)
	}
	return ctx.Err()
}

// agentName is how an agent is called in reports.
func agentName(path string) string { return filepath.Base(path) }

// All plays scenarios in every mode, as often as the options say, and tells of each when it is over.
func (r *Runner) All(ctx context.Context, faults []Fault, done func(Run)) error {
	for _, mode := range r.options.Modes {
		for _, f := range faults {
			f, ok := f.in(mode)
			if !ok {
				continue
			}
			for round := range f.plays(r.options.Rounds) {
				run, err := r.Play(ctx, f, mode, round, r.options.Seed)
				if err != nil {
					return err
				}
				done(run)
			}
		}
	}
	return nil
}

// Plays is how many plays of scenarios All makes.
func Plays(faults []Fault, modes []Mode, rounds int) int {
	n := 0
	for _, mode := range modes {
		for _, f := range faults {
			if f, ok := f.in(mode); ok {
				n += f.plays(rounds)
			}
		}
	}
	return n
}

// Randomly plays what chance draws, one seed after the other, so that any run can be played again alone: so many runs, or
// until an instant, whatever comes first; 0 and the zero time set no bound.
func (r *Runner) Randomly(ctx context.Context, runs int, until time.Time, done func(Run)) error {
	for i := 0; runs == 0 || i < runs; i++ {
		if !until.IsZero() && time.Now().After(until) {
			return nil
		}
		plan := Draw(r.options.Seed + uint64(i))
		r.options.Say(fmt.Sprintf("run %d, seed %d: %s", i+1, plan.Seed, plan))
		run, err := r.Play(ctx, Random(plan), plan.Mode, 0, plan.Seed)
		if err != nil {
			return err
		}
		run.Round = i + 1
		done(run)
	}
	return nil
}
