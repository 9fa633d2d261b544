package writer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const undefinedTable = "42P01"

// session is one connection, with the notices of the statement under way.
type session struct {
	conn     *pgconn.PgConn
	warnings []string
}

// open connects and logs in within the configured time.
func open(ctx context.Context, config Config) (*session, error) {
	connConfig, err := config.connConfig()
	if err != nil {
		return nil, err
	}
	s := &session{}
	connConfig.DialFunc = dialer(config)
	connConfig.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if n.Severity == "WARNING" || n.SeverityUnlocalized == "WARNING" {
			s.warnings = append(s.warnings, n.Code+" "+n.Message)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, config.ConnectTimeout)
	defer cancel()
	if s.conn, err = pgconn.ConnectConfig(ctx, connConfig); err != nil {
		return nil, err
	}
	config.Stagger = 0 // to cancel a statement one dial is enough
	connConfig.DialFunc = dialer(config)
	return s, nil
}

// insert writes one row in one round trip and tells who answered.
func (s *session) insert(ctx context.Context, config Config, id int64) answer {
	ctx, cancel := context.WithTimeout(ctx, config.StatementTimeout)
	defer cancel()
	s.warnings = nil
	text := "$2::text"
	if config.Payload > len(config.Name) {
		text = fmt.Sprintf("rpad($2::text, %d, '.')", config.Payload)
	}
	sql := fmt.Sprintf("insert into %s (id, writer) values ($1::bigint, %s) returning (%s)::text",
		config.Table, text, config.NodeSQL)
	parameters := [][]byte{[]byte(fmt.Sprint(id)), []byte(config.Name)}
	result := s.conn.ExecParams(ctx, sql, parameters, nil, nil, nil).Read()
	return judge(result, s.warnings)
}

// answer is what an insert came to.
type answer struct {
	kind   Kind
	node   string
	reason string
	code   string // SQLSTATE of an error
}

// judge decides what may be concluded from an insert's result.
//
// PostgreSQL answers a commit whose wait for synchronous replication was canceled with success and a WARNING (01000 for
// a cancel or a statement timeout, 57P01 for a shutdown): committed here, perhaps nowhere else. An insert has no other
// reason to warn, so any warning makes it doubtful. An ERROR rolls back. A FATAL is not trusted to.
func judge(result *pgconn.Result, warnings []string) answer {
	var pgErr *pgconn.PgError
	switch {
	case result.Err == nil && len(warnings) > 0:
		return answer{kind: InDoubt, reason: strings.Join(warnings, "; ")}
	case result.Err == nil && (len(result.Rows) != 1 || len(result.Rows[0]) != 1):
		return answer{kind: InDoubt, reason: "no row in the answer"}
	case result.Err == nil:
		return answer{kind: Acknowledged, node: string(result.Rows[0][0])}
	case errors.As(result.Err, &pgErr) && pgErr.Severity == "ERROR" && len(warnings) == 0:
		return answer{kind: Refused, reason: pgErr.Code + " " + pgErr.Message, code: pgErr.Code}
	case pgconn.SafeToRetry(result.Err):
		return answer{kind: Refused, reason: result.Err.Error()}
	default:
		return answer{kind: InDoubt, reason: strings.Join(append(warnings, result.Err.Error()), "; ")}
	}
}

// createTable makes the table. Two writers may try at once; who loses finds it there at the next attempt.
func (s *session) createTable(config Config) error {
	ctx, cancel := context.WithTimeout(context.Background(), config.StatementTimeout)
	defer cancel()
	sql := fmt.Sprintf("create table if not exists %s (id bigint primary key, writer text not null)", config.Table)
	return s.conn.Exec(ctx, sql).Close()
}

// close ends the session without waiting for a server that may be gone.
func (s *session) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_ = s.conn.Close(ctx)
}
