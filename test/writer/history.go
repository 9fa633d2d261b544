package writer

import (
	"cmp"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// Kind says what the client may conclude from the answer to an attempt.
type Kind int

const (
	// Refused: the row is certainly not committed. There was no connection, or PostgreSQL answered with an error.
	Refused Kind = iota
	// InDoubt: the row may be committed or not, or is committed without the promise of synchronous replication.
	InDoubt
	// Acknowledged: PostgreSQL said that the row is committed. It must never disappear.
	Acknowledged
)

func (k Kind) String() string {
	switch k {
	case Refused:
		return "refused"
	case InDoubt:
		return "in doubt"
	case Acknowledged:
		return "acknowledged"
	default:
		return fmt.Sprintf("Kind(%d)", int(k))
	}
}

// Attempt is one row that was to be written. Times are on the history's monotonic clock.
type Attempt struct {
	ID       int64
	Writer   string        // which writer tried
	Sent     time.Duration // the statement left, or the connection was begun if it never came to a statement
	Answered time.Duration // the answer was there, or the client gave up
	Kind     Kind
	Node     string // who acknowledged it; empty otherwise
	Reason   string // why it was not acknowledged; empty otherwise
}

// History is what one or several writers with the same epoch have seen.
type History struct {
	Epoch    time.Time // instant 0 of the attempts' times
	Attempts []Attempt
}

// At gives an instant's place on the history's clock.
func (h History) At(t time.Time) time.Duration { return t.Sub(h.Epoch) }

// Merge puts histories of the same epoch together, in the order in which the attempts were sent.
func Merge(histories ...History) History {
	var merged History
	for i, h := range histories {
		if i == 0 {
			merged.Epoch = h.Epoch
		}
		merged.Attempts = append(merged.Attempts, h.Attempts...)
	}
	slices.SortStableFunc(merged.Attempts, func(a, b Attempt) int { return cmp.Compare(a.Sent, b.Sent) })
	return merged
}

// IDs hands out ids. Writers that write to the same table share one, so that an id is never used twice.
type IDs struct{ last atomic.Int64 }

// IDsAfter begins behind an id, for a table that other writers have filled before.
func IDsAfter(last int64) *IDs {
	s := &IDs{}
	s.last.Store(last)
	return s
}

// Next gives an id that nobody had before.
func (s *IDs) Next() int64 { return s.last.Add(1) }
