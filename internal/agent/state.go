package agent

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"time"

	"pgsqlms/internal/wal"
)

// memory is what one action remembers for the next one on this node. All of it can
// be lost at any time: it saves questions to the cluster, and decides nothing that
// could cost data.
type memory struct {
	// The promotion scores as last seen or written by this primary, and when they
	// were last read from the cluster.
	Scores   map[string]int `json:"scores,omitempty"`
	Nodes    []string       `json:"nodes,omitempty"`
	Verified time.Time      `json:"verified,omitzero"`

	// The last promotion on this node, and who voted in it. Voters keep a score until
	// they have had the time to connect.
	Promoted time.Time `json:"promoted,omitzero"`
	Voters   []string  `json:"voters,omitempty"`

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
	Alone   int    `json:"alone,omitempty"`
	Mute    int    `json:"mute,omitempty"`
	Trouble string `json:"trouble,omitempty"`
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

// load returns an empty memory when there is none, or none that can be read.
func (s store) load() memory {
	var m memory
	data, err := os.ReadFile(s.path)
	if err != nil || json.Unmarshal(data, &m) != nil {
		return memory{}
	}
	return m
}

// save replaces the memory in one step. A failure, such as a full file system, costs
// questions to the cluster at the next monitor and nothing else.
func (s store) save(m memory) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
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
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), s.path)
}

// forget keeps nothing but what the cluster shows of the node.
func (s store) forget() {
	shown := s.load().Trouble
	_ = os.Remove(s.path)
	if shown != "" {
		_ = s.save(memory{Trouble: shown})
	}
}

// within says whether t lies in the last d. A time in the future, after the clock was
// set back, does not.
func within(t time.Time, d time.Duration) bool {
	age := time.Since(t)
	return age >= 0 && age < d
}
