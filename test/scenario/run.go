package scenario

import (
	"context"
	"fmt"
	"net"
	"time"

	"pgsqlms/test/lab"
	"pgsqlms/test/writer"
)

// NodeSQL names the node that answers an insert. Through the VIP its address does not tell, but the lab gives every node
// a setting that does.
const NodeSQL = `current_setting('lab.node')`

const port = "5432"

// Runner plays scenarios on a lab. The zero value of every field but Lab means its default.
type Runner struct {
	Lab      *lab.Lab
	Progress func(string)  // told what is happening
	Steady   time.Duration // writing before the fault: 2 s
	// SteadyFrom, if set, tells Steady when the writing has begun: whoever wants the fault at a certain moment of the cluster's
	// cannot know before how long the cluster takes to be ready.
	SteadyFrom func(ctx context.Context) time.Duration
	Ready      time.Duration // bound for the cluster to be ready beforehand: 60 s
	Prepare    time.Duration // bound for Scenario.Prepare: 5 minutes
	Turn       time.Duration // bound for the cluster to deal with the fault: 120 s
	Settle     time.Duration // bound for all nodes to stream after that: 180 s
	// Pinned adds a writer to every node's own address, with a session opened beforehand, to look for two primaries.
	// They cost some load: not for measuring.
	Pinned bool
	// Repair, where it is set, makes a standby again of a node that died with WAL that nobody had received, as an
	// administrator would: it cannot follow any more, and no agent may throw its data away unasked.
	Repair func(ctx context.Context, node string) error
}

// Run plays one scenario with the defaults.
func Run(ctx context.Context, l *lab.Lab, s Scenario) (Result, error) {
	return Runner{Lab: l}.Run(ctx, s)
}

func (r Runner) withDefaults() Runner {
	span := func(field *time.Duration, value time.Duration) {
		if *field == 0 {
			*field = value
		}
	}
	span(&r.Steady, 2*time.Second)
	span(&r.Ready, time.Minute)
	span(&r.Prepare, 5*time.Minute)
	span(&r.Turn, 2*time.Minute)
	span(&r.Settle, 3*time.Minute)
	if r.Progress == nil {
		r.Progress = func(string) {}
	}
	return r
}

// Run plays one scenario. The result holds what was seen up to an error, too.
func (r Runner) Run(ctx context.Context, s Scenario) (Result, error) {
	r = r.withDefaults()
	result := Result{Scenario: s.Name}
	play := &Play{Lab: r.Lab}
	var err error
	if play.Primary, err = r.ready(ctx); err != nil {
		return result, fmt.Errorf("%s: before: %w", s.Name, err)
	}
	result.Before = play.Primary
	defer play.stop()
	if err := r.prepare(ctx, s, play); err != nil {
		return result, fmt.Errorf("%s: prepare: %w", s.Name, err)
	}
	status, err := r.Lab.Status(ctx)
	if err != nil {
		return result, fmt.Errorf("%s: before: %w", s.Name, err)
	}
	result.Coordinator = status.DC
	clients, err := startClients(r.Lab.Dialer(lab.Client), r.pinned())
	if err != nil {
		return result, fmt.Errorf("%s: %w", s.Name, err)
	}
	play.Writer = clients.vip
	courseErr := r.course(ctx, s, play, &result)
	play.stop()
	result.Dirty, result.Backlog = play.Dirty, play.Backlog
	result.History, result.PinnedHistory = clients.stop()
	result.measure(ctx, r.Lab)
	if err := r.judge(ctx, play, clients, &result); courseErr == nil && err != nil {
		courseErr = fmt.Errorf("afterwards: %w", err)
	}
	if courseErr != nil {
		return result, fmt.Errorf("%s: %w", s.Name, courseErr)
	}
	return result, nil
}

func (r Runner) prepare(ctx context.Context, s Scenario, play *Play) error {
	if s.Prepare == nil {
		return nil
	}
	r.Progress("preparing: " + s.Name)
	bounded, cancel := context.WithTimeout(ctx, r.Prepare)
	defer cancel()
	if err := s.Prepare(bounded, play); err != nil {
		return err
	}
	primary, err := r.ready(ctx) // gigabytes of writes may have had the cluster act
	if err == nil {
		err = unmoved(play.Primary, primary)
	}
	return err
}

// unmoved says that the primary is another one than the play is about.
func unmoved(before, now string) error {
	if before != now {
		return fmt.Errorf("the primary was %s and is %s now: what was prepared is not what would be measured", before, now)
	}
	return nil
}

func (r Runner) pinned() []lab.Node {
	if r.Pinned {
		return r.Lab.Nodes()
	}
	return nil
}

// course is the part under the writer: steady, fault, turn, settled.
func (r Runner) course(ctx context.Context, s Scenario, play *Play, result *Result) error {
	r.Progress("writing to " + r.Lab.VIP() + ", primary " + play.Primary)
	if err := r.steady(ctx, play); err != nil {
		return fmt.Errorf("steady phase: %w", err)
	}
	if s.Brink != nil {
		if err := s.Brink(ctx, play); err != nil {
			return fmt.Errorf("right before the fault: %w", err)
		}
	}
	r.Progress("fault: " + s.Name)
	play.fault = time.Now()
	if err := s.Inject(ctx, play); err != nil {
		return fmt.Errorf("inject: %w", err)
	}
	injected := time.Now()
	defer func() { result.Fault, result.Injected = play.fault, injected }()
	if err := r.turned(ctx, s, play, injected); err != nil {
		return err
	}
	if err := r.settled(ctx, s, play, result); err != nil {
		return err
	}
	result.Streaming = time.Since(play.fault)
	if s.TidyUp == nil {
		return nil
	}
	if err := s.TidyUp(ctx, play); err != nil {
		return fmt.Errorf("tidy up: %w", err)
	}
	return r.streaming(ctx)
}

