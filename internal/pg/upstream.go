package pg

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"pgsqlms/internal/wal"
)

// Upstream is what a standby's primary says when it is asked for replication.
type Upstream struct {
	Address  string       // where it was reached
	Timeline wal.Timeline // the primary's
	End      wal.LSN      // how far it has written

	// Refusal is why it would not let this standby stream, in PostgreSQL's own words;
	// empty when it would.
	Refusal string

	// Divergence is set when this standby has replayed what is not in the primary's
	// history.
	Divergence *Divergence
}

// Divergence says where a standby left its primary's history.
type Divergence struct {
	Left  wal.Position // the last place both share
	Bytes uint64       // of WAL that the standby has replayed beyond it, and the primary lacks
}

// streamWait bounds the wait for the first message of a replication that was granted:
// that a segment is gone is found out only by sending it.
const streamWait = 500 * time.Millisecond

// AskPrimary asks the server that the running standby's primary_conninfo names what its
// WAL receiver asks, and so learns why it does not stream: how to connect, who the
// server is, which history it has, whether it can send what comes next. The connection
// is not made under the standby's name, so that nobody takes it for the standby. Files
// that the connection string names are read as the system user.
//
// Of libpq's parameters those that pgconn knows are used. An error says what failed, and
// what the server said; it has no password in it.
func (i *Instance) AskPrimary(ctx context.Context) (Upstream, error) {
	own, err := i.standbySettings(ctx)
	if err != nil {
		return Upstream{}, err
	}
	standing, err := i.Standing(ctx)
	if err != nil {
		return Upstream{}, err
	}
	if own.conninfo == "" {
		return Upstream{}, errors.New("primary_conninfo is not set")
	}
	conn, err := i.dialPrimary(ctx, own.conninfo)
	var refused *Refused
	if errors.As(err, &refused) {
		return Upstream{Address: refused.Address, Refusal: refused.Error()}, nil
	}
	if err != nil {
		return Upstream{}, err
	}
	defer conn.Close()
	return i.interview(ctx, conn, own, standing.Replayed)
}

// standbySettings is what the standby's WAL receiver goes by.
type standbySettings struct{ conninfo, slot, system string }

const standbySettingsSQL = `
SELECT pg_catalog.current_setting('primary_conninfo'),
       pg_catalog.current_setting('primary_slot_name'),
       (pg_catalog.pg_control_system()).system_identifier`

func (i *Instance) standbySettings(ctx context.Context) (standbySettings, error) {
	c, err := i.Connect(ctx)
	if err != nil {
		return standbySettings{}, err
	}
	defer c.Close()
	r, err := c.single(ctx, standbySettingsSQL, 3)
	if err != nil {
		return standbySettings{}, err
	}
	return standbySettings{conninfo: r.text(0), slot: r.text(1), system: r.text(2)}, nil
}

// passedOn are the parameters of libpq that mean the same to pgconn. Others are about
// keeping the connection alive, or for mechanisms pgconn does not have.
var passedOn = []string{
	"host", "port", "user", "password", "passfile", "connect_timeout", "target_session_attrs",
	"sslmode", "sslcert", "sslkey", "sslrootcert", "sslpassword", "sslsni",
}

func (i *Instance) dialPrimary(ctx context.Context, conninfo string) (*Conn, error) {
	given, err := ParseConninfo(conninfo)
	if err != nil {
		return nil, fmt.Errorf("primary_conninfo: %w", err)
	}
	config, err := i.primaryConfig(given)
	if err != nil {
		return nil, fmt.Errorf("primary_conninfo: %s", hide(err.Error(), given))
	}
	address := net.JoinHostPort(config.Host, fmt.Sprint(config.Port))
	conn, err := pgconn.ConnectConfig(ctx, config)
	var said *pgconn.PgError
	switch {
	case errors.As(err, &said):
		return nil, &Refused{Address: address, Reason: hide(sentence(said), given)}
	case err != nil:
		return nil, fmt.Errorf("no connection to %s: %s", address, hide(reasonOf(err), given))
	}
	return &Conn{conn: conn}, nil
}

// primaryConfig is parsed with the credentials of the system user, whose files it reads.
func (i *Instance) primaryConfig(given map[string]string) (config *pgconn.Config, err error) {
	forgetEnvironment()
	values := map[string]string{
		"user": i.cfg.User.Name, "dbname": "replication",
		"passfile": filepath.Join(i.cfg.User.Home, ".pgpass"),
		"sslcert":  "", "sslkey": "", "sslrootcert": "",
	}
	for _, name := range passedOn {
		if v, ok := given[name]; ok {
			values[name] = v
		}
	}
	if v := given["hostaddr"]; v != "" {
		values["host"] = v
	}
	err = i.asUser(func() error {
		config, err = pgconn.ParseConfig(joinConninfo(values))
		return err
	})
	if err != nil {
		return nil, err
	}
	config.RuntimeParams = map[string]string{"replication": "true", "application_name": applicationName}
	config.MaxProtocolMessageBodyLen = maxMessage
	return config, nil
}

