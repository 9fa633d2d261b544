package pg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"pgsqlms/internal/wal"
)

// localEndWait bounds the reading of what was not replayed. A vote waits for it,
// and in that time some gigabytes are read where the disk is quick.
const localEndWait = 5 * time.Second

// shutdownEndWait bounds the reading of one segment, of 16 MB mostly, which was written a
// moment ago. Where it does not suffice the instance tells the same a little later, once it
// runs.
const shutdownEndWait = 500 * time.Millisecond

// localEnd is the end of the log that pg_wal holds beyond what is known so far,
// read from there record by record, along the newest timeline that goes on from
// what was replayed, and whether it came to that end. Should the time not suffice
// it is how far that came; where nothing can be read, it is what was known before.
func (i *Instance) localEnd(ctx context.Context, known Standing, segmentBytes uint64) (end wal.Position, read bool) {
	ctx, cancel := context.WithTimeout(ctx, localEndWait)
	defer cancel()
	end = known.End
	if wal.SegmentSuffix(0, segmentBytes) == "" {
		return end, false
	}
	err := i.asUser(func() error {
		files := &logFiles{
			ctx: ctx, dir: i.path("pg_wal"), segment: segmentBytes, history: i.newestFrom(known.Replayed),
		}
		defer files.close()
		found, err := files.end(known.Replayed.LSN)
		if found.LSN > end.LSN {
			end = found
		}
		return err
	})
	return end, errors.Is(err, errEndOfLog)
}

// ShutdownEnd is where the log of a primary ends that was shut down: behind the record of its
// last checkpoint, as pg_wal has it. ok is false where that cannot be read.
func (i *Instance) ShutdownEnd(ctx context.Context, c ControlData) (end wal.Position, ok bool) {
	if c.State != StateShutDown || wal.SegmentSuffix(0, c.Segment) == "" {
		return wal.Position{}, false
	}
	ctx, cancel := context.WithTimeout(ctx, shutdownEndWait)
	defer cancel()
	err := i.asUser(func() error {
		files := &logFiles{ctx: ctx, dir: i.path("pg_wal"), segment: c.Segment, history: wal.History{Timeline: c.Timeline}}
		defer files.close()
		var err error
		end, err = files.end(c.Checkpoint)
		return err
	})
	return end, errors.Is(err, errEndOfLog) && end.LSN > c.Checkpoint
}

// newestFrom is the history of the newest timeline in pg_wal that goes on from p.
func (i *Instance) newestFrom(p wal.Position) wal.History {
	known, _ := i.historyFiles() // without, p's own timeline it is
	for _, t := range slices.Backward(known) {
		if h, err := i.History(t); err == nil && h.Contains(p) {
			return h
		}
	}
	return wal.History{Timeline: p.Timeline}
}

// logFiles reads the pages of the log out of pg_wal's files. It follows one
// history: as the server does, it takes a segment from the newest timeline that
// has a file of it, and going forward never an older one again.
type logFiles struct {
	ctx     context.Context //nolint:containedctx // of one reading
	dir     string
	segment uint64
	history wal.History

	file     *os.File
	start    wal.LSN // of the segment opened last
	timeline wal.Timeline

	buffer [walPage]byte
	loaded wal.LSN // the page in the buffer; zero for none
}

// end is where the last whole record ends, and its timeline; and why no more
// followed, which is errEndOfLog at the end. Before replayed it found nothing.
func (f *logFiles) end(replayed wal.LSN) (wal.Position, error) {
	r := &records{page: f.page, segment: f.segment}
	err := r.seek(replayed)
	if err != nil {
		return wal.Position{}, fmt.Errorf("the log replayed is not there: %s", err) //nolint:errorlint // it is no end
	}
	for err == nil {
		err = r.next()
	}
	return wal.Position{Timeline: min(f.history.At(r.at), f.timeline), LSN: r.at}, err
}

func (f *logFiles) page(start wal.LSN) ([]byte, error) {
	if start == f.loaded && f.loaded != 0 {
		return f.buffer[:], nil
	}
	if err := f.ctx.Err(); err != nil {
		return nil, err
	}
	within := start % wal.LSN(f.segment)
	if f.file == nil || f.start != start-within {
		if err := f.open(start - within); err != nil {
			return nil, err
		}
	}
	f.loaded = 0
	_, err := f.file.ReadAt(f.buffer[:], int64(within))
	if errors.Is(err, io.EOF) { // a file cut short
		return nil, errEndOfLog
	}
	if err != nil {
		return nil, err
	}
	f.loaded = start
	return f.buffer[:], nil
}

func (f *logFiles) open(start wal.LSN) error {
	f.close()
	oldest := f.timeline
	if start < f.start { // going back
		oldest = 0
	}
	for _, t := range f.timelinesOf(start) {
		if t < oldest {
			break
		}
		name := fmt.Sprintf("%08X%s", uint32(t), wal.SegmentSuffix(start, f.segment))
		file, err := openRegular(filepath.Join(f.dir, name), os.O_RDONLY, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		f.file, f.start, f.timeline = file, start, t
		return nil
	}
	return errEndOfLog
}

// timelinesOf are those that have begun before the end of the segment, the
// newest first.
func (f *logFiles) timelinesOf(start wal.LSN) []wal.Timeline {
	end := start + wal.LSN(f.segment)
	timelines := []wal.Timeline{f.history.Timeline}
	for _, a := range slices.Backward(f.history.Ancestors) {
		if a.End >= end { // the one after it begins beyond
			timelines = nil
		}
		timelines = append(timelines, a.Timeline)
	}
	return timelines
}

func (f *logFiles) close() {
	if f.file != nil {
		f.file.Close()
		f.file = nil
	}
}
