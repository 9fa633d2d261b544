package faults

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgsqlms/test/scenario"
)

// hold lets time pass in which nothing may happen. Whether it did is seen in the logs afterwards.
func (p *Play) hold(ctx context.Context, length time.Duration) error {
	p.note("for %s", length.Round(time.Second))
	return scenario.Pause(ctx, length)
}

// connect opens a session on a node, from a machine of the lab.
func (p *Play) connect(ctx context.Context, from, node string) (*pgconn.PgConn, error) {
	config, err := pgconn.ParseConfig(p.Lab.DSN(node))
	if err != nil {
		return nil, err
	}
	config.DialFunc = p.Lab.Dialer(from)
	config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	return pgconn.ConnectConfig(ctx, config)
}

// eachOf does something to several nodes at once.
func (p *Play) eachOf(nodes []string, do func(node string) error) error {
	errs := make(chan error)
	for _, node := range nodes {
		go func() { errs <- do(node) }()
	}
	var all []error
	for range nodes {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

// awaitStreaming waits until standbys receive WAL.
func (p *Play) awaitStreaming(ctx context.Context, nodes ...string) error {
	return await(ctx, 30*time.Second, 50*time.Millisecond, func(ctx context.Context) string {
		for _, node := range nodes {
			status, err := p.Lab.SQL(ctx, node, "select status from pg_stat_wal_receiver")
			if err != nil || status != "streaming" {
				return fmt.Sprintf("%s: its WAL receiver's status is %q (%v)", node, status, err)
			}
		}
		return ""
	})
}

// starve keeps a standby from receiving WAL, and returns when it lags.
func (p *Play) starve(ctx context.Context, standby string) error {
	err := p.inject("replication from "+p.Primary+" to "+standby+" cut", func() error {
		return p.Lab.BlockPort(ctx, p.Primary, standby, pgPort)
	})
	if err != nil {
		return err
	}
	lag := fmt.Sprintf("select pg_current_wal_lsn() - write_lsn from pg_stat_replication where application_name = '%s'", standby)
	return await(ctx, 4*time.Second, 50*time.Millisecond, func(ctx context.Context) string {
		bytes, err := p.Lab.SQL(ctx, p.Primary, lag)
		if err != nil || bytes == "" || bytes == "0" || strings.HasPrefix(bytes, "-") {
			return fmt.Sprintf("%s does not lag: %q (%v)", standby, bytes, err)
		}
		return ""
	})
}

// writeWAL writes so many MB on the primary, of which as much is dirty memory until the next checkpoint as fits.
func (p *Play) writeWAL(ctx context.Context, mb int) error {
	conn, err := p.connect(ctx, p.Primary, p.Primary)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	sql := fmt.Sprintf("drop table if exists fill; create table fill as select repeat(md5(i::text), 32) from generate_series(1, %d) i", mb*1000)
	return conn.Exec(ctx, sql).Close()
}
