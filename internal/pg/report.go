package pg

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"pgsqlms/internal/wal"
)

// Report is what an instance tells a person who looks after it, in one round trip. It
// costs more than Status, and no monitor asks for it.
type Report struct {
	// Blind is the role that it was asked by, where that role may not read what others do
	// (pg_read_all_stats, of which pg_monitor and superusers have the rights): PostgreSQL then
	// has no states and no positions in pg_stat_replication and pg_stat_wal_receiver, and
	// Receiver and Standbys are not known. Empty where it may.
	Blind string

	System     string // the system identifier, the same on all nodes of one cluster
	Version    string // of the server, as in "15.6 (Debian 15.6-0+deb12u1)"
	Started    time.Time
	InRecovery bool

	// End is how far the instance has written, of a primary, or what it holds on disk,
	// of a standby: the larger of received and replayed. A standby without a WAL
	// receiver may hold more than it knows of.
	End wal.Position

	// Of a standby.
	Receive      wal.LSN        // zero while nothing was received since the start
	Replay       wal.LSN        // zero if unknown
	ReplayPaused bool           //
	Behind       *time.Duration // since the last replayed transaction's commit, 0 when all is replayed; nil if unknown
	Receiver     *ReceiverReport

	// PendingRestart are the settings that were changed and wait for a restart.
	PendingRestart []string

	SynchronousStandbyNames string          // set on a standby too, without effect there
	Standbys                []StandbyReport // who streams from this instance
}

// ReceiverReport is a standby's WAL receiver.
type ReceiverReport struct {
	Status   string // as in Receiver
	Timeline wal.Timeline
	Host     string // from which it receives, empty if not told
	Port     string
	Slot     string
	End      wal.LSN // as in Receiver; zero while it is not known
}

// Streams says that a standby's WAL receiver streams, by the rule of Status; again that it
// receives what was replayed long since, again and again.
func (p *Report) Streams() (yes, again bool) {
	if p.Receiver == nil || p.Receiver.Status != "streaming" {
		return false, false
	}
	again = p.Receive != 0 && p.Receive < p.Replay && p.Receiver.End < p.Replay
	return !again, again
}

// StandbyReport is a row of pg_stat_replication with what a person wants to know.
type StandbyReport struct {
	Standby
	Address   string // where it comes from; empty for a Unix socket
	WriteLag  *time.Duration
	FlushLag  *time.Duration
	ReplayLag *time.Duration // nil while there is nothing to measure: it is idle and has all
}

// reportSQL takes the receiver's address by way of JSON because it has one only since
// PostgreSQL 11. Times are lengths and seconds of Unix, which no setting changes.
const reportSQL = `
WITH role AS (SELECT pg_catalog.pg_is_in_recovery() AS standby)
SELECT role.standby,
       CASE WHEN NOT role.standby THEN pg_catalog.pg_current_wal_lsn() END,
       CASE WHEN NOT role.standby THEN pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()) END,
       CASE WHEN role.standby THEN pg_catalog.pg_last_wal_receive_lsn() END,
       CASE WHEN role.standby THEN pg_catalog.pg_last_wal_replay_lsn() END,
       CASE WHEN role.standby THEN pg_catalog.pg_is_wal_replay_paused() END,
       CASE WHEN role.standby THEN extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp()) END,
       GREATEST((pg_catalog.pg_control_checkpoint()).timeline_id,
                (pg_catalog.pg_control_recovery()).min_recovery_end_timeline),
       (pg_catalog.pg_control_system()).system_identifier,
       pg_catalog.current_setting('server_version'),
       extract(epoch FROM pg_catalog.pg_postmaster_start_time()),
       pg_catalog.current_setting('synchronous_standby_names'),
       (SELECT pg_catalog.string_agg(name, ',' ORDER BY name) FROM pg_catalog.pg_settings WHERE pending_restart),
       receiver.pid,
       receiver.status,
       receiver.received_tli,
       pg_catalog.to_jsonb(receiver) ->> 'sender_host',
       pg_catalog.to_jsonb(receiver) ->> 'sender_port',
       receiver.slot_name,
       pg_catalog.pg_has_role('pg_read_all_stats', 'usage'),
       current_user,
       receiver.latest_end_lsn
FROM role LEFT JOIN pg_catalog.pg_stat_wal_receiver AS receiver ON role.standby;
SELECT application_name, state, sync_state, sent_lsn, write_lsn, flush_lsn, replay_lsn,
       pg_catalog.host(client_addr),
       extract(epoch FROM write_lag), extract(epoch FROM flush_lag), extract(epoch FROM replay_lag)
FROM pg_catalog.pg_stat_replication
ORDER BY application_name, pid`

