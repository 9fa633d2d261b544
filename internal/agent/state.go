package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"pgsqlms/internal/wal"
)

// memory is what one action remembers for the next one on this node. All of it can
// be lost at any time: it saves questions to the cluster, and decides nothing that
// could cost data. (The record in it guards against one that the CIB has lost; who has
// not seen it, or has forgotten it, votes by what the CIB has.)
type memory struct {
	// The promotion scores as last seen or written by this primary, and when they
	// were last read from the cluster.
	Scores   map[string]int `json:"scores,omitempty"`
	Nodes    []string       `json:"nodes,omitempty"`
	Verified time.Time      `json:"verified,omitzero"`
	Ordered  time.Time      `json:"ordered,omitzero"` // when the standbys' order among themselves was last changed

	// The last promotion on this node, and who voted in it. Voters keep a score until
	// they have had the time to connect.
	Promoted time.Time `json:"promoted,omitzero"`
	Voters   []string  `json:"voters,omitempty"`

	// Who could be promoted at the last monitor: when that changes, a node may have been
	// lost and come back without its score.
	Ready []string `json:"ready,omitempty"`

	// The votes of the last promotion are still to be taken back.
	Published bool `json:"published,omitempty"`

	// The cluster's durable record as last seen or written, and when.
	Record   string    `json:"record,omitempty"`
	Recorded time.Time `json:"recorded,omitzero"`

	// A place in the WAL that was reached after the rule in the record had come into
	// force; zero while none is known.
	Since wal.LSN `json:"since,omitempty"`

	// Monitors in a row that PostgreSQL did not answer.
	Misses int `json:"misses,omitempty"`

	// Monitors in a row in which this standby did not stream, without a primary and
	// beside one, and what its node's status says of it.
	Lonely     bool      `json:"lonely,omitempty"` // the last monitor did not find it streaming
	Alone      int       `json:"alone,omitempty"`
	WasPrimary bool      `json:"wasPrimary,omitempty"` // before it was started
	Mute       int       `json:"mute,omitempty"`
	Stood      wal.LSN   `json:"stood,omitempty"`   // beside one: how far it had replayed,
	Stands     int       `json:"stands,omitempty"`  // and how many of them found it there
	Silent     int       `json:"silent,omitempty"`  // of them, those in which the primary's address was dead
	Willing    int       `json:"willing,omitempty"` // and in a row those in which the primary would have had it stream
	Voted      bool      `json:"voted,omitempty"`   // this node's vote may stand
	Trouble    string    `json:"trouble,omitempty"`
	Shown      time.Time `json:"shown,omitzero"` // when that was written

	// The primary's timeline for which this instance was to be started again; see
	// restartHelps.
	Restarted wal.Timeline `json:"restarted,omitempty"`

	// The version of this program that the other nodes were told.
	Version string `json:"version,omitempty"`
}

// store keeps the memory in resource-agents' run-time directory, which only root can
// write to and which does not survive a reboot.
type store struct{ path string }

// runDir is HA_RSCTMP of resource-agents.
const runDir = "/run/resource-agents"

func newStore(dir, instance string) store {
	if dir == "" {
		dir = runDir
	}
	return store{path: filepath.Join(dir, "pgsqlms-"+fileName(instance)+".json")}
}

// fileName makes a resource's name one part of a path.
func fileName(resource string) string { return strings.ReplaceAll(resource, "/", "_") }

// maxMemory is more bytes than a memory of the largest cluster has.
const maxMemory = 1 << 20

// load returns an empty memory when there is none, or none that can be read.
func (s store) load() memory {
	f, err := s.open(os.O_RDONLY)
	if err != nil {
		return memory{}
	}
	defer f.Close()
	var m memory
	data, err := io.ReadAll(io.LimitReader(f, maxMemory))
	if err != nil || json.Unmarshal(data, &m) != nil {
		return memory{}
	}
	return m
}

// open opens a file of our own and nothing else. HA_RSCTMP may name a directory that
// others can write to: what they plant there is neither followed, nor waited for, nor
// believed.
func (s store) open(flags int) (*os.File, error) {
	f, err := os.OpenFile(s.path, flags|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !isOurs(info) {
		err = fmt.Errorf("%s: not a file of this agent's", s.path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func isOurs(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Mode().IsRegular() && int(stat.Uid) == os.Geteuid() && stat.Nlink == 1
}

// save replaces the memory in one step. Where there is no room for another file it
// writes into the one that is there. A failure costs questions to the cluster at the
// next monitors and nothing else; the monitors that PostgreSQL does not answer are then
// counted there too.
func (s store) save(m memory) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := s.replace(data); err != nil && s.overwrite(data) != nil {
		return err
	}
	return nil
}

func (s store) replace(data []byte) error {
	dir := filepath.Dir(s.path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, filepath.Base(s.path)+".")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), s.path)
}

// forget keeps what the cluster shows of the node, and what a start was to mend.
func (s store) forget() {
	kept := s.load().lasting()
	_ = os.Remove(s.path)
	if kept.Trouble != "" || kept.Restarted != 0 {
		_ = s.save(kept)
	}
}

// lasting is the part of it that outlives a start.
func (m memory) lasting() memory {
	return memory{Trouble: m.Trouble, Shown: m.Shown, Restarted: m.Restarted}
}

func (s store) overwrite(data []byte) error {
	f, err := s.open(os.O_WRONLY)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	return errors.Join(err, f.Truncate(int64(len(data))), f.Close())
}

// within says whether t lies in the last d. A time in the future, after the clock was
// set back, does not.
func within(t time.Time, d time.Duration) bool {
	age := time.Since(t)
	return age >= 0 && age < d
}
