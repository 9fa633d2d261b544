package pg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Checkup is how an instance is set up, as far as that decides whether replication and
// failovers work.
type Checkup struct {
	Settings map[string]string // in PostgreSQL's own units, see pg_settings; without primary_conninfo
	Slots    []Slot

	// Archiving is the WAL segment whose archiving failed last and has not worked since;
	// empty where it works, or nothing is archived, as on a standby, which keeps the figures
	// of when it was the primary.
	Archiving string

	// Ahead is how far the server's clock is before this machine's, negative when it is
	// behind; Doubt is how wrong that may be, either way: half of the question's time.
	Ahead, Doubt time.Duration
}

// Slot is a replication slot.
type Slot struct {
	Name     string
	Active   bool
	Logical  bool   // no standby can stream by it
	Synced   bool   // copied from the primary, which PostgreSQL itself does on a standby; without a meaning on a primary
	Retained uint64 // bytes of WAL that it keeps from being removed; 0 if it keeps none
	Status   string // wal_status: reserved, extended, unreserved, lost; empty before PostgreSQL 13, and where it keeps none
}

// SlotLost is the Status of a slot that has been invalidated, as a rule since the server has
// removed its WAL: it keeps none. Since SlotRefusedMajor nobody can stream by it any more.
const SlotLost = "lost"

// SlotRefusedMajor is the first version that lets no standby stream by a slot that has been
// invalidated; before, it streams all the same (StartReplication in walsender.c).
const SlotRefusedMajor = 18

const slotsSQL = `
SELECT slot_name, active, pg_catalog.pg_wal_lsn_diff(
    CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END, restart_lsn),
  pg_catalog.to_jsonb(s) ->> 'wal_status', slot_type = 'logical', (pg_catalog.to_jsonb(s) ->> 'synced')::pg_catalog.bool
FROM pg_catalog.pg_replication_slots s ORDER BY slot_name`

const checkupSQL = `
SELECT extract(epoch FROM pg_catalog.clock_timestamp());
SELECT name, setting FROM pg_catalog.pg_settings
WHERE name LIKE 'recovery\_target%' OR name IN ('wal_level', 'hot_standby', 'max_wal_senders', 'fsync', 'full_page_writes',
  'wal_log_hints', 'data_checksums', 'wal_keep_size', 'wal_keep_segments', 'wal_segment_size', 'max_slot_wal_keep_size',
  'restore_command', 'primary_slot_name', 'synchronous_standby_names', 'synchronous_commit', 'server_version', 'archive_mode',
  'max_connections', 'max_worker_processes', 'max_prepared_transactions', 'max_locks_per_transaction');
` + slotsSQL + `;
SELECT last_failed_wal FROM pg_catalog.pg_stat_archiver
WHERE (pg_catalog.current_setting('archive_mode') = 'always' OR pg_catalog.current_setting('archive_mode') = 'on' AND NOT pg_catalog.pg_is_in_recovery())
  AND last_failed_time > COALESCE(last_archived_time, '-infinity')`

// Checkup asks the server.
func (c *Conn) Checkup(ctx context.Context) (Checkup, error) {
	asked := time.Now()
	tables, err := c.query(ctx, checkupSQL)
	if err != nil {
		return Checkup{}, err
	}
	return readCheckup(tables, asked, time.Now())
}

func readCheckup(tables [][]row, asked, answered time.Time) (Checkup, error) {
	if len(tables) != 4 || len(tables[0]) != 1 {
		return Checkup{}, fmt.Errorf("the server gave %d results to a checkup, expected 4", len(tables))
	}
	p := Checkup{Settings: map[string]string{}, Doubt: answered.Sub(asked) / 2}
	if clock := unixTime(tables[0][0], 0); !clock.IsZero() {
		p.Ahead = clock.Sub(asked.Add(p.Doubt))
	}
	for _, r := range tables[1] {
		p.Settings[r.text(0)] = r.text(1)
	}
	p.Slots = readSlots(tables[2])
	for _, r := range tables[3] {
		p.Archiving = r.text(0)
	}
	return p, nil
}

