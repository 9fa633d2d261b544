package pg

import (
	"context"
	"fmt"
	"os"
	"slices"

	"pgsqlms/internal/wal"
)

// SkipTimeline makes sure that no later promotion of this instance begins
// timeline t, which another node has begun, unknown to this one. Two timelines of
// one number cannot be told apart: the other node would be taken for a standby.
//
// A promotion takes the number after the last of the history files that follow
// one another in pg_wal (findNewestTimeLine in PostgreSQL's timeline.c). So t gets
// one, unless it has one, with a remark for people and no parent. A standby that
// runs finds that t is no child of its own timeline, says so in its log, and does
// not follow it. Standbys of this instance that come from before t ask for all
// files in between, and get this one.
//
// A standby that starts would follow t nevertheless, and find no WAL there:
// Launch takes the file away again. So call this just before Promote.
//
// It is done as the system user. Something else than a plain file of that name
// wraps ErrNotRegular.
func (i *Instance) SkipTimeline(_ context.Context, t wal.Timeline) error {
	if t < 2 {
		return fmt.Errorf("cannot skip timeline %d: expected 2 or higher, no promotion begins a lower one", t)
	}
	err := i.asUser(func() error { return i.createHistory(t) })
	if err != nil {
		return fmt.Errorf("cannot keep a promotion from beginning timeline %d once more: %w", t, err)
	}
	return nil
}

// createHistory writes what, cut short by a crash, still is a remark, or nothing.
func (i *Instance) createHistory(t wal.Timeline) error {
	return i.createOnce(i.path(historyPath(t)), fmt.Sprintf(
		"# pgsqlms: another node began timeline %d, which is not known here. No timeline of this node may have that\n"+
			"# number. While there is no history file of a higher number, a standby does not start with this file.\n", t))
}

// forgetSkipped removes what SkipTimeline left behind where no promotion came of
// it, here or at the primary from which it was fetched: history files without a
// parent, which PostgreSQL itself never writes. Those below a real one stay, for
// standbys ask for them.
func (i *Instance) forgetSkipped() error {
	return i.asUser(func() error {
		known, err := i.historyFiles()
		if err != nil {
			return err
		}
		for _, t := range i.useless(known) {
			if err := os.Remove(i.path(historyPath(t))); err != nil {
				return fmt.Errorf("a history file without a parent, with which a standby does not start: %w", err)
			}
		}
		return nil
	})
}

// useless are the timelines without a parent from which no number leads, file by
// file, up to one with a parent. known is in rising order.
func (i *Instance) useless(known []wal.Timeline) (found []wal.Timeline) {
	useful := wal.Timeline(0)
	for _, t := range slices.Backward(known) {
		h, err := i.History(t)
		switch {
		case err != nil, len(h.Ancestors) > 0, t+1 == useful:
			useful = t
		default:
			found = append(found, t)
		}
	}
	return found
}
