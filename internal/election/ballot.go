package election

import (
	"fmt"
	"strings"

	"pgsqlms/internal/wal"
)

// Vote is what a node says of itself before a promotion: where its WAL ends, and by
// which way it came there.
type Vote struct {
	Node string

	// Position is the end of what the node has on disk, received or replayed, whichever
	// is further.
	Position wal.Position

	// History is that of the position's timeline. It is zero in a vote of PAF's agent,
	// which publishes nothing but the position.
	History wal.History

	// Known is the furthest that this node has heard the primary of its timeline had
	// written, zero if it heard nothing: pg_stat_wal_receiver.latest_end_lsn, which is
	// the end of WAL that the sender names in each message (walreceiver.c).
	Known wal.LSN

	// Serial is that of the cluster's record as the voter read it, zero if there was
	// none. A vote with another serial than the record's was left over from before the
	// last promotion.
	Serial uint64

	// Witness marks a node that cannot be promoted, because its instance is down, and
	// of which it is known all the same where its WAL ends.
	Witness bool
}

// Ballot is the vote in the form in which it is published, without the node, as in
//
//	serial=17 timeline=5 lsn=0/7000000 from=4@0/5000060,3@0/4000028 known=0/7000F00
func (v Vote) Ballot() string {
	var b strings.Builder
	fmt.Fprintf(&b, "serial=%d timeline=%d lsn=%s", v.Serial, v.Position.Timeline, v.Position.LSN)
	writeHistory(&b, v.History.Latest(MaxAncestors))
	if v.Known != 0 {
		fmt.Fprintf(&b, " known=%s", v.Known)
	}
	if v.Witness {
		b.WriteString(" witness=yes")
	}
	return b.String()
}

// ParseBallot reads what Ballot wrote, and passes over labels that it does not know.
func ParseBallot(node, s string) (Vote, error) {
	l := readLabels(s)
	v := Vote{Node: node, Serial: l.number("serial", true), History: l.history(), Known: l.lsn("known", false)}
	v.Position = wal.Position{Timeline: v.History.Timeline, LSN: l.lsn("lsn", true)}
	if witness, found := l.text("witness", false); found {
		if v.Witness = witness == "yes"; !v.Witness {
			l.fail("witness=%s: expected yes", clip(witness))
		}
	}
	if l.err != nil {
		return Vote{}, fmt.Errorf("the ballot of %s, %q: %w", node, clip(s), l.err)
	}
	return v, nil
}

// Elect says who holds the most WAL, by number of timeline and LSN alone. Decide knows
// histories, the cluster's record and the guard.
//
// The candidate wins unless another one holds strictly more, so that a tie costs no
// second transition; among several that do, the one furthest ahead wins, and of equals
// the one named first.
func Elect(candidate Vote, others []Vote) Vote {
	best := candidate
	for _, v := range others {
		if v.Position.Compare(best.Position) > 0 {
			best = v
		}
	}
	return best
}

// Verdict is what a comparison with the old primary's shut-down position says.
type Verdict int

const (
	// Unknown: what the old primary published is not of this demotion.
	Unknown Verdict = iota
	// Complete: the candidate holds everything the old primary wrote.
	Complete
	// Incomplete: it does not; the old primary could not follow it.
	Incomplete
)

// Compare holds the candidate's position against the end of the old primary's WAL,
// its shutdown checkpoint included. Every promotion begins a new timeline, so an end
// on a lower one than the candidate's was published before an earlier switchover.
func Compare(candidate, end wal.Position) Verdict {
	switch {
	case end.Timeline < candidate.Timeline:
		return Unknown
	case candidate.Compare(end) < 0:
		return Incomplete
	default:
		return Complete
	}
}
