package pg

import (
	"context"
	"errors"

	"pgsqlms/internal/wal"
)

var errStub = errors.New("not written yet")

// ---- data directory

// Sentinels of CheckDataDir and Version, for errors.Is.
var (
	ErrDataDirMissing     = errors.New("the data directory does not exist")
	ErrNotDirectory       = errors.New("the data directory is not a directory")
	ErrDataDirAccess      = errors.New("the data directory has a wrong owner or mode") // also: not reachable by the user
	ErrVersionMissing     = errors.New("PG_VERSION does not exist")
	ErrVersionGarbage     = errors.New("PG_VERSION cannot be understood")
	ErrVersionUnsupported = errors.New("unsupported version of PostgreSQL")
	ErrNotRegular         = errors.New("not a regular file")
	ErrBinary             = errors.New("a program of PostgreSQL is missing or not executable") // also: bindir missing
	ErrVersionMismatch    = errors.New("the programs and the data are of different major versions")
	ErrControlCRC         = errors.New("pg_control has a wrong checksum")
	ErrControlUnreadable  = errors.New("pg_control cannot be read")
)

// CheckDataDir checks what the server checks: exists, is a directory, is the
// user's, mode 0700 or 0750. ErrDataDirMissing, ErrNotDirectory, ErrDataDirAccess.
func (i *Instance) CheckDataDir() error { return errStub }

// Version is the data's major version, 10 or higher, from PG_VERSION.
// ErrDataDirMissing, ErrVersionMissing, ErrVersionGarbage, ErrVersionUnsupported.
func (i *Instance) Version() (int, error) { return 0, errStub }

// CheckBinaries checks that bindir has postgres, pg_ctl and pg_controldata,
// executable. Starts nothing. ErrBinary.
func (i *Instance) CheckBinaries() error { return errStub }

// CheckVersion compares `postgres --version` with Version. ErrVersionMismatch.
func (i *Instance) CheckVersion(ctx context.Context) error { return errStub }

// BackupLabel says whether backup_label is there: the data is a base backup
// that was never started, or a backup was in progress.
func (i *Instance) BackupLabel() (bool, error) { return false, errStub }

// StandbySignal says whether standby.signal (recovery.conf before 12) is there.
func (i *Instance) StandbySignal() (bool, error) { return false, errStub }

// SetStandby makes the next start one as a standby, durably. ErrNotRegular.
func (i *Instance) SetStandby(ctx context.Context) error { return errStub }

// History is the descent of timeline t, from pg_wal. Timeline 1 has no file.
func (i *Instance) History(t wal.Timeline) (wal.History, error) { return wal.History{}, errStub }

// ---- pg_control

// State is the cluster state in pg_control, in pg_controldata's words.
type State string

// The states PostgreSQL knows.
const (
	StateStartingUp       State = "starting up"
	StateShutDown         State = "shut down"
	StateShutDownRecovery State = "shut down in recovery"
	StateShuttingDown     State = "shutting down"
	StateCrashRecovery    State = "in crash recovery"
	StateArchiveRecovery  State = "in archive recovery"
	StateInProduction     State = "in production"
)

// ControlData is what pg_control says.
type ControlData struct {
	State               State
	SystemIdentifier    uint64
	Checkpoint          wal.LSN // latest checkpoint's own record
	Redo                wal.LSN // where recovery from it begins
	Timeline            wal.Timeline
	PrevTimeline        wal.Timeline
	MinRecoveryEnd      wal.Position // zero when none
	BackupStart         wal.LSN
	BackupEnd           wal.LSN
	EndOfBackupRequired bool
	WALSegmentBytes     uint64
	WALLevel            string
}

// ParseControlData reads pg_controldata's output (LC_ALL=C), by label.
func ParseControlData(output string) (ControlData, error) { return ControlData{}, errStub }

// Control runs pg_controldata as the user. ErrControlCRC, ErrControlUnreadable.
func (i *Instance) Control(ctx context.Context) (ControlData, error) {
	return ControlData{}, errStub
}

// ---- processes

// Processes is what runs on the data directory.
type Processes struct {
	Postmaster   int   // pid, 0 for none
	Stopped      bool  // the postmaster is stopped by a signal (state T)
	Children     []int // of the postmaster
	Orphans      []int // server processes that no postmaster supervises
	SharedMemory bool  // the segment named in postmaster.pid is still attached
}

// Running says whether anything at all of the data directory runs.
func (p Processes) Running() bool {
	return p.Postmaster != 0 || len(p.Orphans) > 0 || p.SharedMemory
}

// Processes looks, without starting any. An error means it cannot be told.
func (i *Instance) Processes() (Processes, error) { return Processes{}, errStub }

// PostmasterStatus is the status word of postmaster.pid.
type PostmasterStatus string

// The status words; StatusNone when the file has none.
const (
	StatusNone     PostmasterStatus = ""
	StatusStarting PostmasterStatus = "starting"
	StatusStopping PostmasterStatus = "stopping"
	StatusReady    PostmasterStatus = "ready"
	StatusStandby  PostmasterStatus = "standby" // up, but accepts no connections (hot_standby off)
)

// PostmasterStatus reads it, without starting any process. The file may be a
// left-over: it says something only while Processes finds a postmaster.
func (i *Instance) PostmasterStatus() PostmasterStatus { return StatusNone }

// ---- acting

// Launched is a server that was started and not waited for.
type Launched struct{}

