package pg

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"pgsqlms/internal/wal"
)

// logWriter writes a log as the server does, record by record, without any
// regard for how it is read: it lays the bytes out one by one.
type logWriter struct {
	bytes   []byte // from LSN 0 on
	before  wal.LSN
	ends    []wal.LSN // of the records
	matters []int     // bytes of records, and of what a page's header says for them
	segment uint64
}

func (w *logWriter) at() wal.LSN { return wal.LSN(len(w.bytes)) }

func (w *logWriter) openPage(left int) {
	info := uint16(0)
	if left > 0 {
		info |= pageContinues
	}
	size := shortPageHeader
	if uint64(w.at())%w.segment == 0 {
		info |= pageIsLong
		size = longPageHeader
	}
	head := make([]byte, size)
	binary.NativeEndian.PutUint16(head, 0xD110)
	binary.NativeEndian.PutUint16(head[2:], info)
	binary.NativeEndian.PutUint32(head[4:], 1)
	binary.NativeEndian.PutUint64(head[8:], uint64(w.at()))
	binary.NativeEndian.PutUint32(head[16:], uint32(left))
	w.mark(8, 8)
	if left > 0 {
		w.mark(16, 4)
	}
	w.bytes = append(w.bytes, head...)
}

func (w *logWriter) mark(from, bytes int) {
	for n := range bytes {
		w.matters = append(w.matters, int(w.at())+from+n)
	}
}

func (w *logWriter) write(data []byte, manager, info byte) {
	if w.at()%walPage == 0 {
		w.openPage(0)
	}
	begin := w.at()
	rec := make([]byte, recordHeader, recordHeader+len(data))
	binary.NativeEndian.PutUint32(rec, uint32(recordHeader+len(data)))
	binary.NativeEndian.PutUint64(rec[8:], uint64(w.before))
	rec[16], rec[17] = info, manager
	crc := crc32.Checksum(data, castagnoli())
	binary.NativeEndian.PutUint32(rec[20:], crc32.Update(crc, castagnoli(), rec[:20]))
	rec = append(rec, data...)
	for n, b := range rec {
		if w.at()%walPage == 0 {
			w.openPage(len(rec) - n)
		}
		w.mark(0, 1)
		w.bytes = append(w.bytes, b)
	}
	for w.at()%8 != 0 {
		w.bytes = append(w.bytes, 0)
	}
	w.before = begin
	if manager == 0 && info == infoSwitch {
		for uint64(w.at())%w.segment != 0 {
			w.bytes = append(w.bytes, 0)
		}
	}
	w.ends = append(w.ends, w.at())
}

// reader reads them back, with nothing but zeros behind.
func (w *logWriter) reader() *records {
	return &records{segment: w.segment, page: func(start wal.LSN) ([]byte, error) {
		page := make([]byte, walPage)
		if int(start) < len(w.bytes) {
			copy(page, w.bytes[start:])
		}
		return page, nil
	}}
}

// anyLog draws one of some segments of 64 kB, which keeps it small.
func anyLog(t *rapid.T) *logWriter {
	w := &logWriter{segment: 8 * walPage}
	w.bytes = make([]byte, w.segment) // LSNs begin with the second segment
	for range rapid.IntRange(1, 30).Draw(t, "records") {
		size := rapid.OneOf(rapid.IntRange(0, 200), rapid.IntRange(0, 3*walPage), rapid.Just(10*walPage)).Draw(t, "size")
		data := make([]byte, size)
		for n := range data {
			data[n] = byte(n*7 + size)
		}
		if rapid.IntRange(0, 20).Draw(t, "switch") == 0 {
			w.write(nil, 0, infoSwitch)
		} else {
			w.write(data, 10, 0)
		}
	}
	return w
}

// readEnds goes to the end, and tells all places on the way, with the first.
func readEnds(r *records) []wal.LSN {
	ends := []wal.LSN{r.at}
	for r.next() == nil {
		ends = append(ends, r.at)
	}
	return ends
}

func TestRecordsAreRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := anyLog(t)
		r := w.reader()
		r.at = wal.LSN(w.segment)
		require.Equal(t, w.ends, readEnds(r)[1:])
	})
}

// Whichever record replay has reached, what follows is found; also where the
// place replay names is a begin behind a page's header.
func TestRecordsAreSought(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := anyLog(t)
		n := rapid.IntRange(0, len(w.ends)-1).Draw(t, "replayed")
		r := w.reader()
		require.NoError(t, r.seek(w.ends[n]))
		require.Equal(t, w.ends[n:], readEnds(r))
		if begin, err := r.begin(w.ends[n]); err == nil && n+1 < len(w.ends) {
			require.NoError(t, r.seek(begin))
			require.Equal(t, w.ends[n:], readEnds(r))
		}
		require.ErrorIs(t, r.seek(w.ends[n]-4), errEndOfLog, "no record ends there")
	})
}

