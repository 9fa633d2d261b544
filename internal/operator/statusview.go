package operator

import (
	"time"

	"pgsqlms/internal/wal"
)

// statusView is what `pgsqlms status` shows, and its JSON. A field that is null, or a
// list that is empty, is not known or does not apply; reasons say which.
type statusView struct {
	Taken    time.Time `json:"time"`
	Cluster  string    `json:"cluster,omitempty"`
	AskedOn  string    `json:"asked_on"` // the node that was asked; empty if its name is not known
	Resource string    `json:"resource"`
	Clone    string    `json:"clone,omitempty"`
	Well     bool      `json:"well"`

	Nodes     []nodeView    `json:"nodes"`
	Pacemaker pacemakerView `json:"pacemaker"`
	Record    *recordView   `json:"record"`
	Promotion *eventView    `json:"last_promotion"`
	Fencing   *fencingView  `json:"last_fencing"`

	Followers   []followerView   `json:"followers"`
	Failures    []failureView    `json:"failed_actions"`
	Constraints []constraintView `json:"constraints"`

	Problems []remark `json:"problems"` // what is wrong
	Notices  []remark `json:"notices"`  // what is so on purpose, or passes by itself
	Unknown  []remark `json:"unknown"`  // what cannot be known from here, and where it can
}

// nodeView is a row of the table.
type nodeView struct {
	Name  string    `json:"node"`
	Here  bool      `json:"here"`
	Role  nodeRole  `json:"role"`
	Sync  string    `json:"sync_state,omitempty"` // of a standby, as in pg_stat_replication
	State nodeState `json:"state"`

	Timeline       wal.Timeline `json:"timeline,omitempty"`
	LSN            string       `json:"lsn,omitempty"`
	LagBytes       *uint64      `json:"lag_bytes"`       // of WAL that the primary has and this node's disk has not
	ToReplayBytes  *uint64      `json:"to_replay_bytes"` // of WAL that is here and not in the data yet
	BehindSeconds  *float64     `json:"behind_seconds"`  // how old what a reader sees here is
	Upstream       string       `json:"upstream,omitempty"`
	Score          *int         `json:"promotion_score"`
	ScoreKnown     bool         `json:"promotion_score_known"` // false: whether it has one cannot be told
	PendingRestart []string     `json:"pending_restart"`       // names of settings; null if not known
	Asked          bool         `json:"asked"`                 // the instance itself has answered
}

// nodeRole is what PostgreSQL says that the instance is, and where it did not say
// anything, Pacemaker.
type nodeRole string

const (
	rolePrimary nodeRole = "primary"
	roleStandby nodeRole = "standby"
	roleNone    nodeRole = "" // it does not run, or nobody can tell
)

// nodeState is one word or two for how the instance is.
type nodeState string

const (
	stateRunning        nodeState = "running"         // a primary
	stateStreaming      nodeState = "streaming"       //
	stateCatchingUp     nodeState = "catching up"     //
	stateNotStreaming   nodeState = "not streaming"   //
	stateFollowsAnother nodeState = "follows another" // streams from none of the cluster
	stateDiverged       nodeState = "diverged"        //
	stateStarting       nodeState = "starting"        //
	stateStopped        nodeState = "stopped"         //
	stateCrashed        nodeState = "crashed"         // it does not run, and was not shut down
	stateSilent         nodeState = "no answer"       // it runs, and did not answer
	stateOffline        nodeState = "node offline"    //
	stateUnclean        nodeState = "node lost"       // and not fenced yet
	stateJoining        nodeState = "node joining"    //
	stateUnknown        nodeState = "unknown"         //
)

// The sources of what is shown of Pacemaker.
const (
	sourceLive = "live" // the running cluster
	sourceDisk = "disk" // this node's copy of the configuration; Pacemaker does not answer here
)

type pacemakerView struct {
	Source      string     `json:"source"`
	Version     string     `json:"version,omitempty"`
	DC          string     `json:"dc,omitempty"`
	Quorum      *bool      `json:"quorum"`
	Fencing     *bool      `json:"fencing_enabled"`
	Maintenance *bool      `json:"maintenance_mode"`
	LastChange  *time.Time `json:"last_change"`
}

// recordView is the cluster's own record of its write-ahead log (docs/election.md).
type recordView struct {
	Text      string       `json:"text"`
	Serial    uint64       `json:"serial"`
	Node      string       `json:"node"`
	Timeline  wal.Timeline `json:"timeline"`
	Begun     string       `json:"begun_at,omitempty"` // the LSN; empty for timeline 1
	Sync      []string     `json:"sync_rules"`         // whose acknowledgements commits wait for
	Promoting []string     `json:"promoting"`          // whose promotion was begun, and its end not written down
}

type eventView struct {
	Node string    `json:"node"`
	At   time.Time `json:"at"`
}

type fencingView struct {
	Action string     `json:"action"`
	Target string     `json:"target"`
	By     string     `json:"by"`
	Status string     `json:"status"`
	At     *time.Time `json:"at"`
}

// followerView is a resource that is to run where the primary does, such as a virtual IP.
type followerView struct {
	Name   string   `json:"name"`
	Nodes  []string `json:"nodes"`  // where it runs
	Failed bool     `json:"failed"` // or given up by Pacemaker
}

type failureView struct {
	Node      string     `json:"node"`
	Operation string     `json:"operation"`
	Code      int        `json:"exit_code"`
	Text      string     `json:"exit_status"`
	Reason    string     `json:"exit_reason"`
	At        *time.Time `json:"at"`
}

type constraintView struct {
	ID       string `json:"id"`
	Resource string `json:"resource"` // this one, its clone, or one that runs with its promoted instance
	Node     string `json:"node,omitempty"`
	Role     string `json:"role,omitempty"`
	Score    int    `json:"score"`
	Text     string `json:"text"`
}

// remark is something to say of a node, or of the whole cluster when Node is empty.
type remark struct {
	Node string `json:"node,omitempty"`
	Text string `json:"text"`
	ToDo string `json:"to_do,omitempty"` // a command, or what to look at
}

func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
