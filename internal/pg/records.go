package pg

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"sync"

	"pgsqlms/internal/wal"
)

// The layout of the write-ahead log, from PostgreSQL's xlog_internal.h and
// xlogrecord.h; the same from 10 to 18. Numbers are in the machine's byte order.
const (
	shortPageHeader = 24
	longPageHeader  = 40 // of a segment's first page

	pageContinues = 0x1 // the page begins with the rest of a record
	pageIsLong    = 0x2
	pageOverwrote = 0x8 // that rest was never written; a crash came in between (since 14)

	recordHeader = 24
	recordCRC    = 20 // where the checksum stands, the last field
	recordAlign  = 8

	managerXLOG = 0
	infoMask    = 0xF0
	infoSwitch  = 0x40 // the rest of the segment is empty
)

// errEndOfLog says that no whole record follows: the log ends here, or what
// follows is what the file held before it was used again.
var errEndOfLog = errors.New("the write-ahead log ends here")

// records goes from record to record through the write-ahead log, and judges
// each as the server does: the address in every page's header, the address of
// the record before, and the checksum.
type records struct {
	page    func(wal.LSN) ([]byte, error) // the page of walPage bytes that begins there
	segment uint64                        // bytes of a segment

	at     wal.LSN // where the record before ended
	before wal.LSN // where it began; zero for not known
}

// pageHeader is what a page begins with.
type pageHeader struct {
	info uint16
	rest uint32 // bytes left of a record that began on a page before
	size wal.LSN
}

// header reads and checks the header of the page that begins at start. A page
// of another address is left over from the file's life as another segment.
func (r *records) header(start wal.LSN) ([]byte, pageHeader, error) {
	page, err := r.page(start)
	if err != nil {
		return nil, pageHeader{}, err
	}
	h := pageHeader{
		info: binary.NativeEndian.Uint16(page[2:]),
		rest: binary.NativeEndian.Uint32(page[16:]),
		size: shortPageHeader,
	}
	if h.info&pageIsLong != 0 {
		h.size = longPageHeader
	}
	if long := uint64(start)%r.segment == 0; long != (h.info&pageIsLong != 0) ||
		binary.NativeEndian.Uint64(page[8:]) != uint64(start) {
		return nil, pageHeader{}, errEndOfLog
	}
	return page, h, nil
}

// begin is where a record that follows at begins: at itself, or behind the
// header of the page that begins there.
func (r *records) begin(at wal.LSN) (wal.LSN, error) {
	if at%walPage != 0 {
		return at, nil
	}
	_, h, err := r.header(at)
	if err == nil && h.info&pageContinues != 0 {
		err = errEndOfLog
	}
	return at + h.size, err
}

// next goes on by one record.
func (r *records) next() error {
	begin, err := r.begin(r.at)
	if err != nil {
		return err
	}
	rec, err := r.read(begin)
	switch {
	case err != nil:
		return err
	case rec.overwritten:
		r.at = rec.end
		return nil
	case r.before != 0 && rec.before != r.before, rec.checksum != rec.computed, rec.before >= begin:
		return errEndOfLog
	}
	r.before, r.at = begin, rec.end
	if rec.manager == managerXLOG && rec.info&infoMask == infoSwitch {
		r.at = roundUp(r.at, r.segment)
	}
	return nil
}

// record is what is looked at of one.
type record struct {
	before             wal.LSN
	info, manager      byte
	checksum, computed uint32
	end                wal.LSN
	overwritten        bool // only its beginning was written; it goes on with another at end
}

var castagnoli = sync.OnceValue(func() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) })

// read takes one record in, from as many pages as it lies on. The checksum is
// that of what follows the header, and then of the header.
func (r *records) read(begin wal.LSN) (record, error) {
	page, err := r.page(begin - begin%walPage)
	if err != nil {
		return record{}, err
	}
	part := page[begin%walPage:]
	left := binary.NativeEndian.Uint32(part) // its length stands in one piece: records are aligned
	if left < recordHeader {
		return record{}, errEndOfLog
	}
	var head [recordHeader]byte
	var got int
	var crc uint32
	end := begin
	for {
		take := min(uint64(left), uint64(len(part)))
		taken := copy(head[got:], part[:take])
		got += taken
		crc = crc32.Update(crc, castagnoli(), part[taken:take])
		left -= uint32(take)
		end += wal.LSN(take)
		if left == 0 {
			return decode(head[:], crc, roundUp(end, recordAlign)), nil
		}
		var h pageHeader
		if page, h, err = r.header(end); err != nil {
			return record{}, err
		}
		switch {
		case h.info&pageOverwrote != 0:
			return record{overwritten: true, end: end}, nil
		case h.info&pageContinues == 0 || h.rest != left:
			return record{}, errEndOfLog
		}
		part = page[h.size:]
		end += h.size
	}
}

func decode(head []byte, crc uint32, end wal.LSN) record {
	return record{
		before:   wal.LSN(binary.NativeEndian.Uint64(head[8:])),
		info:     head[16],
		manager:  head[17],
		checksum: binary.NativeEndian.Uint32(head[recordCRC:]),
		computed: crc32.Update(crc, castagnoli(), head[:recordCRC]),
		end:      end,
	}
}

func roundUp(at wal.LSN, unit uint64) wal.LSN {
	return wal.LSN((uint64(at) + unit - 1) / unit * unit)
}

// seek goes to the end of the record that ends at end, knowing where it began:
// without that, a leftover record could be taken for the next one. It starts at
// the first record of a segment.
func (r *records) seek(end wal.LSN) error {
	first, err := r.firstBefore(end)
	if err != nil {
		return err
	}
	r.at, r.before = first, 0
	for r.at < end && !r.isBegin(end) {
		if err := r.next(); err != nil {
			return err
		}
	}
	if r.at > end {
		return errEndOfLog // the log is another than the one that was replayed
	}
	return nil
}

// isBegin says whether lsn is the begin of the next record. What the server
// calls replayed is an end, but before it has replayed anything a begin.
func (r *records) isBegin(lsn wal.LSN) bool {
	if r.at%walPage != 0 || lsn-r.at > longPageHeader {
		return false
	}
	begin, err := r.begin(r.at)
	return err == nil && begin == lsn
}

// firstBefore is the first record of the segment of the last byte before end, or
// of an earlier one when none begins there before end.
func (r *records) firstBefore(end wal.LSN) (wal.LSN, error) {
	segment := wal.LSN(r.segment)
	for start, limit := roundUp(end, r.segment), end; start >= segment; limit = start {
		start -= segment
		first, err := r.firstOf(start, limit)
		if err != nil || first < limit {
			return first, err
		}
	}
	return 0, errEndOfLog
}

// firstOf is where the first record of a segment begins, or limit if none begins
// before it.
func (r *records) firstOf(start, limit wal.LSN) (wal.LSN, error) {
	for page := start; page < limit; page += walPage {
		_, h, err := r.header(page)
		if err != nil {
			return 0, err
		}
		first := page + h.size
		if h.info&pageContinues != 0 {
			first = roundUp(first+wal.LSN(h.rest), recordAlign)
		}
		if first < page+walPage {
			return min(first, limit), nil
		}
	}
	return limit, nil
}
