package faults

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgsqlms/test/lab"
)

// Variants of a primary that is healthy and does not answer as usual.
const (
	slotsUsedUp  = "all connection slots used"
	shortTimeout = "statement_timeout 1 ms for the role"
	hangingSync  = "every commit hanging on synchronous replication"
)

// busyPrimary must stay what it is: a restart would help nobody.
func busyPrimary() Fault {
	return Fault{
		ID: "F20", Title: "connection slots used up; statement_timeout 1 ms; commits that hang", Must: "monitor stays 8",
		Variants: []string{slotsUsedUp, shortTimeout, hangingSync},
		Play: func(ctx context.Context, p *Play) error {
			length := max(4*p.monitor(), 40*time.Second) + 2*time.Second // more monitors without an answer than a hung one gets
			p.Allow = Allowance{Serve: promoteTime, Whole: streamTime}
			switch p.Variant {
			case slotsUsedUp:
				p.Allow.Serve += length // who lost its session has to wait for a slot
				return p.useUpSlots(ctx, length)
			case shortTimeout:
				return p.shortTimeout(ctx, length)
			default:
				p.Allow.Serve += length
				return p.hangCommits(ctx, length)
			}
		},
	}
}

// useUpSlots takes every slot, those reserved for superusers too.
func (p *Play) useUpSlots(ctx context.Context, length time.Duration) error {
	release := func() error { return nil }
	err := p.inject("all connection slots of "+p.Primary+" used", func() (err error) {
		release, err = p.takeSlots(ctx, ctx, p.Primary)
		return err
	})
	return errors.Join(err, p.hold(ctx, length), release())
}

// takeSlots opens sessions until there are no more.
func (p *Play) takeSlots(ctx, whole context.Context, node string) (release func() error, err error) {
	var conns []*pgconn.PgConn
	release = func() error {
		for _, conn := range conns {
			bounded, cancel := context.WithTimeout(context.WithoutCancel(whole), time.Second)
			_ = conn.Close(bounded) // the server may have gone
			cancel()
		}
		return nil
	}
	for range 200 {
		conn, err := p.connect(ctx, lab.Client, node)
		if err != nil {
			p.note("%d sessions, then: %v", len(conns), err)
			return release, nil
		}
		conns = append(conns, conn)
	}
	return release, fmt.Errorf("%d sessions, and still there are slots", len(conns))
}

func (p *Play) shortTimeout(ctx context.Context, length time.Duration) error {
	err := p.inject("statement_timeout 1 ms for the role postgres", func() error {
		_, err := p.Lab.SQL(ctx, p.Primary, "alter role postgres set statement_timeout = '1ms'")
		return err
	})
	if err != nil {
		return err
	}
	if err := p.hold(ctx, length); err != nil {
		return err
	}
	_, err = p.Lab.SQL(ctx, p.Primary, "set statement_timeout = 0; alter role postgres reset statement_timeout")
	return err
}

// hangCommits cuts the standbys off from replication. With asynchronous replication nothing hangs.
func (p *Play) hangCommits(ctx context.Context, length time.Duration) error {
	return p.cutReplication(ctx, p.Standbys, length)
}
