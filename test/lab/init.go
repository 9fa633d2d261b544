package lab

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// initSpec is what the power switch tells a node's init.
type initSpec struct {
	Root root
	// Services are what the machine starts by itself, as after a fencing: see
	// servicesMain. "" for nothing.
	Services string
}

// initMain is process 1 of a node. It builds the node's root, tells the power
// switch on file 3 that it did, and then only reaps: killing it is the power loss.
func initMain() error {
	var spec initSpec
	if err := json.NewDecoder(os.Stdin).Decode(&spec); err != nil {
		return fmt.Errorf("init: reading what to do: %w", err)
	}
	ready := os.NewFile(3, "ready")
	if err := spec.Root.enter(); err != nil {
		fmt.Fprintf(ready, "%v", err)
		return err
	}
	signal.Ignore(unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGPIPE)
	children := make(chan os.Signal, 1)
	signal.Notify(children, unix.SIGCHLD)
	if err := serveSyslog(); err != nil {
		fmt.Fprintf(ready, "%v", err)
		return err
	}
	if _, err := io.WriteString(ready, "ok"); err != nil {
		return err
	}
	ready.Close()
	if spec.Services != "" {
		// Not waited for here: reap does, like for all other processes.
		cmd := helperCommand(helperPath, cmdServices, spec.Services)
		if err := cmd.Start(); err != nil {
			return err
		}
	}
	reap(children)
	return nil
}

func reap(children <-chan os.Signal) {
	for {
		for {
			pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
			if err == unix.EINTR {
				continue
			}
			if pid <= 0 {
				break
			}
		}
		<-children
	}
}

// serveSyslog writes what the node logs to /dev/log into /var/log/syslog.
func serveSyslog() error {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: "/dev/log", Net: "unixgram"})
	if err != nil {
		return err
	}
	if err := os.Chmod("/dev/log", 0o666); err != nil {
		return err
	}
	out, err := os.OpenFile("/var/log/syslog", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			fmt.Fprintf(out, "%s %s\n", time.Now().Format("2006-01-02T15:04:05.000"), buf[:n])
		}
	}()
	return nil
}

// helperCommand runs this program as one of its helpers, in a session of its
// own, because a helper outlives the command line that started it.
func helperCommand(path string, args ...string) *exec.Cmd {
	cmd := exec.Command(path, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}

// servicesMain starts the node's corosync, its pacemakerd, or both ("all"), or
// its etcd, its Patroni, or both ("peer"), as an init system would.
func servicesMain(which string) error {
	if which == "etcd" || which == "peer" {
		if err := startService("/var/log/etcd.log", "", nil, "/usr/bin/etcd", "--config-file", "/etc/etcd.yml"); err != nil {
			return err
		}
	}
	if which == "patroni" || which == "peer" {
		return startService("/var/log/patroni.log", "postgres", nil, "/usr/bin/patroni", "/etc/patroni/config.yml")
	}
	if which == "corosync" || which == "all" {
		if err := startService("/var/log/corosync/stdout.log", "", nil, "/usr/sbin/corosync", "-f"); err != nil {
			return err
		}
		if err := awaitCommand(20*time.Second, "corosync-cmapctl", "-b", "runtime.members"); err != nil {
			return fmt.Errorf("corosync does not answer: %w; see /var/log/corosync", err)
		}
	}
	if which == "pacemaker" || which == "all" {
		env := []string{"PCMK_logfile=/var/log/pacemaker/pacemaker.log", "PCMK_logfacility=none"}
		return startService("/var/log/pacemaker/stdout.log", "", env, "/usr/sbin/pacemakerd", "-f")
	}
	return nil
}

func startService(log, user string, env []string, path string, args ...string) error {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := helperCommand(path, args...)
	cmd.Env = append(nodeEnv(), env...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := becomeUser(cmd, user); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return nil // init reaps it when this process is gone
}

func awaitCommand(bound time.Duration, name string, args ...string) error {
	end := time.Now().Add(bound)
	for {
		cmd := exec.Command(name, args...)
		cmd.Env = nodeEnv()
		out, err := cmd.CombinedOutput()
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s: %w: %s", name, err, out)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// nodeEnv is the clean environment that commands in a node get.
func nodeEnv() []string {
	return []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root", "LANG=C.UTF-8", "LC_ALL=C.UTF-8",
	}
}
