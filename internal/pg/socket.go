package pg

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"
)

// backlogStep is how long to wait before a full queue is tried again.
const backlogStep = 10 * time.Millisecond

// backlogFull says that a Unix socket's queue of connections is full, as that
// of a busy or stopped server. There is no event to wait for.
func backlogFull(err error) bool { return errors.Is(err, syscall.EAGAIN) }

// connectSocket connects a Unix socket in the calling thread, whose
// credentials the kernel notes for the other side at this moment, and says who
// listens there.
func connectSocket(path string) (net.Conn, *syscall.Ucred, error) {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make a socket: %w", err)
	}
	file := os.NewFile(uintptr(fd), path)
	defer file.Close() // the connection below has a descriptor of its own
	if err := syscall.Connect(fd, &syscall.SockaddrUnix{Name: path}); err != nil {
		return nil, nil, fmt.Errorf("cannot connect to %s: %w", path, err)
	}
	peer, err := syscall.GetsockoptUcred(fd, syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot tell who listens on %s: %w", path, err)
	}
	conn, err := net.FileConn(file)
	return conn, peer, err
}

// errOtherInstance is the mark of IsOtherInstance.
var errOtherInstance = errors.New("another server listens there")

// checkPeer judges who listens: for a Unix socket the kernel tells who called
// listen(2), and with PostgreSQL that is the postmaster. In a directory such
// as /tmp anybody may have made the socket; and with a wrong port or directory
// configured it is some other instance's, whose role must not be taken for
// ours. A postmaster has its postmaster.pid and ends itself when that is gone; of
// one that cannot be read it is known where it works.
func (i *Instance) checkPeer(peer *syscall.Ucred) error {
	if user := i.runner(); peer.Uid != user.UID {
		return fmt.Errorf("%w: process %d of uid %d, expected one of %s (uid %d)",
			errOtherInstance, peer.Pid, peer.Uid, user.Name, user.UID)
	}
	file, err := i.readPidFile()
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: process %d, while %s has no postmaster.pid", errOtherInstance, peer.Pid, i.cfg.DataDir)
	}
	switch {
	case peer.Pid == 0 || int(peer.Pid) == file.PID:
		return nil
	case err != nil || file.PID == 0:
		return i.checkBackend(int(peer.Pid))
	}
	return fmt.Errorf("%w: process %d, expected the postmaster of %s, which is process %d; check the port and the socket directory",
		errOtherInstance, peer.Pid, i.cfg.DataDir, file.PID)
}

// checkBackend is checkPeer for a connection over TCP, of which the kernel tells nothing
// of the other side. The server names the process that serves it (BackendKeyData of its
// protocol), which must be one of this data directory. Behind the address of another
// node, such as the cluster's virtual IP, the number is one of that machine, and here
// somebody else's; and a connection pooler has made it up.
func (i *Instance) checkBackend(pid int) error {
	ours, err := i.isOurs(pid)
	switch {
	case err != nil:
		return fmt.Errorf("it cannot be told whose process %d is, which answers there: %w", pid, err)
	case ours:
		return nil
	}
	return fmt.Errorf("%w: process %d, which is none of %s on this node; check pghost and pgport", errOtherInstance, pid, i.cfg.DataDir)
}
