package lab

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// SQL runs statements as the superuser on a node's own database, from inside of
// the node, so that a cut cable is no obstacle. It returns the rows of the last
// statement that has some, one per line, columns parted by "|".
func (l *Lab) SQL(ctx context.Context, node, sql string) (string, error) {
	n, err := l.node(node)
	if err != nil {
		return "", err
	}
	cfg, err := pgconn.ParseConfig(l.DSN(n.Addr))
	if err != nil {
		return "", err
	}
	cfg.DialFunc = l.Dialer(node)
	// The address is one already; the default asks the host's resolver.
	cfg.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	conn, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return "", fmt.Errorf("database of %s: %w", node, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return "", fmt.Errorf("database of %s: %w", node, err)
	}
	var out []string
	for _, r := range results {
		if len(r.Rows) == 0 {
			continue
		}
		out = out[:0]
		for _, row := range r.Rows {
			out = append(out, joinRow(row))
		}
	}
	return strings.Join(out, "\n"), nil
}

func joinRow(row [][]byte) string {
	cols := make([]string, len(row))
	for i, c := range row {
		cols[i] = string(c)
	}
	return strings.Join(cols, "|")
}
