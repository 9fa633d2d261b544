package faults

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"pgsqlms/test/lab"
)

// How long things may take on a machine of two cores that does other things as well: several times what was seen.
const (
	promoteTime = 12 * time.Second // from a known loss to the first write elsewhere, a fencing that answers at once included
	streamTime  = 45 * time.Second // for all nodes to stream after that, a node's boot included
)

// Variants of the postmaster's crash.
const (
	withChildren = "with its children"
	orphans      = "its children live on"
)

func crashOfPostmaster() Fault {
	return Fault{
		ID: "F1", Title: "kill -9 of the primary's postmaster", Must: "recovered in place or failed over; one crash recovery, no fencing",
		Variants: []string{withChildren, orphans},
		Play: func(ctx context.Context, p *Play) error {
			p.Allow = Allowance{
				Promotions: Exactly(1), Starts: each(1, p.Primary), Serve: p.monitor() + promoteTime, Whole: streamTime,
				Reasons: []string{`monitor on ` + p.Primary + `: .+`},
			}
			kill := p.Lab.KillPostgres
			if p.Variant == orphans {
				kill = p.Lab.KillPostmaster
			}
			began := time.Now()
			if err := p.inject("kill -9 of the postmaster of "+p.Primary, func() error { return kill(ctx, p.Primary) }); err != nil {
				return err
			}
			_, err := p.awaitPromotion(ctx, began, p.Allow.Serve+30*time.Second)
			return err
		},
	}
}

// crashOfBackend is PostgreSQL's own affair: the postmaster ends all sessions and replays its WAL.
func crashOfBackend() Fault {
	return Fault{
		ID: "F2", Title: "kill -9 of a backend of the primary", Must: "PostgreSQL restarts itself; no failover",
		Play: func(ctx context.Context, p *Play) error {
			p.Allow = Allowance{Recoveries: each(1, p.Primary), Serve: promoteTime, Whole: streamTime}
			conn, err := p.connect(ctx, lab.Client, p.Primary)
			if err != nil {
				return err
			}
			defer conn.Close(context.WithoutCancel(ctx))
			pid := fmt.Sprint(conn.PID())
			err = p.inject("kill -9 of backend "+pid+" of "+p.Primary, func() error {
				_, err := p.Lab.Run(ctx, p.Primary, "kill", "-9", pid)
				return err
			})
			if err != nil {
				return err
			}
			// The monitors of all roles must find the cluster as it was.
			return p.hold(ctx, 2*p.monitor()+2*time.Second)
		},
	}
}

// hangOfPostmaster stops the postmaster alone: sessions that are open go on, new ones hang.
func hangOfPostmaster() Fault {
	const length = 60 * time.Second
	return Fault{
		ID: "F3", Title: "SIGSTOP of the primary's postmaster for 60 s", Must: "noticed within the monitor's timeout; failed over or recovered in place, without fencing",
		Play: func(ctx context.Context, p *Play) error {
			notice := p.monitor() + 10*time.Second // the monitor's interval and timeout
			p.Allow = Allowance{
				Promotions: Exactly(1), Starts: each(1, p.Primary), Serve: notice + promoteTime, Whole: streamTime,
				Reasons: []string{`monitor on ` + p.Primary + `: .+`},
			}
			began := time.Now()
			err := p.inject("SIGSTOP of the postmaster of "+p.Primary, func() error {
				return p.Lab.SignalPostgres(ctx, p.Primary, "", unix.SIGSTOP)
			})
			if err != nil {
				return err
			}
			_, err = p.awaitPromotion(ctx, began, length)
			if b, is := asBreach(err); is {
				p.breached(b.Invariant, "the stopped postmaster was not dealt with: %s", b.Text)
				return p.Lab.SignalPostgres(ctx, p.Primary, "", unix.SIGCONT)
			}
			return err
		},
	}
}
