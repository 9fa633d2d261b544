package election

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// String says in one line what was decided and why. What matters most comes first:
// Pacemaker keeps 128 characters of an exit reason.
func (o Outcome) String() string {
	var said []string
	switch {
	case o.Winner != "":
		said = append(said, o.won())
		if o.Settled {
			said = append(said, "every acknowledged commit is there")
		}
		said = append(said, o.loss(), o.unknownLoss())
	case len(o.Awaits) > 0:
		said = append(said, "waits for "+waits(o.Awaits), o.because())
	default:
		said = append(said, "nobody can be promoted without an administrator", o.because())
	}
	said = append(said, o.remarks()...)
	return strings.Join(nonEmpty(said), "; ")
}

func (o Outcome) won() string {
	if len(o.votes) == 1 {
		return fmt.Sprintf("%s alone votes, with WAL up to %s", o.Winner, shown(o.Position))
	}
	return fmt.Sprintf("%s holds the most WAL of %s: %s", o.Winner, list(o.votes), shown(o.Position))
}

func (o Outcome) loss() string {
	if o.MayBeLost == 0 {
		return ""
	}
	fate := "may be lost"
	if o.Settled {
		fate = "are given up; too few had them for a commit to be acknowledged"
	}
	return fmt.Sprintf("%d bytes that were written after that %s", o.MayBeLost, fate)
}

// unknownLoss keeps silence from being taken for a promise: with asynchronous replication
// nothing said of a loss means as a rule that nobody knows.
func (o Outcome) unknownLoss() string {
	if o.Unheard == "" {
		return ""
	}
	return fmt.Sprintf("how far %s had written is not known: what it had not sent yet is lost", nameText(o.Unheard))
}

// because tells why nobody wins.
func (o Outcome) because() string {
	var said []string
	for _, w := range o.Awaits {
		switch {
		case w.Rule.Need > 0:
			said = append(said, fmt.Sprintf("for a commit %s, and %s", w.Rule, vote(o.counted(w.Rule.Of))))
		case w.Primary != "" && len(w.Of) == 0 && w.Short == 0:
			said = append(said, fmt.Sprintf("the promotion of %s was begun, and how it ended only its vote can tell", w.Primary))
		}
	}
	switch {
	case len(o.Ahead) > 0 && o.Leader != "":
		said = append(said, fmt.Sprintf("%s, which cannot be promoted, held more than %s, the furthest of the others", list(o.Ahead), o.Leader))
	case o.Leader != "":
		said = append(said, fmt.Sprintf("the furthest is %s at %s", o.Leader, shown(o.Position)))
	default:
		said = append(said, "no vote is on the cluster's timeline")
	}
	return strings.Join(said, "; ")
}

// counted are those of a rule who gave a vote that counts.
func (o Outcome) counted(of []string) (nodes []string) {
	for _, n := range of {
		if containsName(o.votes, n) && !containsName(o.Doubted, n) {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

func (o Outcome) remarks() (said []string) {
	for _, f := range o.Forked {
		if f.Left.Timeline == 0 {
			said = append(said, fmt.Sprintf("%s is on timeline %d, of which nothing leads to the cluster's", f.Node, f.At.Timeline))
		} else {
			said = append(said, fmt.Sprintf("%s left the cluster's history at %s and cannot be promoted", f.Node, shown(f.Left)))
		}
	}
	if len(o.Stale) > 0 {
		said = append(said, fmt.Sprintf("the vote of %s is from before the last promotion and does not count", list(o.Stale)))
	}
	if len(o.Doubted) > 0 {
		said = append(said, fmt.Sprintf("the vote of %s says less than was there once and does not count for commits", list(o.Doubted)))
	}
	if o.guarded && len(o.Believed) > 0 {
		said = append(said, fmt.Sprintf("the vote of %s names no history, and is believed", list(o.Believed)))
	}
	return append(said, o.Conflict)
}

func waits(ws []Wait) string {
	var texts []string
	for _, w := range ws {
		if t := w.String(); t != "" && !slices.Contains(texts, t) {
			texts = append(texts, t)
		}
	}
	return strings.Join(texts, ", and for ")
}

// String names who is awaited, as in "n1 or n2", or "n1, or 2 of n2, n3, n4".
func (w Wait) String() string {
	alone := slices.Clone(w.Of)
	switch {
	case w.Short > len(w.Of) || w.Short == 0:
		alone = nil
	case w.Short > 1 && w.Primary != "":
		return fmt.Sprintf("%s, or %s", nameText(w.Primary), several(w))
	case w.Short > 1:
		return several(w)
	}
	if w.Primary != "" {
		alone = append(alone, w.Primary)
	}
	slices.Sort(alone)
	return join(slices.Compact(alone), " or ")
}

func several(w Wait) string {
	if w.Short == len(w.Of) {
		return list(w.Of)
	}
	return fmt.Sprintf("%d of %s", w.Short, join(w.Of, ", "))
}

func vote(nodes []string) string {
	switch len(nodes) {
	case 0:
		return "none of these votes"
	case 1:
		return "only " + nodes[0] + " votes"
	default:
		return "only " + list(nodes) + " vote"
	}
}

func list(names []string) string { return join(names, " and ") }

// join makes "n1, n2 and n3".
func join(names []string, last string) string {
	texts := make([]string, len(names))
	for i, name := range names {
		texts[i] = nameText(name)
	}
	n := len(texts)
	if n < 2 {
		return strings.Join(texts, "")
	}
	return strings.Join(texts[:n-1], ", ") + last + texts[n-1]
}

// nameText is a name as it is, or quoted: a standby may call itself anything.
func nameText(name string) string {
	if name != "" && all(name, isNameByte) {
		return name
	}
	return strconv.QuoteToASCII(clip(name))
}

func nonEmpty(texts []string) (kept []string) {
	for _, t := range texts {
		if t != "" {
			kept = append(kept, t)
		}
	}
	return kept
}
