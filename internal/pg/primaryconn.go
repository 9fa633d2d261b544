package pg

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"

	"pgsqlms/internal/command"
)

// connectPrimary connects to one of the servers that primary_conninfo names, the
// first that can be had, as its WAL receiver would. One that answers and refuses
// is told of before one that does not answer.
func (i *Instance) connectPrimary(ctx context.Context, conninfo string) (*Conn, Upstream, error) {
	values, err := ParseConninfo(conninfo)
	if err != nil {
		return nil, Upstream{}, fmt.Errorf("%w: %w", ErrConninfo, err)
	}
	configs, err := i.primaryConfigs(ctx, values)
	if err != nil {
		return nil, Upstream{}, fmt.Errorf("%w: %w", ErrConninfo, err)
	}
	var refused Upstream
	var silent []error
	for _, config := range configs {
		address := addressOf(config.Host, int(config.Port))
		conn, err := pgconn.ConnectConfig(ctx, config)
		if err == nil {
			return &Conn{conn: conn}, Upstream{Address: address}, nil
		}
		var said *pgconn.PgError
		if errors.As(err, &said) && !IsStartingUp(err) && refused.Refusal == "" {
			refused = Upstream{Address: address, Refusal: inItsWords(said)}
		}
		silent = append(silent, &connectError{address: address, err: err})
	}
	if refused.Refusal != "" {
		return nil, refused, nil
	}
	return nil, Upstream{}, joined(silent)
}

// joined is one line of all of them.
func joined(errs []error) error {
	if len(errs) == 1 {
		return errs[0]
	}
	return severalErrors{errors.Join(errs...)}
}

// severalErrors are errors in one line.
type severalErrors struct{ joined error }

func (e severalErrors) Error() string { return strings.ReplaceAll(e.joined.Error(), "\n", "; ") }
func (e severalErrors) Unwrap() error { return e.joined }

// notHonoured are the parameters that say whom to trust, or whom to be, in a way
// that cannot be followed here. To ask without them would be to trust more than
// the administrator does.
var notHonoured = []string{
	"service", "servicefile", "sslcrl", "sslcrldir", "scram_client_key", "scram_server_key",
	"oauth_issuer", "oauth_client_id", "oauth_client_secret", "oauth_scope",
}

// handedOn are the parameters that pgconn understands as libpq does, besides
// those for host, user and password.
var handedOn = []string{
	"sslmode", "sslcert", "sslkey", "sslrootcert", "sslpassword", "sslsni", "sslcertmode", "sslnegotiation",
	"channel_binding", "require_auth", "connect_timeout",
}

// primaryConfigs are the connections primary_conninfo asks for, in its order: host
// lists, hostaddr, port lists, sslmode with all that belongs to it, channel_binding,
// require_auth, requirepeer, target_session_attrs, options, passwords of its own,
// of passfile and of ~/.pgpass. Nothing in this process's environment counts; the
// files are those of the system user, read as that user.
//
// Left out is what only tunes the connection (keepalives, tcp_user_timeout,
// gssencmode=prefer), load_balance_hosts, and authentication by GSSAPI, of which
// the error then speaks. What is in notHonoured, gssencmode=require, and
// ssl_max_protocol_version below TLSv1.2 are errors.
func (i *Instance) primaryConfigs(ctx context.Context, values map[string]string) ([]*pgconn.Config, error) {
	for _, name := range notHonoured {
		if values[name] != "" {
			return nil, fmt.Errorf("parameter %s is not supported", name)
		}
	}
	if values["gssencmode"] == "require" {
		return nil, errors.New("gssencmode=require is not supported")
	}
	targets, err := primaryTargets(values)
	if err != nil {
		return nil, err
	}
	var configs []*pgconn.Config
	for _, t := range targets {
		config, err := i.primaryConfig(ctx, t, values)
		if err != nil {
			return nil, err
		}
		configs = append(configs, config)
	}
	return configs, nil
}

// primaryTarget is one server to try.
type primaryTarget struct {
	host string // a name, an address, or the directory of a socket
	addr string // hostaddr, which spares looking host up
	port string
}

