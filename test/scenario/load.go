package scenario

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pgsqlms/test/lab"
)

// WithLoad gives a scenario a primary that is busy: so many MB of its buffers are dirty, and pgbench writes through the
// clients' address, from a node that is neither the primary nor to become it. pgbench ends when it loses its connections.
func WithLoad(s Scenario, mb int) Scenario {
	s.Name += fmt.Sprintf(", pgbench and %d MB dirty", mb)
	s.Prepare = func(ctx context.Context, p *Play) error {
		if err := p.dirty(ctx, mb); err != nil {
			return err
		}
		if err := p.choose(ctx, ""); err != nil {
			return err
		}
		return p.startPgbench(ctx)
	}
	return s
}

// WithClean gives a scenario what WithDirty does, all of it written to disk: what dirty buffers cost is the difference.
func WithClean(s Scenario, mb int) Scenario {
	s.Name += fmt.Sprintf(", %d MB in clean buffers on all nodes", mb)
	s.Prepare = func(ctx context.Context, p *Play) error { return p.clean(ctx, mb) }
	return s
}

// WithDirty gives a scenario so many MB of dirty buffers, on the primary and on all standbys.
func WithDirty(s Scenario, mb int) Scenario {
	s.Name += fmt.Sprintf(", %d MB dirty on all nodes", mb)
	s.Prepare = func(ctx context.Context, p *Play) error { return p.dirty(ctx, mb) }
	return s
}

// WithBacklog gives a scenario standbys that have received so many MB which they have not replayed. They begin to replay
// right before the fault: a standby whose replay is paused does not look for another primary, so that with synchronous
// replication nobody could write. How much is left when the fault comes is recorded.
func WithBacklog(s Scenario, mb int) Scenario {
	s.Name += fmt.Sprintf(", %d MB to replay", mb)
	s.Prepare = func(ctx context.Context, p *Play) error { return p.pile(ctx, mb) }
	s.Brink = func(ctx context.Context, p *Play) error {
		if err := p.Lab.LeaveReplay(ctx, false); err != nil {
			return err
		}
		if err := p.onStandbys(ctx, "select pg_wal_replay_resume()"); err != nil {
			return err
		}
		var err error
		p.Backlog, err = p.numbers(ctx, p.standbys(), "select (pg_last_wal_receive_lsn() - pg_last_wal_replay_lsn()) / 1048576")
		return err
	}
	return s
}

// dirtyTable is filled so that buffers are dirty: a row is a page, and an insert, unlike a COPY, keeps to no small ring
// of buffers.
const dirtyTable = "lab_dirty"

// chunk is how much one transaction writes, in MB.
const chunk = 64

// fill writes so many MB.
func (p *Play) fill(ctx context.Context, mb int) error {
	setUp := "create extension if not exists pg_buffercache; drop table if exists " + dirtyTable + "; create table " + dirtyTable +
		" (filler text) with (autovacuum_enabled = off); alter table " + dirtyTable + " alter filler set storage plain"
	if _, err := p.Lab.SQL(ctx, p.Primary, setUp); err != nil {
		return err
	}
	for left := mb; left > 0; left -= chunk {
		rows := min(left, chunk) * 128 // of 8 kB
		insert := fmt.Sprintf("insert into %s select repeat('x', 8000) from generate_series(1, %d)", dirtyTable, rows)
		if _, err := p.Lab.SQL(ctx, p.Primary, insert); err != nil {
			return err
		}
	}
	return nil
}

// dirty fills, and waits until the standbys have replayed it.
func (p *Play) dirty(ctx context.Context, mb int) error {
	if err := p.fill(ctx, mb); err != nil {
		return err
	}
	if err := p.replicated(ctx, "replay_lsn"); err != nil {
		return err
	}
	return p.countDirty(ctx)
}

// clean fills, and has all nodes write it. A standby's checkpoint goes as far as the last one of the primary's that it has
// replayed.
func (p *Play) clean(ctx context.Context, mb int) error {
	if err := p.fill(ctx, mb); err != nil {
		return err
	}
	if _, err := p.Lab.SQL(ctx, p.Primary, "checkpoint"); err != nil {
		return err
	}
	if err := p.replicated(ctx, "replay_lsn"); err != nil {
		return err
	}
	if err := p.onStandbys(ctx, "checkpoint"); err != nil {
		return err
	}
	return p.countDirty(ctx)
}

func (p *Play) countDirty(ctx context.Context) error {
	var names []string
	for _, node := range p.Lab.Nodes() {
		names = append(names, node.Name)
	}
	var err error
	p.Dirty, err = p.numbers(ctx, names, "select count(*) * 8 / 1024.0 from pg_buffercache where isdirty")
	return err
}

