package operator

import (
	"time"

	"pgsqlms/internal/wal"
)

// explainView is what `pgsqlms explain` shows, and its JSON.
type explainView struct {
	Taken    time.Time `json:"time"`
	AskedOn  string    `json:"asked_on"`
	Resource string    `json:"resource"`
	Asked    string    `json:"asked_about,omitempty"` // the node, where one was named

	Verdict string     `json:"verdict"` // one sentence
	Primary string     `json:"primary,omitempty"`
	Since   *time.Time `json:"primary_since"` // null: none, or not known
	Because []remark   `json:"because"`       // why nobody is promoted, the cause to look at first first

	Nodes   []nodeVerdict `json:"nodes"`
	Changes []changeView  `json:"changes"` // the latest first
	Log     *logSpan      `json:"log"`     // null: no log could be read
	Notes   []string      `json:"notes"`   // what could not be read, and why

	dead bool // the primary does not answer
}

// nodeVerdict is why a node is promoted, or not.
type nodeVerdict struct {
	Node     string   `json:"node"`
	Promoted bool     `json:"promoted"`
	Could    bool     `json:"could_be_promoted"` // it is, or nothing known here would keep it from it
	Verdict  string   `json:"verdict"`
	Because  []remark `json:"because"` // what keeps it from being promoted
	Score    *int     `json:"promotion_score"`
	Vote     string   `json:"vote,omitempty"` // while nobody is promoted: how far its WAL goes, as it said itself
}

// changeView is one change of the promoted role, or the time without one until now.
type changeView struct {
	From     string       `json:"from,omitempty"`
	To       string       `json:"to,omitempty"` // empty: nobody has been promoted yet
	Timeline wal.Timeline `json:"timeline,omitempty"`
	LSN      string       `json:"lsn,omitempty"`
	Reason   string       `json:"reason,omitempty"`

	Begun   *time.Time     `json:"begun"`            // the first sign of it in this log
	Ended   *time.Time     `json:"ended"`            // null: it goes on, or is not in this log
	AtLeast bool           `json:"begun_is_a_bound"` // it began then or before: Pacemaker was down on this node
	Spent   []spentView    `json:"spent"`            // adds up to the time between the two
	Steps   []stepView     `json:"steps"`
	Scores  map[string]int `json:"promotion_scores_before"` // as far as this log has them
	Why     []string       `json:"why_there"`
	Unknown []remark       `json:"unknown"` // what this node's log cannot tell, and where it can be told
}

// spentView is what a part of the time went to.
type spentView struct {
	On      part    `json:"on"`
	Seconds float64 `json:"seconds"`
}

// stepView is one thing that happened.
type stepView struct {
	At      time.Time `json:"time"`
	Seconds *float64  `json:"took_seconds"` // null: it is a moment, or its begin or end is not in this log
	Node    string    `json:"node,omitempty"`
	What    string    `json:"what"`

	once  string // What, where it has happened several times
	times int
}

// part is what the time of a role change can go to.
type part string

// Where several were under way at once, the first of these counts.
const (
	partPromote   part = "promote"
	partStop      part = "stop" // and demote: PostgreSQL's shutdown
	partStart     part = "start"
	partFollowers part = "followers" // what moves along, such as the virtual IP
	partNotify    part = "notify"    // of this node only: the others' are in their own logs
	partFencing   part = "fencing"
	partPacemaker part = "pacemaker" // nothing of these: its own work, and other nodes' notifications
)

var parts = []string{
	string(partPromote), string(partStop), string(partStart), string(partFollowers), string(partNotify), string(partFencing),
}

// text is for a person.
func (p part) text() string {
	switch p {
	case partStop:
		return "demote and stop"
	case partFollowers:
		return "what follows the role"
	case partNotify:
		return "notifications here"
	case partPacemaker:
		return "the rest (Pacemaker, other nodes)"
	}
	return string(p)
}
