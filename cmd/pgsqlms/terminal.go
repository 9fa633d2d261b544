package main

import (
	"io"
	"os"
	"syscall"
	"unsafe"
)

// The device numbers of terminals: consoles and serial lines, /dev/tty, and the slaves
// of pseudo-terminals (Linux, Documentation/admin-guide/devices.txt).
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	major := stat.Rdev >> 8 & 0xfff
	return major == 4 || major == 5 || (major >= 136 && major <= 143)
}

// terminalSize is how wide and how high a terminal is, by tty_ioctl(4); 0 for what is none,
// or does not say.
func terminalSize(w io.Writer) (columns, rows int) {
	f, ok := w.(*os.File)
	if !ok || !isTerminal(w) {
		return 0, 0
	}
	var size struct{ rows, columns, xPixels, yPixels uint16 }
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), syscall.TIOCGWINSZ, uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return 0, 0
	}
	return int(size.columns), int(size.rows)
}
