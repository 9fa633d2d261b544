package writer

import "slices"

// Verdict compares a history with what the table holds afterwards.
type Verdict struct {
	Acknowledged int
	Refused      int
	InDoubt      int
	// Lost are acknowledged ids that are not in the table: what must never happen.
	Lost []int64
	// DoubtStored is how many of those in doubt turned out to be committed. Neither way is a fault.
	DoubtStored int
	// Phantom are refused ids that are in the table. They would show that this package misjudges answers.
	Phantom []int64
}

// Judge counts the history's answers and looks each id up among those stored.
func Judge(h History, stored map[int64]struct{}) Verdict {
	var v Verdict
	for _, a := range h.Attempts {
		_, there := stored[a.ID]
		switch a.Kind {
		case Acknowledged:
			v.Acknowledged++
			if !there {
				v.Lost = append(v.Lost, a.ID)
			}
		case InDoubt:
			v.InDoubt++
			if there {
				v.DoubtStored++
			}
		case Refused:
			v.Refused++
			if there {
				v.Phantom = append(v.Phantom, a.ID)
			}
		}
	}
	slices.Sort(v.Lost)
	slices.Sort(v.Phantom)
	return v
}