// A single wrong bit ends the log before the record it is in, or for.
func TestRecordsEndAtDamage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := anyLog(t)
		whole := append([]wal.LSN{wal.LSN(w.segment)}, w.ends...)
		place := rapid.SampledFrom(w.matters).Draw(t, "place")
		w.bytes[place] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		n := slices.IndexFunc(whole, func(end wal.LSN) bool { return int(end) > place })
		r := w.reader()
		r.at = whole[0]
		require.Equal(t, whole[:n], readEnds(r))
	})
}

// Of two records the second goes on on the next page, and a third begins there.
func TestRecordsEndAtAWrongPage(t *testing.T) {
	for what, change := range map[string]func(header []byte){
		"not one bit":          func([]byte) {},
		"another address":      func(h []byte) { h[8+2] ^= 1 },
		"it does not go on":    func(h []byte) { binary.NativeEndian.PutUint16(h[2:], 0) },
		"more is left":         func(h []byte) { h[16]++ },
		"a segment's first":    func(h []byte) { binary.NativeEndian.PutUint16(h[2:], pageContinues|pageIsLong) },
		"of no page at all":    func(h []byte) { clear(h) },
		"it was never written": func(h []byte) { clear(h[:walPage]) },
	} {
		w := &logWriter{segment: 8 * walPage, bytes: make([]byte, 8*walPage)}
		w.write(make([]byte, 100), 10, 0)
		w.write(make([]byte, walPage), 10, 0)
		w.write(make([]byte, 2*walPage), 10, 0)
		change(w.bytes[9*walPage:])
		r := w.reader()
		require.NoError(t, r.seek(w.ends[0]))
		if what == "not one bit" {
			require.Equal(t, w.ends, readEnds(r))
		} else {
			require.Equal(t, w.ends[:1], readEnds(r), what)
		}
	}

	// A record cannot begin where the rest of another is.
	w := &logWriter{segment: 8 * walPage, bytes: make([]byte, 8*walPage)}
	w.write(make([]byte, walPage-longPageHeader-recordHeader), 10, 0)
	require.Zero(t, w.at()%walPage)
	w.write(make([]byte, 100), 10, 0)
	r := w.reader()
	require.NoError(t, r.seek(w.ends[0]))
	require.Equal(t, w.ends, readEnds(r))
	w.bytes[9*walPage+2] = pageContinues
	require.NoError(t, r.seek(w.ends[0]))
	require.Equal(t, w.ends[:1], readEnds(r))
}

// What a file held in its former life does not belong to the log, though it is
// a record and whole.
func TestRecordsLeftOverAreNotRead(t *testing.T) {
	old := &logWriter{segment: 8 * walPage, bytes: make([]byte, 8*walPage)}
	log := &logWriter{segment: 8 * walPage, bytes: make([]byte, 16*walPage)}
	for range 3 {
		old.write(make([]byte, 100), 10, 0)
	}
	log.write(make([]byte, 100), 10, 0)
	log.write(make([]byte, 100), 10, 0)
	last := log.at()
	left := old.bytes[uint64(last)-old.segment:]
	log.bytes = append(log.bytes, left...)
	require.NotZero(t, left[0])
	r := log.reader()
	require.NoError(t, r.seek(last))
	require.Equal(t, []wal.LSN{last}, readEnds(r), "its predecessor is another")
	r = log.reader()
	require.NoError(t, r.seek(log.ends[0]))
	require.Equal(t, log.ends, readEnds(r))
}

// The server was killed in the middle of a record, and has gone on with another
// where that one would have gone on.
func TestRecordsOverwritten(t *testing.T) {
	w := &logWriter{segment: 8 * walPage, bytes: make([]byte, 8*walPage)}
	w.write(make([]byte, 100), 10, 0)
	before := w.before
	w.write(make([]byte, 2*walPage), 10, 0)
	w.bytes = w.bytes[:9*walPage]
	w.openPage(0)
	binary.NativeEndian.PutUint16(w.bytes[9*walPage+2:], pageOverwrote)
	w.before = before
	w.write(make([]byte, 100), 10, 0)
	r := w.reader()
	require.NoError(t, r.seek(w.ends[0]))
	require.Equal(t, []wal.LSN{w.ends[0], 9 * walPage, w.at()}, readEnds(r))
}

func FuzzRecords(f *testing.F) {
	w := &logWriter{segment: 8 * walPage, bytes: make([]byte, 8*walPage)}
	w.write(make([]byte, 100), 10, 0)
	w.write(make([]byte, walPage), 10, 0)
	f.Add(w.bytes[w.segment:], uint32(w.ends[0]))
	f.Fuzz(func(t *testing.T, bytes []byte, replayed uint32) {
		w := &logWriter{segment: 8 * walPage, bytes: append(make([]byte, 8*walPage), bytes...)}
		r := w.reader()
		if r.seek(wal.LSN(replayed)) != nil {
			return
		}
		for at := r.at; r.next() == nil; at = r.at {
			if r.at <= at {
				t.Fatalf("no progress at %s", at)
			}
		}
	})
}
