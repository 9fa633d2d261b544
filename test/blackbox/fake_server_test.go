package blackbox

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	pidFileName   = "postmaster.pid"
	promoteName   = "promote"
	standbySignal = "standby.signal"
)

// longestLife ends a fake that nobody has stopped.
const longestLife = 3 * time.Minute

// server is a fake PostgreSQL server: it has one process, one data directory, a socket, pg_control and postmaster.pid,
// knows standby and primary, and obeys the signals that the real one obeys. It can be told, also while it runs:
//
//	refuse SQLSTATE TEXT           every connection
//	refuse-for DURATION SQLSTATE TEXT  in its first moments
//	refuse-replication SQLSTATE TEXT  every connection that asks for replication
//	fail-queries SQLSTATE TEXT     every query
//	hang                           takes connections, and says nothing
//	hang-queries                   answers no query
//	slow-checkpoint DURATION       takes so long for one
//	garbage                        answers nonsense
//	die                            ends as it starts, with a message
//	killed TIMES                   is killed as it starts, the script's first so many times
//	never-ready                    does not come up
//	primary                        comes up as a primary, whatever standby.signal says
//	deaf [TIMES]                   ignores SIGINT, always or so many times
//	stubborn                       ignores SIGINT and SIGQUIT
//	unclean                        ends at SIGINT, but not cleanly
//	never-promotes                 ignores the order to promote
//	promotes-in DURATION           takes so long for it, in recovery
//	deaf-to-promote                leaves the order where it is
//	unfinished [DURATION]          has not replayed what it found when it started, for ever or for so long
type server struct {
	place
	dir      string
	socket   string
	port     string
	started  time.Time
	listener net.Listener

	mu        sync.Mutex // for what follows
	control   controlFile
	standby   bool
	promoting bool // and will be no standby in a moment

	unheard int // SIGINTs that were ignored
}

func runServer(p place, dir string, settings map[string]string) {
	if other := settings["data_directory"]; other != "" {
		dir = other
	}
	s := &server{
		place: p, dir: dir, port: settings["port"], started: time.Now(),
		socket: filepath.Join(settings["unix_socket_directories"], ".s.PGSQL."+settings["port"]),
	}
	p.rememberServer()
	time.AfterFunc(longestLife, func() { os.Exit(97) })
	signals := make(chan os.Signal, 8) // heard from before anybody can know that the server is ready
	signal.Notify(signals, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGTERM)
	s.start()
	go s.accept()
	s.obey(signals)
}

// rememberServer leaves the process ID for the end of the script.
func (p place) rememberServer() {
	f, err := os.OpenFile(p.servers(), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		die("%v", err)
	}
	defer f.Close()
	fmt.Fprintln(f, os.Getpid())
}

// killed is the end of a server that is told so, the first times that it is started.
func (s *server) killed() {
	times, ok := s.toldOf(serverName, "killed")
	if !ok {
		return
	}
	starts, err := os.ReadFile(s.servers())
	if err != nil {
		die("%v", err)
	}
	if strings.Count(string(starts), "\n") <= number(times) {
		killSelf()
	}
}

func (s *server) start() {
	s.killed()
	if text, ok := s.toldOf(serverName, "die"); ok {
		fatal("%s", text)
	}
	if err := os.Chdir(s.dir); err != nil {
		fatal("could not change directory to %q: %v", s.dir, reasonOf(err))
	}
	if _, err := os.Stat(pidFileName); err == nil && s.otherRuns() {
		fatal("lock file %q already exists", pidFileName)
	}
	var err error
	if s.control, err = readControlFile(s.dir); err != nil || s.control.Damaged {
		fatal("could not read control file")
	}
	s.writePidFile("starting")
	_ = os.Remove(promoteName) // as the real one does
	s.takeRole()
	if _, never := s.toldOf(serverName, "never-ready"); never {
		return
	}
	s.listen()
	s.writePidFile("ready   ")
}

func (s *server) otherRuns() bool {
	text, err := os.ReadFile(pidFileName)
	first, _, _ := strings.Cut(string(text), "\n")
	return err == nil && syscall.Kill(number(first), 0) == nil
}

func (s *server) takeRole() {
	_, err := os.Stat(standbySignal)
	_, primary := s.toldOf(serverName, "primary")
	s.standby = !errors.Is(err, fs.ErrNotExist) && !primary
	if s.standby {
		s.saveState("in archive recovery")
	} else {
		s.saveState("in production")
	}
}

