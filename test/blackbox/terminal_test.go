package blackbox

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo-terminal that a program writes to.
type terminal struct {
	master, slave *os.File
	read          chan string
}

func openTerminal() (*terminal, error) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, fmt.Errorf("unlocking the terminal: %w", err)
	}
	n, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err != nil {
		return nil, fmt.Errorf("asking for the terminal's number: %w", err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	t := &terminal{master: master, slave: slave, read: make(chan string, 1)}
	go func() {
		text, _ := io.ReadAll(master) // ends with an error when nobody has the slave open any more
		t.read <- string(text)
	}()
	return t, nil
}

// text is what was written, with line ends as the program wrote them.
func (t *terminal) text() string {
	t.slave.Close()
	defer t.master.Close()
	return strings.ReplaceAll(<-t.read, "\r\n", "\n")
}
