package writer

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Dial opens a connection from wherever the client is to be.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Config says where to write, and how patiently. Zero values take the defaults named here.
type Config struct {
	Name     string // of the writer, kept with every row; "writer"
	Address  string // host:port, the VIP's or a node's own; Dial gets the host as it stands here
	Dial     Dial   // required: a writer in a namespace has no default
	User     string // "postgres"
	Password string
	Database string // "postgres"
	Table    string // "pgsqlms_writes"; made if it is not there
	// NodeSQL is the expression that names the answering node within the insert; "inet_server_addr()", which through a
	// VIP is the VIP. Where a setting tells the node's name, use that.
	NodeSQL string

	// Payload is how many bytes the text of a row has at least: the writer's name, filled up. For load.
	Payload int

	Every            time.Duration // between two attempts: 5 ms
	Retry            time.Duration // between two attempts when the first failed: 10 ms
	ConnectTimeout   time.Duration // for connection and login together: 300 ms
	StatementTimeout time.Duration // here and in the server: 300 ms

	// Stagger begins another dial after every such span while the ones before hang, and takes the first that comes through;
	// ConnectTimeout stays the patience with all of them. 0: one dial at a time, which notices only when its time-out is over
	// that the address is back.
	Stagger time.Duration

	// Pinned keeps a session whose server refuses to write, as a client of one node's own address would that does not
	// know of the cluster. Without it a refused writer connects again, because its address may lead elsewhere by now.
	Pinned bool

	// Quiet keeps what the server refuses out of its log, where it would be all there is. The user must be a superuser.
	Quiet bool

	IDs   *IDs      // shared by all writers to a table; one of its own if nil
	Epoch time.Time // shared by all writers whose histories are compared; now if zero
}

func (c Config) withDefaults() Config {
	text := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	span := func(field *time.Duration, value time.Duration) {
		if *field == 0 {
			*field = value
		}
	}
	text(&c.Name, "writer")
	text(&c.User, "postgres")
	text(&c.Database, "postgres")
	text(&c.Table, "pgsqlms_writes")
	text(&c.NodeSQL, "inet_server_addr()")
	span(&c.Every, 5*time.Millisecond)
	span(&c.Retry, 10*time.Millisecond)
	span(&c.ConnectTimeout, 300*time.Millisecond)
	span(&c.StatementTimeout, 300*time.Millisecond)
	if c.IDs == nil {
		c.IDs = &IDs{}
	}
	if c.Epoch.IsZero() {
		c.Epoch = time.Now()
	}
	return c
}

// connConfig builds pgx's configuration from nothing but c: whatever PG* variables, service files or password files the
// caller has must not reach a measurement. Only pgconn.ParseConfig may make a Config, so the fields that it would fill
// from there are given in the string or set afterwards.
func (c Config) connConfig() (*pgconn.Config, error) {
	host, port, err := net.SplitHostPort(c.Address)
	if err != nil {
		return nil, fmt.Errorf("writer address %q: want host:port: %w", c.Address, err)
	}
	if c.Dial == nil {
		return nil, fmt.Errorf("writer for %s: no dial function", c.Address)
	}
	fixed := []string{
		"host=" + quote(host), "port=" + quote(port), "user=" + quote(c.User), "dbname=" + quote(c.Database),
		"password=" + quote(c.Password), "passfile=/dev/null", "sslmode=disable", "sslnegotiation=postgres",
		"connect_timeout=0", "target_session_attrs=any", "min_protocol_version=3.0", "max_protocol_version=3.0",
		"channel_binding=disable", "require_auth=''", "sslcertmode=allow", "krbsrvname=''", "krbspn=''",
	}
	config, err := pgconn.ParseConfig(strings.Join(fixed, " "))
	if err != nil {
		return nil, fmt.Errorf("writer for %s: %w", c.Address, err)
	}
	config.Fallbacks, config.ValidateConnect = nil, nil
	config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	config.RuntimeParams = map[string]string{
		"application_name":  c.Name,
		"statement_timeout": fmt.Sprint(c.StatementTimeout.Milliseconds()),
	}
	if c.Quiet {
		config.RuntimeParams["log_min_messages"] = "log" // which is above errors
	}
	return config, nil
}

// quote makes a value of a keyword/value connection string.
func quote(value string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'"
}