// Pid is the postmaster's.
func (l *Launched) Pid() int { return 0 }

// Exited says whether the server has already ended, and how: nil for exit
// code 0. While it has not, wait for PostmasterStatus.
func (l *Launched) Exited() (bool, error) { return false, nil }

// Launch starts the server and does not wait for it. Only a program that could
// not be started at all is an error here.
func (i *Instance) Launch(ctx context.Context) (*Launched, error) { return nil, errStub }

// ShutdownMode is how the server ends.
type ShutdownMode string

// The modes.
const (
	Fast      ShutdownMode = "fast"      // disconnects clients, writes a checkpoint
	Immediate ShutdownMode = "immediate" // no checkpoint; the next start recovers
)

// Shutdown tells the postmaster to end and does not wait. No postmaster: nil.
// It starts no program and needs neither BinDir nor configuration.
func (i *Instance) Shutdown(ctx context.Context, mode ShutdownMode) error { return errStub }

// KillOrphans ends the server processes that no postmaster supervises
// (SIGKILL), and does not wait.
func (i *Instance) KillOrphans(ctx context.Context) error { return errStub }

// Promote tells a standby to become primary and does not wait.
func (i *Instance) Promote(ctx context.Context) error { return errStub }

// Reload tells the server to read its configuration again.
func (i *Instance) Reload(ctx context.Context) error { return errStub }

// Settings asks `postgres -C` for settings as a start would use them, without
// a running server. Values may hold passwords (primary_conninfo).
func (i *Instance) Settings(ctx context.Context, names ...string) (map[string]string, error) {
	return nil, errStub
}

// SplitOptions splits start_opts as a shell splits words and quotes.
func SplitOptions(s string) ([]string, error) { return nil, errStub }

// ParseConninfo reads a libpq connection string, keyword/value or URI. Its
// errors quote no values.
func ParseConninfo(s string) (map[string]string, error) { return nil, errStub }

// ---- SQL

// Conn is a connection to the instance. Every method ends with its ctx.
type Conn struct{}

// Connect opens one, over the socket as the user. Judge its error with
// IsStartingUp, IsTooManyConnections, IsRefused, IsTimeout, IsAuth and IsOtherInstance.
func (i *Instance) Connect(ctx context.Context) (*Conn, error) { return nil, errStub }

// Close ends it.
func (c *Conn) Close() {}

// Status is what one round trip tells.
type Status struct {
	InRecovery bool

	// On a primary.
	Current                 wal.Position // end of the WAL written
	SynchronousStandbyNames string

	// On a standby; nil where PostgreSQL says NULL.
	Receive      *wal.LSN
	Replay       *wal.LSN
	Receiver     *Receiver // nil: no WAL receiver is running
	ReplayPaused bool

	// On both: who streams from here.
	Standbys []Standby
}

// Receiver is a standby's WAL receiver.
type Receiver struct {
	Status   string // "streaming", "starting", "waiting", ...
	Timeline wal.Timeline
}

// Standby is one row of pg_stat_replication. LSNs are nil where it has NULL.
type Standby struct {
	ApplicationName string
	State           string // "streaming", "catchup", "startup", "backup", "stopping"
	SyncState       string // "sync", "quorum", "potential", "async"
	Sent            *wal.LSN
	Write           *wal.LSN
	Flush           *wal.LSN
	Replay          *wal.LSN
}

// Status asks for it all in one round trip.
func (c *Conn) Status(ctx context.Context) (Status, error) { return Status{}, errStub }

// InRecovery says whether the instance is a standby (or recovering).
func (c *Conn) InRecovery(ctx context.Context) (bool, error) { return false, errStub }

// Checkpoint runs a CHECKPOINT and waits for it, within ctx.
func (c *Conn) Checkpoint(ctx context.Context) error { return errStub }

// Position is the end of the write-ahead log the running instance has, and on
// which timeline. Never a checkpoint.
func (i *Instance) Position(ctx context.Context) (wal.Position, error) {
	return wal.Position{}, errStub
}

// IsStartingUp says that the server is there and does not accept connections
// yet, or no more (57P03); NotReady says which.
func IsStartingUp(err error) bool { return false }

// Phase is why a server does not accept connections.
type Phase string

// The phases.
const (
	PhaseUnknown       Phase = ""               // a 57P03 in another language
	PhaseStarting      Phase = "starting up"    // replaying, not consistent yet
	PhaseNotConsistent Phase = "not consistent" // 14+: hot standby, replay not far enough yet
	PhaseNoHotStandby  Phase = "no hot standby" // hot_standby is off: it will never accept any
	PhaseShuttingDown  Phase = "shutting down"
	PhaseRecovering    Phase = "recovering" // after the crash of a backend
)

// NotReady is the phase of an IsStartingUp error.
func NotReady(err error) Phase { return PhaseUnknown }

// IsTooManyConnections says that all slots are used (53300).
func IsTooManyConnections(err error) bool { return false }

// IsRefused says that nobody listens: connection refused, or no socket.
func IsRefused(err error) bool { return false }

// IsTimeout says that ctx ended before the answer.
func IsTimeout(err error) bool { return false }

// IsAuth says that the server refused the role (SQLSTATE class 28).
func IsAuth(err error) bool { return false }

// IsOtherInstance says that whoever listens on the socket is not this data
// directory's postmaster: another instance, or a stranger's process.
func IsOtherInstance(err error) bool { return false }
