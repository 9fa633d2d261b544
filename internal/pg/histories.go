package pg

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"pgsqlms/internal/wal"
)

// HistoryFile is a timeline's history file in this node's pg_wal.
type HistoryFile struct {
	History wal.History

	// Modified is when this node wrote the file: at the promotion where it was the one
	// promoted, else when it heard of the timeline, or was cloned.
	Modified time.Time

	// Skipped says that it is none of PostgreSQL's, but keeps the number from being taken
	// again; see SkipTimeline.
	Skipped bool

	// Err is why it cannot be read; then only the timeline of History is set.
	Err error
}

// HistoryFiles are all that pg_wal has, in rising order of the timelines, read as the
// system user. Timeline 1 has none.
func (i *Instance) HistoryFiles() (files []HistoryFile, err error) {
	err = i.asUser(func() error {
		timelines, err := i.historyFiles()
		if err != nil {
			return fmt.Errorf("cannot list the write-ahead log: %w", err)
		}
		for _, t := range timelines {
			if f, found := i.historyFile(t); found {
				files = append(files, f)
			}
		}
		return nil
	})
	return files, err
}

// historyFile reads one; found is false when it was removed meanwhile. It runs as the
// system user.
func (i *Instance) historyFile(t wal.Timeline) (file HistoryFile, found bool) {
	file.History.Timeline = t
	path := i.path(historyPath(t))
	f, err := openRegular(path, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return file, false
	}
	if err != nil {
		file.Err = err
		return file, true
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		file.Err = err
		return file, true
	}
	file.Modified = info.ModTime()
	text, err := readRegular(path, maxLargeFile)
	if err == nil {
		file.History, err = wal.ParseHistory(t, string(text))
	}
	file.History.Timeline = t
	file.Err, file.Skipped = err, err == nil && len(file.History.Ancestors) == 0
	return file, true
}