// steady lets the writer write for a while. That is a length of time, not a condition that could be awaited.
func (r Runner) steady(ctx context.Context, play *Play) error {
	bounded, cancel := context.WithTimeout(ctx, r.Ready)
	defer cancel()
	if _, err := play.Writer.AwaitAck(bounded, time.Now()); err != nil {
		return err
	}
	return Pause(ctx, r.writing(ctx))
}

// writing is how long there is writing from now on before the fault.
func (r Runner) writing(ctx context.Context) time.Duration {
	if r.SteadyFrom != nil {
		return r.SteadyFrom(ctx)
	}
	return r.Steady
}

func (r Runner) turned(ctx context.Context, s Scenario, play *Play, injected time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, r.Turn)
	defer cancel()
	if s.Turned != nil {
		if err := s.Turned(ctx, play); err != nil {
			return fmt.Errorf("the cluster did not deal with it within %s: %w", r.Turn, err)
		}
	}
	a, err := play.Writer.AwaitAck(ctx, injected)
	if err != nil {
		return fmt.Errorf("the cluster did not deal with it within %s: %w", r.Turn, err)
	}
	r.Progress("writes are acknowledged, by " + a.Node)
	return nil
}

func (r Runner) settled(ctx context.Context, s Scenario, play *Play, result *Result) error {
	if s.Mend != nil {
		if err := s.Mend(ctx, play); err != nil {
			return fmt.Errorf("mend: %w", err)
		}
	}
	r.Progress("waiting until all nodes stream")
	return r.whole(ctx, play, result)
}

// streaming waits until every node has power, all stream and the DC is idle.
func (r Runner) streaming(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.Settle)
	defer cancel()
	return r.Lab.WaitWhole(ctx)
}

func (r Runner) ready(ctx context.Context) (string, error) {
	r.Progress("waiting until the cluster is ready")
	ctx, cancel := context.WithTimeout(ctx, r.Ready)
	defer cancel()
	if err := r.Lab.WaitWhole(ctx); err != nil {
		return "", err
	}
	return r.Lab.Primary(ctx)
}

// judge reads back what the table holds, and who was fenced.
func (r Runner) judge(ctx context.Context, play *Play, c *clients, result *Result) error {
	fencings, err := r.Lab.Fencings()
	if err != nil {
		return err
	}
	result.Fencings = since(fencings, play.fault)
	if len(result.Fencings) > 0 {
		result.Phases = phasesOf(ctx, r.Lab, play.Primary, play.fault)
	}
	ctx, cancel := context.WithTimeout(ctx, r.Ready)
	defer cancel()
	if result.After, err = r.Lab.Primary(ctx); err != nil {
		return err
	}
	stored, err := writer.Stored(ctx, c.config, c.firstID)
	if err != nil {
		return err
	}
	result.conclude(stored)
	return nil
}

// since keeps what the power switch did at an instant or after it.
func since(fencings []lab.Fencing, from time.Time) []lab.Fencing {
	var kept []lab.Fencing
	for _, f := range fencings {
		if !from.IsZero() && !f.Answered.Before(from) {
			kept = append(kept, f)
		}
	}
	return kept
}

// clients are the writers of one play, all with the same clock and ids.
type clients struct {
	config  writer.Config // of the one at the VIP
	firstID int64         // no id of this play is lower or equal
	vip     *writer.Writer
	pinned  []*writer.Writer
}

// stagger is how soon the client at the VIP notices that the address is back: a gap is no more exact than that.
const stagger = 20 * time.Millisecond

func startClients(dial writer.Dial, pinned []lab.Node) (*clients, error) {
	// Ids count up from the clock's microseconds: far more than there are rows, so plays never share one.
	epoch := time.Now()
	c := &clients{firstID: epoch.UnixMicro()}
	c.config = writer.Config{
		Name: "vip", Address: net.JoinHostPort("vip", port), Dial: dial, NodeSQL: NodeSQL,
		IDs: writer.IDsAfter(c.firstID), Epoch: epoch, Stagger: stagger,
	}
	var err error
	if c.vip, err = writer.Start(c.config); err != nil {
		return nil, err
	}
	for _, node := range pinned {
		config := c.config
		config.Name, config.Address = node.Name, net.JoinHostPort(node.Addr, port)
		config.Pinned, config.Retry, config.Stagger = true, 50*time.Millisecond, 0
		w, err := writer.Start(config)
		if err != nil {
			c.stop()
			return nil, err
		}
		c.pinned = append(c.pinned, w)
	}
	return c, nil
}

func (c *clients) stop() (vip, pinned writer.History) {
	var histories []writer.History
	for _, w := range c.pinned {
		histories = append(histories, w.Stop())
	}
	return c.vip.Stop(), writer.Merge(histories...)
}

// awaitAckFrom waits until a node acknowledges a write that was sent after the fault began.
func (p *Play) awaitAckFrom(ctx context.Context, node string) error {
	return await(ctx, 5*time.Millisecond, func() string {
		if a, ok := p.Writer.Newest(); ok && a.Node == node {
			return ""
		}
		return "no write was acknowledged by " + node
	})
}