func readSlots(rows []row) (all []Slot) {
	for _, r := range rows {
		s := Slot{Name: r.text(0), Active: r.bool(1), Status: r.text(3), Logical: r.bool(4), Synced: r.bool(5)}
		if n, err := strconv.ParseInt(r.text(2), 10, 64); err == nil && n > 0 {
			s.Retained = uint64(n)
		}
		all = append(all, s)
	}
	return all
}

// Checkup connects to the running instance as the system user and asks it.
func (i *Instance) Checkup(ctx context.Context) (Checkup, error) {
	c, err := i.Connect(ctx)
	if err != nil {
		return Checkup{}, err
	}
	defer c.Close()
	return c.Checkup(ctx)
}

// CheckupAt is that of another server, reached as Neighbour does.
func (i *Instance) CheckupAt(ctx context.Context, conninfo Conninfo) (Checkup, error) {
	c, err := i.Neighbour(ctx, conninfo)
	if err != nil {
		return Checkup{}, err
	}
	defer c.Close()
	return c.Checkup(ctx)
}

// TryReplication connects to another server for replication, as this instance's WAL
// receiver would, has it identify itself, and leaves: it takes a free walsender for that
// moment and no slot. It returns the server's system identifier.
func (i *Instance) TryReplication(ctx context.Context, conninfo Conninfo) (string, error) {
	configs, err := i.primaryConfigs(ctx, conninfo.values)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrConninfo, err)
	}
	var errs []error
	for _, config := range configs {
		conn, err := pgconn.ConnectConfig(ctx, config)
		if err != nil {
			errs = append(errs, &connectError{address: addressOf(config.Host, int(config.Port)), err: err})
			continue
		}
		return identify(ctx, &Conn{conn: conn})
	}
	if len(errs) == 0 {
		return "", errors.New("primary_conninfo names no server")
	}
	return "", joined(errs)
}

// identify has a server name its system, and leaves.
func identify(ctx context.Context, c *Conn) (system string, err error) {
	defer c.Close()
	r, err := c.single(ctx, "IDENTIFY_SYSTEM", 1)
	return r.text(0), err
}

// OldData are the directories beside the data directory in which a rejoin has kept the data
// that were there before it, the oldest first.
func (i *Instance) OldData() (found []string, err error) {
	err = i.asUser(func() error {
		dir, err := i.realDataDir()
		if err != nil {
			return err
		}
		entries, err := os.ReadDir(filepath.Dir(dir))
		if err != nil {
			return err
		}
		for _, e := range entries { // in the order of their names, which end with the time
			if e.IsDir() && strings.HasPrefix(e.Name(), filepath.Base(dir)+keptSuffix) {
				found = append(found, filepath.Join(filepath.Dir(dir), e.Name()))
			}
		}
		return nil
	})
	return found, err
}

// Space is how much room there is on a file system.
type Space struct {
	Path        string
	Free, Total uint64 // bytes; free ones for others than root

	FreeFiles, Files uint64 // inodes; Files is 0 where the file system makes them as it needs them
}

// Space looks at those of the data directory and of pg_wal, and of the tablespaces that are
// on none of these, as the system user. What could be told is told beside an error.
func (i *Instance) Space() (found []Space, err error) {
	err = i.asUser(func() error {
		seen := map[syscall.Fsid]bool{}
		look := func(path string, again bool) error {
			var s syscall.Statfs_t
			if err := syscall.Statfs(path, &s); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			if again || !seen[s.Fsid] {
				block := uint64(max(s.Bsize, 0))
				found = append(found, Space{Path: path, Free: s.Bavail * block, Total: s.Blocks * block, FreeFiles: s.Ffree, Files: s.Files})
			}
			seen[s.Fsid] = true
			return nil
		}
		for _, name := range []string{"", "pg_wal"} {
			if err := look(filepath.Join(i.cfg.DataDir, name), true); err != nil {
				return err
			}
		}
		links := filepath.Join(i.cfg.DataDir, "pg_tblspc")
		entries, err := os.ReadDir(links)
		if err != nil {
			return err
		}
		var errs []error
		for _, e := range entries {
			errs = append(errs, look(filepath.Join(links, e.Name()), false))
		}
		return errors.Join(errs...)
	})
	return found, err
}
