package pg

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Conninfo is how this instance reaches a primary: its primary_conninfo, taken apart. It
// may hold a password, so it prints nothing of itself.
type Conninfo struct {
	values map[string]string
}

// String hides what is in it.
func (c Conninfo) String() string { return "primary_conninfo" }

// GoString hides what is in it, for %#v.
func (c Conninfo) GoString() string { return c.String() }

// Empty says that none is set.
func (c Conninfo) Empty() bool { return len(c.values) == 0 }

// Host is the host or list of hosts in it; empty for the local socket.
func (c Conninfo) Host() string {
	if host := c.values["hostaddr"]; host != "" {
		return host
	}
	return c.values["host"]
}

// ApplicationName is the name by which a primary knows this standby.
func (c Conninfo) ApplicationName() string { return c.values["application_name"] }

// TargetSessionAttrs is which of several hosts libpq takes; empty for any.
func (c Conninfo) TargetSessionAttrs() string { return c.values["target_session_attrs"] }

// At is the same for the server on another host: same user, port and trust. A server
// that asks for the password in clear is refused there, unless require_auth says
// otherwise: the administrator named the primary's address, and not this one.
func (c Conninfo) At(host string) Conninfo {
	values := maps.Clone(c.values)
	values["host"] = host
	delete(values, "hostaddr")
	delete(values, "target_session_attrs")
	values["port"], _, _ = strings.Cut(values["port"], ",")
	if values["require_auth"] == "" {
		values["require_auth"] = "!password"
	}
	return Conninfo{values}
}

// Conninfo is what the running instance uses, or where that does not answer in half of
// the time, what its configuration says. Its errors never quote it.
func (i *Instance) Conninfo(ctx context.Context) (Conninfo, error) {
	text, err := i.conninfoInForce(ctx)
	if err != nil {
		const name = "primary_conninfo"
		settings, fileErr := i.Settings(ctx, name)
		if fileErr != nil {
			return Conninfo{}, fileErr
		}
		text = settings[name]
	}
	values, err := ParseConninfo(text)
	if err != nil {
		return Conninfo{}, fmt.Errorf("primary_conninfo: %w", err)
	}
	return Conninfo{values}, nil
}

func (i *Instance) conninfoInForce(ctx context.Context) (string, error) {
	if deadline, bounded := ctx.Deadline(); bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
	}
	c, err := i.Connect(ctx)
	if err != nil {
		return "", err
	}
	defer c.Close()
	r, err := c.single(ctx, "SELECT pg_catalog.current_setting('primary_conninfo')", 1)
	return r.text(0), err
}

// Neighbour connects to database postgres of another server, as the system user, in the
// way that c tells: as this instance's WAL receiver would, but not for replication. The
// other side's pg_hba.conf has to let it in, which it need not do for replication. What
// is not understood of primary_conninfo is an error, see primaryConfigs.
func (i *Instance) Neighbour(ctx context.Context, c Conninfo) (*Conn, error) {
	configs, err := i.primaryConfigs(ctx, c.values)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConninfo, err)
	}
	var errs []error
	for n, config := range configs {
		if err := i.makeOrdinary(config, c.values); err != nil {
			return nil, err
		}
		conn, err := pgconn.ConnectConfig(ctx, config)
		if err == nil {
			return &Conn{conn: conn}, nil
		}
		errs = append(errs, &connectError{address: addressOf(configs[n].Host, int(configs[n].Port)), err: err})
	}
	return nil, joined(errs)
}

// makeOrdinary makes a connection for replication one for SQL. A password for that
// database goes before the one for replication, which the configuration already has.
func (i *Instance) makeOrdinary(config *pgconn.Config, values map[string]string) error {
	config.Database = database
	delete(config.RuntimeParams, "replication")
	config.RuntimeParams["search_path"] = "pg_catalog"
	config.RuntimeParams["statement_timeout"] = "0"
	if values["password"] != "" {
		return nil
	}
	t := primaryTarget{host: config.Host, port: fmt.Sprint(config.Port)}
	password, err := i.passwordFor(t, database, config.User, values["passfile"])
	if password != "" {
		config.Password = password
	}
	return err
}

// ReportAt is the report of another server.
func (i *Instance) ReportAt(ctx context.Context, c Conninfo) (Report, error) {
	conn, err := i.Neighbour(ctx, c)
	if err != nil {
		return Report{}, err
	}
	defer conn.Close()
	return conn.Report(ctx)
}