const (
	reportColumns        = 22
	reportStandbyColumns = 11
)

// Report asks the instance for it.
func (c *Conn) Report(ctx context.Context) (Report, error) {
	tables, err := c.query(ctx, reportSQL)
	if sqlState(err) == codeNotInState { // promoted between two of its function calls
		tables, err = c.query(ctx, reportSQL)
	}
	if err != nil {
		return Report{}, err
	}
	if len(tables) != 2 {
		return Report{}, fmt.Errorf("the server gave %d results to a report query, expected 2", len(tables))
	}
	return readReport(tables[0], tables[1])
}

// Report connects to the running instance as the system user and asks it.
func (i *Instance) Report(ctx context.Context) (Report, error) {
	c, err := i.Connect(ctx)
	if err != nil {
		return Report{}, err
	}
	defer c.Close()
	return c.Report(ctx)
}

func readReport(self, standbys []row) (Report, error) {
	r, err := only(self, reportColumns)
	if err != nil {
		return Report{}, err
	}
	p := Report{
		InRecovery: r.bool(0), System: r.text(8), Version: r.text(9), Started: unixTime(r, 10),
		SynchronousStandbyNames: r.text(11), PendingRestart: list(r.text(12)),
	}
	if !r.bool(19) {
		p.Blind = r.text(20)
	}
	if p.InRecovery {
		err = p.readStandbySide(r)
	} else {
		p.End, err = currentPosition(r)
	}
	if err != nil {
		return Report{}, fmt.Errorf("the server's report: %w", err)
	}
	if p.Blind != "" {
		return p, nil
	}
	for _, r := range standbys {
		standby, err := readStandbyReport(r)
		if err != nil {
			return Report{}, fmt.Errorf("the server's pg_stat_replication: %w", err)
		}
		p.Standbys = append(p.Standbys, standby)
	}
	return p, nil
}

func (p *Report) readStandbySide(r row) error {
	receive, err := r.lsn(3)
	if err != nil {
		return err
	}
	replay, err := r.lsn(4)
	if err != nil {
		return err
	}
	p.Receive, p.Replay = orZero(receive), orZero(replay)
	p.End.LSN = max(p.Receive, p.Replay)
	p.ReplayPaused = r.bool(5)
	if p.End.LSN == p.Replay && p.Replay != 0 {
		p.Behind = new(time.Duration)
	} else {
		p.Behind = duration(r, 6)
	}
	if p.End.Timeline, err = r.timeline(7); err != nil || r.null(13) || p.Blind != "" {
		return err
	}
	p.Receiver = &ReceiverReport{Status: r.text(14), Host: r.text(16), Port: r.text(17), Slot: r.text(18)}
	if p.Receiver.Timeline, err = r.timeline(15); err != nil {
		return err
	}
	p.End.Timeline = max(p.End.Timeline, p.Receiver.Timeline)
	end, err := r.lsn(21)
	p.Receiver.End = orZero(end)
	return err
}

func readStandbyReport(r row) (StandbyReport, error) {
	if len(r) < reportStandbyColumns {
		return StandbyReport{}, fmt.Errorf("a row of %d columns, expected %d", len(r), reportStandbyColumns)
	}
	standby, err := readStandby(r)
	return StandbyReport{
		Standby: standby, Address: r.text(7),
		WriteLag: duration(r, 8), FlushLag: duration(r, 9), ReplayLag: duration(r, 10),
	}, err
}

// list takes a comma-separated list apart; none gives nil.
func list(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

// maxSeconds is more than any length or moment that makes sense, and less than what a
// time.Duration holds.
const maxSeconds = 9e9

// duration reads a number of seconds; nil for NULL and for what is none. A clock that
// goes wrong makes a length negative, which is 0.
func duration(r row, n int) *time.Duration {
	seconds, err := strconv.ParseFloat(r.text(n), 64)
	if err != nil || math.IsNaN(seconds) || math.Abs(seconds) > maxSeconds {
		return nil
	}
	d := time.Duration(max(seconds, 0) * float64(time.Second))
	return &d
}

// unixTime keeps the microseconds that PostgreSQL gives: by them alone two instances that
// Pacemaker started at once are told apart.
func unixTime(r row, n int) time.Time {
	seconds, err := strconv.ParseFloat(r.text(n), 64)
	if err != nil || math.IsNaN(seconds) || math.Abs(seconds) > maxSeconds {
		return time.Time{}
	}
	return time.UnixMicro(int64(math.Round(seconds * 1e6)))
}