// primaryTargets takes the lists apart, by the rules of section "Specifying
// Multiple Hosts" of PostgreSQL's manual.
func primaryTargets(values map[string]string) ([]primaryTarget, error) {
	hosts, addrs, ports := strings.Split(values["host"], ","), strings.Split(values["hostaddr"], ","), strings.Split(values["port"], ",")
	count := len(hosts)
	if values["hostaddr"] != "" {
		count = len(addrs)
	}
	if values["host"] != "" && len(hosts) != count || len(ports) != 1 && len(ports) != count {
		return nil, errors.New("the lists of host, hostaddr and port are of different lengths")
	}
	targets := make([]primaryTarget, count)
	for n := range targets {
		t := primaryTarget{port: ports[min(n, len(ports)-1)]}
		if values["host"] != "" {
			t.host = hosts[n]
		}
		if values["hostaddr"] != "" {
			t.addr = addrs[n]
		}
		t.host = cmp.Or(t.host, t.addr, defaultSocketDir())
		t.port = cmp.Or(t.port, "5432")
		targets[n] = t
	}
	return targets, nil
}

// defaultSocketDir is libpq's, which distributions move.
func defaultSocketDir() string {
	const packaged = "/var/run/postgresql"
	if _, err := os.Stat(packaged); err == nil {
		return packaged
	}
	return "/tmp"
}

// walReceiverDatabase is the name under which libpq looks for the password of a
// connection for replication.
const walReceiverDatabase = "replication"

func (i *Instance) primaryConfig(ctx context.Context, t primaryTarget, values map[string]string) (*pgconn.Config, error) {
	config, err := i.parseAsUser(ctx, i.primaryString(t, values))
	if err != nil {
		return nil, err
	}
	config.User = cmp.Or(values["user"], i.runner().Name)
	config.Database = walReceiverDatabase
	config.Password = values["password"]
	if config.Password == "" {
		config.Password, err = i.passwordFor(t, walReceiverDatabase, config.User, values["passfile"])
	}
	if err != nil {
		return nil, err
	}
	config.RuntimeParams = map[string]string{
		"replication": "true", "application_name": applicationName, "client_encoding": "UTF8", "client_min_messages": "error",
	}
	if values["options"] != "" {
		config.RuntimeParams["options"] = values["options"]
	}
	config.MaxProtocolMessageBodyLen = maxMessage
	if t.addr != "" {
		config.LookupFunc = func(context.Context, string) ([]string, error) { return []string{t.addr}, nil }
	}
	config.DialFunc = i.primaryDialer(ctx, values["requirepeer"])
	config.ValidateConnect, err = wantedRole(values["target_session_attrs"])
	if err != nil {
		return nil, err
	}
	return config, limitTLS(config, values)
}

// primaryString is what is left to pgconn, of which every default that it would
// take from somewhere else is named. The password is not among it.
func (i *Instance) primaryString(t primaryTarget, values map[string]string) string {
	given := map[string]string{ //nolint:gosec // no credentials
		"host": t.host, "port": t.port, "user": "nobody", "passfile": "/dev/null", "target_session_attrs": "any",
		"sslcert": "", "sslkey": "", "sslrootcert": "",
	}
	home := i.runner().Home
	if filepath.IsAbs(home) {
		cert, key, root := home+"/.postgresql/postgresql.crt", home+"/.postgresql/postgresql.key", home+"/.postgresql/root.crt"
		if i.canRead(cert) && i.canRead(key) {
			given["sslcert"], given["sslkey"] = cert, key
		}
		if i.canRead(root) || strings.HasPrefix(values["sslmode"], "verify-") {
			given["sslrootcert"] = root
		}
	}
	for _, name := range handedOn {
		if values[name] != "" {
			given[name] = values[name]
		}
	}
	var b strings.Builder
	for name, value := range given {
		fmt.Fprintf(&b, "%s='%s' ", name, strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value))
	}
	return b.String()
}

// canRead says whether there is such a plain file for the system user.
func (i *Instance) canRead(path string) bool {
	return i.asRunner(func() error {
		f, err := openRegular(path, os.O_RDONLY, 0)
		if err == nil {
			f.Close()
		}
		return err
	}) == nil
}

