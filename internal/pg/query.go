package pg

import (
	"context"
	"fmt"

	"pgsqlms/internal/wal"
)

// row is one row of a result, in text form, by position.
type row [][]byte

func (r row) null(n int) bool { return n >= len(r) || r[n] == nil }

func (r row) text(n int) string {
	if r.null(n) {
		return ""
	}
	return string(r[n])
}

func (r row) bool(n int) bool { return r.text(n) == "t" }

// lsn is nil where the server says NULL.
func (r row) lsn(n int) (*wal.LSN, error) {
	if r.null(n) {
		return nil, nil
	}
	l, err := wal.ParseLSN(r.text(n))
	if err != nil {
		return nil, err
	}
	return &l, nil
}

// timeline is zero where the server says NULL, or 0 for none.
func (r row) timeline(n int) (wal.Timeline, error) {
	if s := r.text(n); s != "" && s != "0" {
		return wal.ParseTimeline(s)
	}
	return 0, nil
}

// query sends statements in one message and collects every result: one round
// trip however many there are.
func (c *Conn) query(ctx context.Context, sql string) ([][]row, error) {
	results, err := c.conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("asking the server: %w", err)
	}
	tables := make([][]row, len(results))
	for n, result := range results {
		for _, values := range result.Rows {
			tables[n] = append(tables[n], row(values))
		}
	}
	return tables, nil
}

// single asks for exactly one row of the given number of columns.
func (c *Conn) single(ctx context.Context, sql string, columns int) (row, error) {
	tables, err := c.query(ctx, sql)
	if err != nil {
		return nil, err
	}
	if len(tables) != 1 {
		return nil, fmt.Errorf("the server gave %d results, expected 1", len(tables))
	}
	return only(tables[0], columns)
}

func only(rows []row, columns int) (row, error) {
	if len(rows) != 1 || len(rows[0]) < columns {
		return nil, fmt.Errorf("the server gave %d rows, expected one of %d columns", len(rows), columns)
	}
	return rows[0], nil
}

// InRecovery says whether the server replays write-ahead log: it is a standby,
// or on its way up.
func (c *Conn) InRecovery(ctx context.Context) (bool, error) {
	r, err := c.single(ctx, "SELECT pg_catalog.pg_is_in_recovery()", 1)
	if err != nil {
		return false, err
	}
	return r.bool(0), nil
}

// Checkpoint runs a CHECKPOINT and waits for its end, or for ctx's. The server
// goes on with it in either case.
func (c *Conn) Checkpoint(ctx context.Context) error {
	_, err := c.query(ctx, "CHECKPOINT")
	return err
}
