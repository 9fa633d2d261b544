package pg

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"pgsqlms/internal/wal"
)

// History is the descent of a timeline, from its history file in pg_wal, read
// as the system user. Timeline 1 has no file and no ancestors. A file that is
// not there wraps fs.ErrNotExist.
func (i *Instance) History(t wal.Timeline) (wal.History, error) {
	if t == 1 {
		return wal.History{Timeline: 1}, nil
	}
	name := historyPath(t)
	text, err := i.readFile(name, maxLargeFile)
	if err != nil {
		return wal.History{}, err
	}
	h, err := wal.ParseHistory(t, string(text))
	if err != nil {
		return wal.History{}, fmt.Errorf("%s: %w", i.path(name), err)
	}
	return h, nil
}

// historyPath is where a timeline's history lies in the data directory.
func historyPath(t wal.Timeline) string { return filepath.Join("pg_wal", t.HistoryFile()) }

// historyFiles are the timelines of which pg_wal has the history, in rising order.
func (i *Instance) historyFiles() ([]wal.Timeline, error) {
	names, err := listNames(i.path("pg_wal"))
	if err != nil {
		return nil, err
	}
	var timelines []wal.Timeline
	for _, name := range names {
		if t, found := timelineOfHistory(name); found {
			timelines = append(timelines, t)
		}
	}
	slices.Sort(timelines)
	return timelines, nil
}

// timelineOfHistory reads the name of a history file.
func timelineOfHistory(name string) (wal.Timeline, bool) {
	digits, found := strings.CutSuffix(name, ".history")
	t, err := wal.TimelineOfSegment(digits + strings.Repeat("0", 16))
	return t, found && err == nil && len(digits) == 8
}

// onTimeline finds the timeline of a place in a standby's log, for which it has
// no other word. The newest timeline of which the standby has anything at that
// place decides, and that timeline's history tells to which of its ancestors the
// place belongs.
func (i *Instance) onTimeline(place wal.LSN, atLeast wal.Timeline, segmentBytes uint64) (wal.Position, error) {
	stored, err := i.newestStored(place, segmentBytes)
	if err != nil {
		return wal.Position{}, err
	}
	return i.along(max(atLeast, stored), place)
}

// along is the place of a log that follows timeline t. Without t's history file
// it is taken to be on t.
func (i *Instance) along(t wal.Timeline, place wal.LSN) (wal.Position, error) {
	h, err := i.knownHistory(t)
	if err != nil {
		return wal.Position{}, err
	}
	return wal.Position{Timeline: h.At(place), LSN: place}, nil
}

// knownHistory is History, or the timeline alone where its file is not there.
func (i *Instance) knownHistory(t wal.Timeline) (wal.History, error) {
	h, err := i.History(t)
	if errors.Is(err, fs.ErrNotExist) {
		return wal.History{Timeline: t}, nil
	}
	return h, err
}

// newestStored is the newest timeline of which pg_wal has the segment that
// holds the last byte before end; zero when it has none.
func (i *Instance) newestStored(end wal.LSN, segmentBytes uint64) (wal.Timeline, error) {
	if end == 0 {
		return 0, nil
	}
	var names []string
	err := i.asUser(func() (err error) {
		names, err = listNames(i.path("pg_wal"))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("cannot list the write-ahead log: %w", err)
	}
	return newestSegment(names, wal.SegmentSuffix(end-1, segmentBytes)), nil
}

// newestSegment is the highest timeline among the segments with that suffix.
func newestSegment(names []string, suffix string) (newest wal.Timeline) {
	for _, name := range names {
		t, err := wal.TimelineOfSegment(name)
		if err == nil && name[8:] == suffix {
			newest = max(newest, t)
		}
	}
	return newest
}

// listNames lists a directory, and does not wait for the writer of a pipe in its place.
func listNames(path string) ([]string, error) {
	d, err := openDirectory(path)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}
