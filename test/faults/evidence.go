package faults

import (
	"fmt"
	"time"

	"pgsqlms/test/lab"
	"pgsqlms/test/writer"
)

// Invariant is one of those in docs/faults.md.
type Invariant string

// The invariants.
const (
	I1 Invariant = "I1" // no acknowledged commit is lost
	I2 Invariant = "I2" // no two nodes acknowledge at the same time
	I3 Invariant = "I3" // the promoted node held the most among the voters
	I4 Invariant = "I4" // a diverged instance neither serves nor follows, and is seen
	I5 Invariant = "I5" // all nodes stream again without a person
	I6 Invariant = "I6" // within the time budget
	I7 Invariant = "I7" // no needless restart, failover or fencing
	I8 Invariant = "I8" // every refusal has its reason
)

// Invariants are all of them, in order.
var Invariants = []Invariant{I1, I2, I3, I4, I5, I6, I7, I8}

// Breach is an invariant that did not hold. It is an error, so that a scenario can end with it.
type Breach struct {
	Invariant Invariant `json:"invariant"`
	Text      string    `json:"text"`
}

func (b Breach) Error() string { return string(b.Invariant) + ": " + b.Text }

// breach makes one.
func breach(i Invariant, format string, args ...any) Breach {
	return Breach{Invariant: i, Text: fmt.Sprintf(format, args...)}
}

// Evidence is all that is known after a fault. The invariants are checked on nothing else.
type Evidence struct {
	Mode     Mode
	Fault    time.Time // when the first injection began
	Before   string    // who was primary
	After    string
	VIP      writer.History     // of the writer at the virtual IP
	All      writer.History     // of every writer, this one too
	Stored   map[int64]struct{} // which ids the primary has afterwards; nil if nobody could be asked
	Logs     map[string]NodeLog // of each node, since the beginning
	Fencings []lab.Fencing      // since the beginning
	Copies   []Copy             // what the nodes hold that are the primary or stream from it, the primary first
	Diverged []Divergence       // nodes that could not follow
	Started  int                // nodes whose Pacemaker had ended for good and was started by hand
	Frozen   bool               // a node was frozen and thawed, and may have told late of a fencing
	Unread   []string           // why a node that was to be compared was not
	Whole    time.Duration      // from the end of the injection until all nodes streamed
	WholeErr string             // what was missing when the wait was over; empty when all is well
	Ended    bool               // by a breach, before anybody waited for the nodes to stream
	Found    []Breach           // what the scenario itself found
}

// Copy is what a node's database holds, as far as it is compared.
type Copy struct {
	Node    string
	Rows    int64
	Sum     string // over all ids of the writers' table
	History string // of the timeline that the primary writes
}

// Divergence is a node that has left the primary's history, or that PostgreSQL cannot start on what it has received of it.
type Divergence struct {
	Node  string
	Said  string // PostgreSQL's or the agent's own word for it
	Score string // its promotion score; empty when it has none
	Shown string // the attribute by which crm_mon -A shows it; of a half segment also its failed start; empty when nothing does
	// Serves says that it still answered SQL when it was settled: what it shows then never was in the cluster's database.
	Serves bool
}

// half says that the node holds nothing that the primary lacks: it is PostgreSQL that cannot go on.
func (d Divergence) half() bool { return halfSegment.MatchString(d.Said) }

func (d Divergence) what() string {
	if d.half() {
		return "cannot start on a half received segment"
	}
	return "has diverged"
}

// Finding is what a check came to.
type Finding struct {
	Invariant Invariant `json:"invariant"`
	Figure    string    `json:"figure"`
	Breaches  []Breach  `json:"breaches,omitempty"`
}

func (f *Finding) breach(format string, args ...any) {
	f.Breaches = append(f.Breaches, breach(f.Invariant, format, args...))
}
