package wal

import (
	"fmt"
	"strconv"
)

// Timeline is a timeline ID. PostgreSQL counts them from 1; zero means that
// none is known.
type Timeline uint32

// ParseTimeline reads a timeline ID in decimal, from 1 to 4294967295, without
// a sign or a leading zero.
func ParseTimeline(s string) (Timeline, error) {
	n, err := parseDecimal(s, 32)
	if err != nil {
		return 0, fmt.Errorf("timeline %q: %w", clip(s), err)
	}
	if n == 0 {
		return 0, fmt.Errorf("timeline %q: timelines count from 1", clip(s))
	}
	return Timeline(n), nil
}

// String prints the timeline ID in decimal.
func (t Timeline) String() string {
	return strconv.FormatUint(uint64(t), 10)
}

// HistoryFile is the name of the timeline's history file in pg_wal, as in
// "00000002.history". Timeline 1 never has one.
func (t Timeline) HistoryFile() string {
	return fmt.Sprintf("%08X.history", uint32(t))
}

// TimelineOfSegment reads the timeline from the name of a WAL segment: 24
// upper-case hexadecimal digits, of which the first eight are the timeline.
func TimelineOfSegment(name string) (Timeline, error) {
	if len(name) != 24 || !all(name, isUpperHex) {
		return 0, fmt.Errorf("WAL file name %q: expected 24 upper-case hexadecimal digits", clip(name))
	}
	n, err := parseHex32(name[:8])
	if err != nil || n == 0 {
		return 0, fmt.Errorf("WAL file name %q: timelines count from 1", clip(name))
	}
	return Timeline(n), nil
}

// SegmentSuffix is what the name of the WAL segment that holds the byte at l
// has after its timeline, for segments of segmentBytes bytes: sixteen
// upper-case hexadecimal digits. Segment sizes are powers of two from 1 MiB to
// 1 GiB; anything else gives the empty string.
func SegmentSuffix(l LSN, segmentBytes uint64) string {
	if segmentBytes < 1<<20 || segmentBytes > 1<<30 || segmentBytes&(segmentBytes-1) != 0 {
		return ""
	}
	number := uint64(l) / segmentBytes
	perFile := (uint64(1) << 32) / segmentBytes
	return fmt.Sprintf("%08X%08X", number/perFile, number%perFile)
}

func isUpperHex(c byte) bool { return isDigit(c) || (c >= 'A' && c <= 'F') }
