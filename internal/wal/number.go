package wal

import (
	"errors"
	"strconv"
)

var (
	errNotHex     = errors.New("expected one to eight hexadecimal digits")
	errNotDecimal = errors.New("expected a decimal number without a sign or a leading zero")
	errTooLarge   = errors.New("the number is too large")
)

// parseHex32 reads one to eight hexadecimal digits. strconv alone would also
// take a sign and underscores in some bases.
func parseHex32(s string) (uint32, error) {
	if len(s) < 1 || len(s) > 8 || !all(s, isHex) {
		return 0, errNotHex
	}
	n, err := strconv.ParseUint(s, 16, 32)
	if err != nil {
		return 0, errNotHex
	}
	return uint32(n), nil
}

// parseDecimal reads an unsigned number in its one canonical spelling, so
// that printing it gives the same text back.
func parseDecimal(s string, bits int) (uint64, error) {
	if s == "" || !all(s, isDigit) || (len(s) > 1 && s[0] == '0') {
		return 0, errNotDecimal
	}
	n, err := strconv.ParseUint(s, 10, bits)
	if err != nil {
		return 0, errTooLarge
	}
	return n, nil
}

func all(s string, is func(byte) bool) bool {
	for i := range len(s) {
		if !is(s[i]) {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isHex(c byte) bool {
	return isDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')
}

// clip shortens what is quoted in an error: the input may be anything.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