// pile has the standbys receive without replaying.
func (p *Play) pile(ctx context.Context, mb int) error {
	if err := p.Lab.LeaveReplay(ctx, true); err != nil {
		return err
	}
	if err := p.onStandbys(ctx, "select pg_wal_replay_pause()"); err != nil {
		return err
	}
	if err := p.fill(ctx, mb); err != nil {
		return err
	}
	return p.replicated(ctx, "flush_lsn")
}

// numbers asks some nodes for a number, all at once.
func (p *Play) numbers(ctx context.Context, nodes []string, sql string) (map[string]float64, error) {
	found := make([]float64, len(nodes))
	err := inParallel(len(nodes), func(i int) error {
		text, err := p.Lab.SQL(ctx, nodes[i], sql)
		if err != nil {
			return err
		}
		if _, err := fmt.Sscan(text, &found[i]); err != nil {
			return fmt.Errorf("%s: %q: %w", nodes[i], text, err)
		}
		return nil
	})
	by := map[string]float64{}
	for i, node := range nodes {
		by[node] = found[i]
	}
	return by, err
}

// replicated waits until the position of every standby, of that kind, has come to where the primary is now.
func (p *Play) replicated(ctx context.Context, position string) error {
	end, err := p.Lab.SQL(ctx, p.Primary, "select pg_current_wal_lsn()")
	if err != nil {
		return err
	}
	lags := fmt.Sprintf("select coalesce(string_agg(application_name, ' '), '') from pg_stat_replication where %s < '%s'", position, end)
	return await(ctx, 200*time.Millisecond, func() string {
		behind, err := p.Lab.SQL(ctx, p.Primary, lags)
		if err != nil {
			return err.Error()
		}
		if behind != "" {
			return "not there yet: " + behind
		}
		return ""
	})
}

func (p *Play) standbys() []string {
	var names []string
	for _, node := range p.Lab.Nodes() {
		if node.Name != p.Primary {
			names = append(names, node.Name)
		}
	}
	return names
}

func (p *Play) onStandbys(ctx context.Context, sql string) error {
	names := p.standbys()
	return inParallel(len(names), func(i int) error {
		_, err := p.Lab.SQL(ctx, names[i], sql)
		return err
	})
}

// inParallel does n things at once.
func inParallel(n int, do func(i int) error) error {
	failed := make([]error, n)
	done := make(chan int)
	for i := range n {
		go func() {
			failed[i] = do(i)
			done <- i
		}()
	}
	for range n {
		<-done
	}
	return errors.Join(failed...)
}

// pgbenchSize is its scale: 15 MB each.
const pgbenchSize = "20"

// startPgbench begins the load, which goes on until the play is over at the latest.
func (p *Play) startPgbench(ctx context.Context) error {
	from := bystander(p.standbys(), p.Target)
	pgbench := func(args ...string) []string {
		return append([]string{p.Lab.PGBin() + "/pgbench", "--host", p.Lab.VIP(), "--username", "postgres"}, append(args, "postgres")...)
	}
	asPostgres := lab.ExecOptions{User: "postgres"}
	res, err := p.Lab.Exec(ctx, from, asPostgres, pgbench("--initialize", "--quiet", "--scale", pgbenchSize)...)
	if err == nil && res.Code != 0 {
		err = errors.New(res.Stderr)
	}
	if err != nil {
		return fmt.Errorf("pgbench: %w", err)
	}
	running, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Minute)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		// How it ends does not matter: the fault takes its connections.
		_, _ = p.Lab.Exec(running, from, asPostgres, pgbench("--client", "8", "--jobs", "2", "--time", "300")...)
	}()
	p.stops = append(p.stops, func() { stop(); <-ended })
	return Pause(ctx, 5*time.Second) // let it write
}

// bystander is a standby that is not the target; the target where there is no other.
func bystander(standbys []string, target string) string {
	for _, name := range standbys {
		if name != target {
			return name
		}
	}
	return target
}

// stop ends what Prepare has left running.
func (p *Play) stop() {
	for _, stop := range p.stops {
		stop()
	}
	p.stops = nil
}

// Megabytes tells how much there was of something on each node.
func Megabytes(by map[string]float64) string {
	var parts []string
	for _, node := range slices.Sorted(maps.Keys(by)) {
		parts = append(parts, fmt.Sprintf("%s %.0f MB", node, by[node]))
	}
	return strings.Join(parts, ", ")
}