func (s *server) saveState(state string) {
	s.control.State = state
	if err := s.control.write(s.dir); err != nil {
		die("%v", err)
	}
}

// writePidFile writes the lines that pidfile.h of PostgreSQL describes. The fake has no shared memory.
func (s *server) writePidFile(status string) {
	text := fmt.Sprintf("%d\n%s\n%d\n%s\n%s\n\n\n%s\n",
		os.Getpid(), s.dir, s.started.Unix(), s.port, filepath.Dir(s.socket), status)
	if err := os.WriteFile(pidFileName, []byte(text), 0o600); err != nil {
		fatal("could not write lock file %q: %v", pidFileName, reasonOf(err))
	}
}

func (s *server) listen() {
	_ = os.Remove(s.socket)
	l, err := net.Listen("unix", s.socket)
	if err != nil {
		fatal("could not create any Unix-domain sockets: %v", err)
	}
	s.listener = l
}

func (s *server) obey(signals <-chan os.Signal) {
	for sig := range signals {
		switch sig {
		case syscall.SIGINT:
			s.shutDown()
		case syscall.SIGQUIT:
			if _, stubborn := s.toldOf(serverName, "stubborn"); stubborn {
				s.event("ignores an immediate shutdown")
				continue
			}
			s.event("immediate shutdown")
			s.exit(2)
		case syscall.SIGHUP:
			s.event("reload")
		case syscall.SIGUSR1:
			s.promote()
		}
	}
}

// shutDown is the fast one. A primary's ends with a checkpoint, which is the last that it writes.
func (s *server) shutDown() {
	times, deaf := s.toldOf(serverName, "deaf")
	if _, stubborn := s.toldOf(serverName, "stubborn"); stubborn || deaf && (times == "" || s.unheard < number(times)) {
		s.unheard++
		s.event("ignores a fast shutdown")
		return
	}
	s.event("fast shutdown")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writePidFile("stopping")
	if _, unclean := s.toldOf(serverName, "unclean"); unclean {
		s.exit(1)
	}
	if s.standby {
		s.saveState("shut down in recovery")
		s.exit(0)
	}
	end := s.read("lsn")
	s.control.LSN = end
	s.remember("lsn", end[:len(end)-2]+"F0")
	s.saveState("shut down")
	s.exit(0)
}

// remember writes a fact. The directory belongs to the user that runs the server.
func (s *server) remember(name, value string) {
	if err := os.WriteFile(s.fact(name), []byte(value+"\n"), 0o644); err != nil {
		die("%v", err)
	}
}

func (s *server) exit(code int) {
	_ = os.Remove(pidFileName)
	_ = os.Remove(s.socket)
	os.Exit(code)
}

func (s *server) promote() {
	if _, err := os.Stat(promoteName); err != nil {
		return
	}
	if _, deaf := s.toldOf(serverName, "deaf-to-promote"); deaf {
		return
	}
	_ = os.Remove(promoteName)
	if _, never := s.toldOf(serverName, "never-promotes"); never {
		s.event("ignores the promotion")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.promoting = true
	if slow, told := s.toldOf(serverName, "promotes-in"); told {
		time.AfterFunc(duration(slow), s.endPromotion)
		return
	}
	s.becomePrimary()
}

func (s *server) endPromotion() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.becomePrimary()
}

func (s *server) becomePrimary() {
	s.event("promoted")
	s.promoting = false
	_ = os.Remove(standbySignal)
	s.standby = false
	s.control.Timeline++
	s.writeHistory()
	s.saveState("in production")
}

// writeHistory leaves the file that says where the new timeline left the one before. The first records of the new one
// come after it.
func (s *server) writeHistory() {
	name := fmt.Sprintf("pg_wal/%08X.history", s.control.Timeline)
	begin := s.read("lsn")
	text := fmt.Sprintf("%d\t%s\tno recovery target specified\n", s.control.Timeline-1, begin)
	if err := errors.Join(os.WriteFile("pg_wal/xlogtemp", []byte(text), 0o600), os.Rename("pg_wal/xlogtemp", name)); err != nil {
		die("%v", err)
	}
	s.remember("lsn", begin[:len(begin)-2]+"E0")
}
