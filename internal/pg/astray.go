package pg

import "pgsqlms/internal/wal"

// astray finds the timeline that a standby waits for in vain, 0 when there is none.
//
// A standby that starts makes the last of the timelines whose history files follow one
// another in pg_wal its target (findNewestTimeLine in PostgreSQL's timeline.c), and goes
// on from there only to one that descends from it (rescanLatestTimeLine in
// xlogrecovery.c, in xlog.c until 14). That timeline may never have begun: a node that
// loses its power in its promotion leaves the file behind, before there is any log. The
// primary's timeline is then no child of it, and its log is not even asked for.
//
// Another start takes the primary's for the target, if its file is the last one, and has
// come since this start. Nothing can be said before the replay has come to the end of what
// there was then, in pg_wal and in an archive.
func (i *Instance) astray(f follower, theirs wal.History) (wal.Timeline, error) {
	if !f.complete {
		return 0, nil
	}
	files, err := i.HistoryFiles()
	if err != nil {
		return 0, err
	}
	var target HistoryFile
	newest := HistoryFile{History: wal.History{Timeline: f.replayed.Timeline}}
	for _, file := range files {
		if file.History.Timeline != newest.History.Timeline+1 {
			continue
		}
		if newest = file; file.History.IsAncestor(f.replayed.Timeline) && file.History.Timeline < theirs.Timeline {
			target = file
		}
	}
	switch t := target.History.Timeline; {
	case newest.History.Timeline != theirs.Timeline, f.started.IsZero(), !newest.Modified.After(f.started):
		return 0, nil
	case t == 0, theirs.IsAncestor(t), target.Modified.After(newest.Modified):
		return 0, nil
	default:
		return t, nil
	}
}
