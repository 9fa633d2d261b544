package blackbox

import (
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// accept serves connections until the process ends.
func (s *server) accept() {
	for s.listener != nil {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		go s.serve(conn.(*net.UnixConn))
	}
}

func (s *server) serve(conn *net.UnixConn) {
	defer conn.Close()
	backend := pgproto3.NewBackend(conn, conn)
	first, err := backend.ReceiveStartupMessage()
	if err != nil {
		return
	}
	startup, ok := first.(*pgproto3.StartupMessage)
	if !ok {
		s.event(fmt.Sprintf("strange first message: %T", first))
		return
	}
	peer := peerOf(conn)
	s.event(fmt.Sprintf("connection uid=%d %s", peer, strings.Join(parameters(startup), " ")))
	if s.misbehave(conn, backend, startup) || !s.authenticate(backend, startup, peer) {
		return
	}
	s.answerQueries(backend, startup.Parameters["replication"] != "")
}

func peerOf(conn *net.UnixConn) int {
	uid := -1
	raw, err := conn.SyscallConn()
	if err != nil {
		return uid
	}
	_ = raw.Control(func(fd uintptr) {
		if c, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			uid = int(c.Uid)
		}
	})
	return uid
}

func parameters(startup *pgproto3.StartupMessage) []string {
	var list []string
	for name, value := range startup.Parameters {
		list = append(list, name+"="+value)
	}
	slices.Sort(list)
	return list
}

// misbehave does what the server was told to do instead of answering, and says whether that was all.
func (s *server) misbehave(conn net.Conn, backend *pgproto3.Backend, startup *pgproto3.StartupMessage) bool {
	for _, words := range s.told(serverName) {
		switch {
		case words[0] == "hang":
			time.Sleep(longestLife)
		case words[0] == "garbage":
			_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
			return true
		case words[0] == "refuse":
			refuse(backend, words[1], strings.Join(words[2:], " "))
			return true
		case words[0] == "refuse-replication" && startup.Parameters["replication"] != "":
			refuse(backend, words[1], strings.Join(words[2:], " "))
			return true
		case words[0] == "refuse-for" && time.Since(s.started) < duration(words[1]):
			refuse(backend, words[2], strings.Join(words[3:], " "))
			return true
		}
	}
	return false
}

func refuse(backend *pgproto3.Backend, code, text string) {
	backend.Send(&pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: code, Message: text})
	_ = backend.Flush()
}

// authenticate is method peer of pg_hba.conf: the role is the operating system's user on the other side.
func (s *server) authenticate(backend *pgproto3.Backend, startup *pgproto3.StartupMessage, peer int) bool {
	role := startup.Parameters["user"]
	if peer != os.Geteuid() || role != s.read("user") {
		refuse(backend, "28000", fmt.Sprintf("Peer authentication failed for user %q", role))
		return false
	}
	backend.Send(&pgproto3.AuthenticationOk{})
	backend.Send(&pgproto3.ParameterStatus{Name: "server_version", Value: s.read("version") + ".6"})
	backend.Send(&pgproto3.ParameterStatus{Name: "standard_conforming_strings", Value: "on"})
	backend.Send(&pgproto3.BackendKeyData{ProcessID: uint32(os.Getpid()), SecretKey: []byte{0, 0, 0, 1}})
	backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	return backend.Flush() == nil
}

func (s *server) answerQueries(backend *pgproto3.Backend, replication bool) {
	for {
		message, err := backend.Receive()
		if err != nil {
			return
		}
		query, ok := message.(*pgproto3.Query)
		if !ok {
			return
		}
		sql := strings.Join(strings.Fields(query.String), " ")
		s.event("query " + sql)
		if _, hang := s.toldOf(serverName, "hang-queries"); hang {
			time.Sleep(longestLife)
		}
		if words, fails := s.toldOf(serverName, "fail-queries"); fails {
			code, text, _ := strings.Cut(words, " ")
			sendError(backend, code, text)
		} else {
			s.answer(backend, sql, replication)
		}
		if backend.Flush() != nil {
			return
		}
	}
}
