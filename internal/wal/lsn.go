package wal

import (
	"fmt"
	"strconv"
	"strings"
)

// LSN is a log sequence number: the count of bytes of write-ahead log that
// precede a place in it. Zero is PostgreSQL's invalid LSN, "no place known".
type LSN uint64

// ParseLSN reads the form PostgreSQL prints: the high and the low half in
// hexadecimal, one to eight digits each, as in "0/46351A8". Either letter
// case is accepted, as the type pg_lsn does.
func ParseLSN(s string) (LSN, error) {
	high, low, found := strings.Cut(s, "/")
	if !found {
		return 0, fmt.Errorf("LSN %q has no slash, expected the form 0/46351A8", clip(s))
	}
	h, err := parseHex32(high)
	if err != nil {
		return 0, fmt.Errorf("LSN %q: high half: %w", clip(s), err)
	}
	l, err := parseHex32(low)
	if err != nil {
		return 0, fmt.Errorf("LSN %q: low half: %w", clip(s), err)
	}
	return LSN(h)<<32 | LSN(l), nil
}

// ParseDecimalLSN reads an LSN written as a plain decimal number of bytes,
// without a sign or a leading zero, from 0 to 18446744073709551615.
func ParseDecimalLSN(s string) (LSN, error) {
	n, err := parseDecimal(s, 64)
	if err != nil {
		return 0, fmt.Errorf("LSN %q: %w", clip(s), err)
	}
	return LSN(n), nil
}

// String prints the LSN as PostgreSQL 9.3 to 18 print it, as in "0/46351A8".
func (l LSN) String() string {
	return fmt.Sprintf("%X/%X", uint32(l>>32), uint32(l))
}

// Decimal prints the LSN as a plain decimal number of bytes.
func (l LSN) Decimal() string {
	return strconv.FormatUint(uint64(l), 10)
}