// parseAsUser has pgconn read the string, and the files of certificates that it
// names, as the system user. That user may have put a pipe there, at which the
// reading would wait; ctx ends it all the same. pgconn's own error quotes the
// string, what it wraps does not.
func (i *Instance) parseAsUser(ctx context.Context, text string) (*pgconn.Config, error) {
	forgetEnvironment()
	type parsed struct {
		config *pgconn.Config
		err    error
	}
	result := make(chan parsed, 1)
	go func() {
		var p parsed
		err := i.asRunner(func() error {
			p.config, p.err = pgconn.ParseConfig(text)
			return nil
		})
		p.err = errors.Join(err, p.err)
		result <- p
	}()
	select {
	case p := <-result:
		if p.err == nil {
			return p.config, nil
		}
		var broken *pgconn.ParseConfigError
		if errors.As(p.err, &broken) {
			p.err = errors.Unwrap(broken)
		}
		if p.err == nil {
			p.err = errors.New("a parameter has a value that is not understood")
		}
		return nil, p.err
	case <-ctx.Done():
		return nil, fmt.Errorf("reading the certificates it names: %w", ctx.Err())
	}
}

// passwordFor looks into passfile, or ~/.pgpass, as the system user.
func (i *Instance) passwordFor(t primaryTarget, database, user, passfile string) (password string, err error) {
	if passfile == "" && filepath.IsAbs(i.runner().Home) {
		passfile = filepath.Join(i.runner().Home, ".pgpass")
	}
	if passfile == "" {
		return "", nil
	}
	host := t.host
	if host == defaultSocketDir() {
		host = "localhost"
	}
	err = i.asRunner(func() error {
		password = findPassword(readPrivate(passfile), host, t.port, database, user)
		return nil
	})
	return password, err
}

// primaryDialer connects as the system user, which a server on this machine sees.
func (i *Instance) primaryDialer(ctx context.Context, requirePeer string) pgconn.DialFunc {
	return func(dialing context.Context, network, address string) (net.Conn, error) {
		if network != "unix" {
			return (&net.Dialer{}).DialContext(dialing, network, address)
		}
		return i.dialAsUser(dialing, address, func(peer *syscall.Ucred) error {
			if requirePeer == "" {
				return nil
			}
			wanted, err := command.LookupUser(ctx, requirePeer)
			if err == nil && wanted.UID != peer.Uid {
				err = fmt.Errorf("requirepeer specifies %q, but the server belongs to uid %d", requirePeer, peer.Uid)
			}
			return err
		})
	}
}

// wantedRole is target_session_attrs. What a session may write is taken from the
// server's role.
func wantedRole(attrs string) (pgconn.ValidateConnectFunc, error) {
	var standby bool
	switch attrs {
	case "", "any", "prefer-standby":
		return nil, nil
	case "read-write", "primary":
	case "read-only", "standby":
		standby = true
	default:
		return nil, errors.New("target_session_attrs has a value that is not understood")
	}
	return func(ctx context.Context, conn *pgconn.PgConn) error {
		found, err := (&Conn{conn: conn}).isStandby(ctx)
		if err == nil && found != standby {
			err = fmt.Errorf("target_session_attrs=%s, and the server is of the other kind", attrs)
		}
		return err
	}, nil
}

// limitTLS applies the versions of TLS that are allowed. There are 1.2 and 1.3 here.
func limitTLS(config *pgconn.Config, values map[string]string) error {
	lowest := map[string]uint16{"": 0, "TLSv1": 0, "TLSv1.1": 0, "TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13}
	highest := map[string]uint16{"": 0, "TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13}
	least, known := lowest[values["ssl_min_protocol_version"]]
	most, alsoKnown := highest[values["ssl_max_protocol_version"]]
	if !known || !alsoKnown {
		return errors.New("ssl_min_protocol_version or ssl_max_protocol_version names another version than TLSv1.2 or TLSv1.3")
	}
	for _, t := range append([]*pgconn.FallbackConfig{{TLSConfig: config.TLSConfig}}, config.Fallbacks...) {
		if t.TLSConfig != nil {
			t.TLSConfig.MinVersion, t.TLSConfig.MaxVersion = least, most
		}
	}
	return nil
}