// joinConninfo writes the keyword form.
func joinConninfo(values map[string]string) string {
	var b strings.Builder
	for name, value := range values {
		value = strings.ReplaceAll(strings.ReplaceAll(value, `\`, `\\`), `'`, `\'`)
		fmt.Fprintf(&b, "%s='%s' ", name, value)
	}
	return b.String()
}

// Refused is what a server says that takes no connection of this standby.
type Refused struct{ Address, Reason string }

func (e *Refused) Error() string { return e.Address + " refuses the connection: " + e.Reason }

// hide takes passwords out of a text.
func hide(text string, given map[string]string) string {
	for _, name := range []string{"password", "sslpassword"} {
		if secret := given[name]; secret != "" {
			text = strings.ReplaceAll(text, secret, "********")
		}
	}
	return text
}

// reasonOf is why nobody answered. pgconn's own text names every attempt, a line each.
func reasonOf(err error) string {
	var operation *net.OpError
	switch {
	case IsTimeout(err):
		return "no answer in time"
	case errors.As(err, &operation):
		return operation.Err.Error()
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}

func sentence(said *pgconn.PgError) string {
	text := said.Severity + ": " + said.Message
	if said.Detail != "" {
		text += " (" + said.Detail + ")"
	}
	return text
}

// interview asks one thing after the other.
func (i *Instance) interview(ctx context.Context, c *Conn, own standbySettings, replayed wal.Position) (Upstream, error) {
	r, err := c.single(ctx, "IDENTIFY_SYSTEM", 3)
	if err != nil {
		return Upstream{}, err
	}
	u := Upstream{Address: c.conn.Conn().RemoteAddr().String()}
	if u.Timeline, err = wal.ParseTimeline(r.text(1)); err != nil {
		return u, fmt.Errorf("IDENTIFY_SYSTEM: %w", err)
	}
	if u.End, err = wal.ParseLSN(r.text(2)); err != nil {
		return u, fmt.Errorf("IDENTIFY_SYSTEM: %w", err)
	}
	if system := r.text(0); system != own.system {
		u.Refusal = fmt.Sprintf("the server at %s is of another database system: its identifier is %s, this standby's %s",
			u.Address, system, own.system)
		return u, nil
	}
	if u.Timeline < replayed.Timeline {
		u.Refusal = fmt.Sprintf("the server at %s is on timeline %d, before this standby's timeline %d",
			u.Address, u.Timeline, replayed.Timeline)
		return u, nil
	}
	if u.Divergence, err = i.divergence(ctx, c, u.Timeline, replayed); err != nil {
		return u, err
	}
	u.Refusal, err = c.askForStream(ctx, own.slot, replayed)
	return u, err
}

// divergence compares the primary's history with this standby's. What was received and
// not replayed does not count: PostgreSQL follows the primary's timeline all the same.
func (i *Instance) divergence(ctx context.Context, c *Conn, t wal.Timeline, replayed wal.Position) (*Divergence, error) {
	theirs, err := c.history(ctx, t)
	if err != nil {
		return nil, err
	}
	ours, err := i.History(replayed.Timeline)
	if err != nil {
		return nil, err
	}
	shared := theirs.Shared(ours, replayed)
	if shared == replayed || shared.Timeline == 0 {
		return nil, nil
	}
	return &Divergence{Left: shared, Bytes: uint64(replayed.LSN - shared.LSN)}, nil
}

// history asks for the history file of the server's timeline.
func (c *Conn) history(ctx context.Context, t wal.Timeline) (wal.History, error) {
	if t == 1 {
		return wal.History{Timeline: 1}, nil
	}
	r, err := c.single(ctx, fmt.Sprintf("TIMELINE_HISTORY %d", t), 2)
	if err != nil {
		return wal.History{}, err
	}
	return wal.ParseHistory(t, r.text(1))
}

// askForStream asks for what the standby needs next. After that the connection is good
// for nothing else.
func (c *Conn) askForStream(ctx context.Context, slot string, from wal.Position) (refusal string, err error) {
	if slot != "" && !isSlotName(slot) {
		return fmt.Sprintf("primary_slot_name %q is no name of a slot", slot), nil
	}
	if slot != "" {
		slot = "SLOT " + slot + " "
	}
	c.conn.Frontend().Send(&pgproto3.Query{
		String: fmt.Sprintf("START_REPLICATION %sPHYSICAL %s TIMELINE %d", slot, from.LSN, from.Timeline),
	})
	if err := c.conn.Frontend().Flush(); err != nil {
		return "", err
	}
	return c.firstOfStream(ctx)
}

// firstOfStream reads up to the first message that says whether there will be a stream.
func (c *Conn) firstOfStream(ctx context.Context) (refusal string, err error) {
	granted := false
	for {
		message, err := c.conn.ReceiveMessage(ctx)
		var said *pgconn.PgError
		switch {
		case errors.As(err, &said):
			return sentence(said), nil
		case granted && IsTimeout(err):
			return "", nil
		case err != nil:
			return "", err
		}
		switch m := message.(type) {
		case *pgproto3.ErrorResponse:
			return sentence(pgconn.ErrorResponseToPgError(m)), nil
		case *pgproto3.CopyBothResponse:
			var stop context.CancelFunc
			granted = true
			ctx, stop = context.WithTimeout(ctx, streamWait)
			defer stop() //nolint:revive // comes once
		case *pgproto3.CopyData, *pgproto3.CopyDone, *pgproto3.RowDescription, *pgproto3.ReadyForQuery:
			// A row names the next timeline, when nothing is left to send of this one.
			return "", nil
		}
	}
}

// isSlotName knows PostgreSQL's rule (ReplicationSlotValidateName): nothing else is put
// into a command.
func isSlotName(s string) bool {
	return len(s) < 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}
