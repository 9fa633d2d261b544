package writer

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// Stored reads back which ids above a bound the table holds, through the config's address. It is patient, unlike the
// writing: its only bound is ctx.
func Stored(ctx context.Context, config Config, above int64) (map[int64]struct{}, error) {
	config = config.withDefaults()
	config.Name += "-reader"
	config.Stagger = 0 // with all its patience that would be thousands of dials
	if deadline, ok := ctx.Deadline(); ok {
		config.ConnectTimeout, config.StatementTimeout = time.Until(deadline), time.Until(deadline)
	}
	s, err := open(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("read back from %s: %w", config.Address, err)
	}
	defer s.close()
	sql := fmt.Sprintf("select id from %s where id > $1::bigint", config.Table)
	result := s.conn.ExecParams(ctx, sql, [][]byte{[]byte(strconv.FormatInt(above, 10))}, nil, nil, nil).Read()
	if result.Err != nil {
		return nil, fmt.Errorf("read back from %s: %w", config.Address, result.Err)
	}
	ids := make(map[int64]struct{}, len(result.Rows))
	for _, row := range result.Rows {
		id, err := strconv.ParseInt(string(row[0]), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read back from %s: id %q: %w", config.Address, row[0], err)
		}
		ids[id] = struct{}{}
	}
	return ids, nil
}
