package pg

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// database is the one every cluster has for administration.
	database        = "postgres"
	applicationName = "pgsqlms"
	// maxMessage caps what is taken from the server in one message, in bytes.
	maxMessage = 16 << 20
	// goodbye bounds the sending of the closing message.
	goodbye = time.Second
)

// Conn is a connection to the instance. What its methods do ends with their
// ctx; after that the connection is of no more use.
type Conn struct {
	conn *pgconn.PgConn
}

// Connect opens a connection to database postgres as the system user, whose
// credentials the server's peer authentication sees. Nothing in this process's
// environment has an effect on it (PG* variables, service and password files),
// and no setting of the role or of the database can make its queries time out.
//
// What answers on a Unix socket must belong to the system user and be the
// postmaster of this data directory, and over TCP be one of its processes; see
// IsOtherInstance. Judge the error with
// IsStartingUp, IsTooManyConnections, IsRefused, IsTimeout, IsAuth.
func (i *Instance) Connect(ctx context.Context) (*Conn, error) {
	return i.connect(ctx, nil)
}

func (i *Instance) connect(ctx context.Context, more map[string]string) (*Conn, error) {
	config, err := i.connConfig()
	if err != nil {
		return nil, err
	}
	for name, value := range more {
		config.RuntimeParams[name] = value
	}
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, &connectError{address: i.address(), err: err}
	}
	c := &Conn{conn: conn}
	if !i.overSocket() {
		if err := i.checkBackend(int(conn.PID())); err != nil {
			c.Close()
			return nil, &connectError{address: i.address(), err: err}
		}
	}
	return c, nil
}

// Close tells the server goodbye and closes the connection.
func (c *Conn) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
	_ = c.conn.Close(ctx) // nobody is left to be told
}

// connConfig builds the whole configuration here. pgconn insists on parsing a
// string first, and lets the environment change the result or even make it
// fail; so the environment is emptied of what it looks for, and everything
// that matters is set afterwards.
func (i *Instance) connConfig() (*pgconn.Config, error) {
	forgetEnvironment()
	config, err := pgconn.ParseConfig("host=/ port=5432 user=nobody passfile=/dev/null sslmode=disable target_session_attrs=any")
	if err != nil {
		return nil, err
	}
	config.Host, config.Port = i.cfg.Host, uint16(i.cfg.Port)
	config.Database, config.User = database, i.runner().Name
	config.RuntimeParams = i.runtimeParams()
	config.Fallbacks = nil
	config.MaxProtocolMessageBodyLen = maxMessage
	if config.Password, err = i.password(); err != nil {
		return nil, err
	}
	if i.overSocket() {
		config.TLSConfig, config.DialFunc = nil, i.dialSocket
	} else {
		preferTLS(config)
	}
	return config, nil
}

// forgetEnvironment removes libpq's variables from this process. Nothing in it
// reads them, and started programs get an environment of their own anyway.
func forgetEnvironment() {
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "PG") {
			_ = os.Unsetenv(name) // fails only for an impossible name
		}
	}
}

// preferTLS does what libpq does unless told otherwise: encrypted without
// checking the certificate when the server can, else in the clear.
func preferTLS(config *pgconn.Config) {
	config.DialFunc = (&net.Dialer{}).DialContext
	config.TLSConfig = &tls.Config{InsecureSkipVerify: true, ServerName: config.Host} //nolint:gosec // sslmode=prefer
	config.Fallbacks = []*pgconn.FallbackConfig{{Host: config.Host, Port: config.Port}}
}

// runtimeParams are sent with the first message. As the client's own they win
// over ALTER ROLE, ALTER DATABASE and postgresql.conf. A role's serializable
// isolation would be refused by a standby. A parameter the server does not
// know would end the connection, so the one that came later is sent only where
// it is known to exist.
func (i *Instance) runtimeParams() map[string]string {
	params := map[string]string{
		"application_name":              applicationName,
		"client_encoding":               "UTF8",
		"client_min_messages":           "error",
		"default_transaction_isolation": "read committed",
		"lock_timeout":                  "0",
		"search_path":                   "pg_catalog",
		"statement_timeout":             "0",
	}
	if major, err := i.Version(); err == nil && major >= 17 {
		params["transaction_timeout"] = "0"
	}
	return params
}

// overSocket says whether Host is the directory of a Unix socket.
func (i *Instance) overSocket() bool { return filepath.IsAbs(i.cfg.Host) }

// address is the path of the socket, or host and port; for messages.
func (i *Instance) address() string { return addressOf(i.cfg.Host, i.cfg.Port) }

// addressOf is where PostgreSQL puts its socket, or host and port.
func addressOf(host string, port int) string {
	if filepath.IsAbs(host) {
		return filepath.Join(host, ".s.PGSQL."+strconv.Itoa(port))
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

func (i *Instance) dialSocket(ctx context.Context, _, path string) (net.Conn, error) {
	return i.dialAsUser(ctx, path, i.checkPeer)
}

// dialAsUser connects to a socket as the system user. check judges who listens there,
// before a byte is sent.
func (i *Instance) dialAsUser(ctx context.Context, path string, check func(*syscall.Ucred) error) (net.Conn, error) {
	for {
		conn, peer, err := i.dialOnce(path)
		if err == nil {
			if err = check(peer); err == nil {
				return conn, nil
			}
			conn.Close()
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if !backlogFull(err) {
			return nil, err
		}
		if err := pause(ctx, backlogStep); err != nil {
			return nil, fmt.Errorf("the server does not take connections from its queue: %w", err)
		}
	}
}

func (i *Instance) dialOnce(path string) (conn net.Conn, peer *syscall.Ucred, err error) {
	err = i.asRunner(func() error {
		conn, peer, err = connectSocket(path)
		return err
	})
	return conn, peer, err
}
