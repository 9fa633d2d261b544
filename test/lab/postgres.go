package lab

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
)

// setUpPostgres leaves the databases as an administrator does before the
// resource is created: a primary on the first node and its standbys, all
// cleanly shut down, so that the agent has to find out who the primary is.
func (l *Lab) setUpPostgres(ctx context.Context) error {
	nodes := l.Nodes()
	if err := l.makePrimary(ctx, nodes[0].Name); err != nil {
		return err
	}
	return l.eachNode(func(n Node) error {
		if n.Name == nodes[0].Name {
			return nil
		}
		return l.makeStandby(ctx, nodes[0].Name, n.Name)
	})
}

func (l *Lab) makePrimary(ctx context.Context, node string) error {
	f := l.plan.Facts
	_, err := l.runAs(ctx, node, "postgres", f.bindir()+"/initdb", "--pgdata", f.pgdata(),
		"--username", "postgres", "--auth", "peer", "--encoding", "UTF8", "--locale", "C.UTF-8", "--data-checksums", "--no-sync")
	if err != nil {
		return err
	}
	sql := "create role " + replUser + " login superuser replication;" // superuser: pg_rewind reads files with it
	// In single-user mode: there is no need to start a server for one statement.
	res, err := l.Exec(ctx, node, ExecOptions{User: "postgres", Stdin: strings.NewReader(sql + "\n")},
		f.bindir()+"/postgres", "--single", "-D", f.pgdata(), "-c", "config_file="+f.pgconf()+"/postgresql.conf", "-c", "logging_collector=off",
		// No standby is there yet to confirm the commit.
		"-c", "synchronous_standby_names=", "postgres")
	if err != nil {
		return err
	}
	if res.Code != 0 || strings.Contains(res.Stderr, "ERROR") {
		return fmt.Errorf("creating the role %s on %s: %s%s", replUser, node, res.Stdout, res.Stderr)
	}
	return nil
}

// makeStandby copies the primary's files, which are at rest, and runs the copy
// once as a standby, so that its shutdown is recorded as a standby's.
func (l *Lab) makeStandby(ctx context.Context, primary, node string) error {
	f := l.plan.Facts
	from := filepath.Join(nodeDir(l.dir, primary), "data")
	to := filepath.Join(nodeDir(l.dir, node), "data")
	if err := runTool(ctx, nil, "cp", "-a", from+"/.", to); err != nil {
		return err
	}
	if err := l.WriteFile(node, f.pgdata()+"/standby.signal", nil, 0o600, "postgres"); err != nil {
		return err
	}
	for _, action := range []string{"start", "stop"} {
		if err := l.PgCtl(ctx, node, action); err != nil {
			return err
		}
	}
	return nil
}

// PgCtl runs pg_ctl start, stop (fast), restart (fast) or promote on a node, as an
// administrator does by hand, and waits until it is done.
func (l *Lab) PgCtl(ctx context.Context, node, action string) error {
	f := l.plan.Facts
	_, err := l.runAs(ctx, node, "postgres", f.bindir()+"/pg_ctl", action, "--wait", "--silent",
		"--pgdata", f.pgdata(), "--log", "/var/log/postgresql/start.log", "--mode", "fast",
		"--options", "-c config_file="+f.pgconf()+"/postgresql.conf")
	return err
}

// ConfigurePostgres writes every powered node's postgresql.conf anew, with these settings added to
// or replacing the lab's, and has it read. Settings of an earlier call do not stay.
func (l *Lab) ConfigurePostgres(ctx context.Context, settings map[string]string) error {
	c := l.plan.Config
	c.PGConf = merged(merged(map[string]string{}, c.PGConf), settings)
	power, err := l.Power(ctx)
	if err != nil {
		return err
	}
	return l.eachNode(func(n Node) error {
		if !power[n.Name].Powered {
			return nil
		}
		text := pgConf(c, l.plan.Facts, l.Nodes(), n)
		if err := l.WriteFile(n.Name, l.PGConf()+"/postgresql.conf", []byte(text), 0o644, "postgres"); err != nil {
			return err
		}
		_, err := l.SQL(ctx, n.Name, "select pg_reload_conf()")
		return err
	})
}

// DataDir is where the host has a node's data directory; it is there without power, too.
func (l *Lab) DataDir(node string) string {
	rel, _ := strings.CutPrefix(l.plan.Facts.pgdata(), "/var/lib/postgresql")
	return filepath.Join(nodeDir(l.dir, node), "data", rel)
}

// LogFile is where the host has a file that a node has written, by its path in
// the node; it is there without power, too.
func (l *Lab) LogFile(node, path string) string {
	return filepath.Join(nodeDir(l.dir, node), "upper", path)
}
