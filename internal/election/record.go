package election

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"pgsqlms/internal/wal"
)

// MaxAncestors is how many ancestors of a timeline a record and a ballot name, the
// latest ones, so that the value stays short. Whoever has missed more promotions than
// that cannot be told from one that left the cluster's history, and is rebuilt.
const MaxAncestors = 16

// Record is the cluster's own account of its write-ahead log: which timeline is its
// own, who began it, and whose acknowledgements its commits wait for. It is one durable
// attribute of the cluster, and what an election is held against.
//
// A promotion writes it twice: Promoting before the server is told to promote, so that
// a timeline which was begun, and perhaps written to, is known to be the cluster's even
// when nothing is heard of it again; and Promoted once the timeline is known.
type Record struct {
	Serial  uint64      // counts the writes that begin or end a promotion; a vote names it
	Node    string      // who was promoted, and began the timeline
	History wal.History // of that timeline, MaxAncestors at most

	// Sync are the rules by which commits may have been acknowledged, the present one
	// first, then older ones, the newest first. There are others while it is possible that nobody whom the
	// present one asks holds what they let pass. All of them count.
	Sync []Rule

	// Next are the promotions that were begun since, and of which nobody has seen the
	// end, in the order in which they were begun. Their rules count as well.
	Next []Attempt
}

// Attempt is a promotion that was begun: of the node that Rule names for a primary.
type Attempt struct {
	Rule    Rule         // by which it will acknowledge commits
	At      wal.Position // where its log ended; its new timeline begins there, or a little before
	History wal.History  // of At's timeline, MaxAncestors at most
}

// Promoting is the record to write before the winner of an election is promoted, given
// the rule by which it will acknowledge commits. Without a record there is nothing to add
// to.
func (r *Record) Promoting(winner Vote, rule Rule) (Record, bool) {
	if r == nil {
		return Record{}, false
	}
	n := r.clone()
	n.Serial++
	h, found := winner.History.Until(winner.Position.Timeline)
	if !found {
		h = wal.History{Timeline: winner.Position.Timeline}
	}
	n.Next = append(n.Next, Attempt{Rule: rule.of(winner.Node), At: winner.Position, History: h.Latest(MaxAncestors)})
	return n, true
}

// Promoted is the record to write once node has begun the timeline of h: at a promotion,
// and by a primary that finds no record, or another node in it. Rules of before count on
// until Update sees that they are not needed any more.
func (r *Record) Promoted(node string, h wal.History, rule Rule) Record {
	n := Record{Serial: 1, Node: node, History: h.Latest(MaxAncestors), Sync: []Rule{rule.of(node)}}
	if r != nil {
		n.Serial = r.Serial + 1
		n.keep(r.rules())
	}
	return n
}

// Describes says whether the record is that of node as a primary whose timeline's
// history is h.
func (r *Record) Describes(node string, h wal.History) bool {
	return r != nil && r.Node == node && r.History.Same(h)
}

// Update is the record as the primary's monitor should have it, and whether that is a
// change. rule is the primary's present one. since is a place in its write-ahead log
// that was reached after rule had come into force, zero when none is known yet; flushed
// is how far each standby has flushed, by its application name. When as many as the rule
// needs hold the log up to since, they hold all that was acknowledged by an older rule,
// and that one is dropped.
func (r Record) Update(rule Rule, since wal.LSN, flushed map[string]wal.LSN) (Record, bool) {
	rule = rule.of(r.Node)
	if len(r.Sync) == 0 || !r.Sync[0].same(rule) {
		n := r.clone()
		n.Sync = []Rule{rule}
		n.keep(r.Sync)
		return n, true
	}
	if len(r.Sync) == 1 || since == 0 || rule.held(since, flushed) < rule.Need {
		return r, false
	}
	n := r.clone()
	n.Sync = n.Sync[:1]
	return n, true
}

// held is how many of Of have flushed up to l.
func (r Rule) held(l wal.LSN, flushed map[string]wal.LSN) int {
	n := 0
	for _, name := range r.Of {
		for application, at := range flushed {
			if sameName(name, application) && at >= l {
				n++
				break
			}
		}
	}
	return n
}

// keep appends the older rules, newest first, that none of the newer ones makes up for.
// When the present one is asynchronous no rule is kept: who turns synchronous
// replication off wants no election to wait for anybody.
func (r *Record) keep(older []Rule) {
	if r.Sync[0].Need == 0 {
		return
	}
	for _, o := range older {
		if o.Need > 0 && !slices.ContainsFunc(r.Sync, func(n Rule) bool { return n.covers(o) }) {
			r.Sync = append(r.Sync, o)
		}
	}
}

func (r Record) clone() Record {
	r.Sync, r.Next = slices.Clone(r.Sync), slices.Clone(r.Next)
	return r
}

func (r Rule) of(primary string) Rule {
	r.Primary = primary
	return r
}

// rules are all that a commit may have been acknowledged by, the newest first.
func (r *Record) rules() (rules []Rule) {
	if r == nil {
		return nil
	}
	for _, a := range slices.Backward(r.Next) {
		rules = append(rules, a.Rule)
	}
	return append(rules, r.Sync...)
}

// String is the form in which the record is kept, as in
//
//	serial=17 timeline=5 node=n2 from=4@0/5000060,3@0/4000028 sync=n2:1:n1,n3
//
// with one sync for each rule, and for each promotion that was begun one
//
//	next=n3:1:n1,n2:5@0/7000000,4@0/5000060,3@0/4000028
//
// with the place where it began before those where the timelines before were left.
func (r Record) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "serial=%d timeline=%d node=%s", r.Serial, r.History.Timeline, escape(r.Node))
	writeHistory(&b, r.History)
	for _, rule := range r.Sync {
		b.WriteString(" sync=" + rule.text())
	}
	for _, a := range r.Next {
		b.WriteString(" next=" + a.Rule.text() + ":" + places(a.History.After(0, a.At.LSN)))
	}
	return b.String()
}

// ErrRecord is the error of a record that is not to be understood.
var ErrRecord = errors.New("the cluster's record")

// ParseRecord reads what String wrote, and passes over labels that it does not know.
func ParseRecord(s string) (Record, error) {
	l := readLabels(s, "sync", "next")
	r := Record{Serial: l.number("serial", true), History: l.history()}
	if node, found := l.text("node", true); found {
		r.Node = l.name(node)
	}
	for _, s := range l.values["sync"] {
		r.Sync = append(r.Sync, l.rule("sync", s))
	}
	for _, s := range l.values["next"] {
		r.Next = append(r.Next, l.attempt("next", s))
	}
	if l.err != nil {
		return Record{}, fmt.Errorf("%w %q: %w", ErrRecord, clip(s), l.err)
	}
	return r, nil
}
