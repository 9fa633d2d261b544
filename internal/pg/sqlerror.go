package pg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// SQLSTATEs, from appendix A of PostgreSQL's manual.
const (
	codeCannotConnectNow   = "57P03"
	codeTooManyConnections = "53300"
	codeNoPrivilege        = "42501"
	codeNotInState         = "55000" // object not in prerequisite state
	classAuthorization     = "28"
)

// passingClasses are those of SQLSTATEs that say nothing about what the role may do: of
// connections, of what there is too little of, and of an operator's intervention.
var passingClasses = []string{"08", "53", "57"}

// connectError says in one line why no connection came about.
type connectError struct {
	address string
	err     error
}

func (e *connectError) Unwrap() error { return e.err }

func (e *connectError) Error() string {
	var server *pgconn.PgError
	switch {
	case errors.As(e.err, &server):
		return fmt.Sprintf("%s: the server refuses the connection: %s (SQLSTATE %s)", e.address, server.Message, server.Code)
	case IsRefused(e.err):
		return fmt.Sprintf("%s: no server listens there", e.address)
	case IsTimeout(e.err):
		return fmt.Sprintf("%s: the server did not answer in time", e.address)
	}
	return fmt.Sprintf("%s: %s", e.address, oneLine(innermost(e.err)))
}

// innermost leaves out what pgconn puts around an error: the address, which is
// said already, and the role.
func innermost(err error) error {
	var wrapped *pgconn.ConnectError
	if errors.As(err, &wrapped) {
		return wrapped.Unwrap()
	}
	return err
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// sqlState is the server's code for the error, or "".
func sqlState(err error) string {
	var server *pgconn.PgError
	if errors.As(err, &server) {
		return server.Code
	}
	return ""
}

// IsStartingUp says that the server is there but accepts no connections yet,
// or no more. NotReady says which.
func IsStartingUp(err error) bool { return sqlState(err) == codeCannotConnectNow }

// IsTooManyConnections says that every connection slot the role may use is
// taken.
func IsTooManyConnections(err error) bool { return sqlState(err) == codeTooManyConnections }

// IsAuth says that the server refused the role: pg_hba.conf, a password, or a
// role that does not exist.
func IsAuth(err error) bool { return strings.HasPrefix(sqlState(err), classAuthorization) }

// IsNoPrivilege says that the server has let the role in, and it lacks a right.
func IsNoPrivilege(err error) bool { return sqlState(err) == codeNoPrivilege }

// IsRefused says that nobody listens: the connection was refused, or there is
// no such socket.
func IsRefused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ENOTDIR)
}

// IsTimeout says that ctx ended before the answer came.
func IsTimeout(err error) bool {
	return pgconn.Timeout(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}

// notReached are what the kernel says of a server that cannot be reached just now, beside IsRefused and IsTimeout.
var notReached = []error{
	syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE, syscall.EHOSTUNREACH, syscall.EHOSTDOWN, syscall.ENETUNREACH, syscall.ENETDOWN, syscall.ETIMEDOUT,
}

// IsPassing says that another try may be answered: the server was not reached, has ended the
// connection, or has refused it, or the question, for the time being. Of several servers one
// of which that can be said will do.
func IsPassing(err error) bool {
	var server *pgconn.PgError
	var lookup *net.DNSError
	switch {
	case err == nil:
		return false
	case IsTimeout(err), IsRefused(err), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &lookup),
		slices.ContainsFunc(notReached, func(one error) bool { return errors.Is(err, one) }):
		return true
	case errors.As(err, &server) && len(server.Code) > 2 && slices.Contains(passingClasses, server.Code[:2]):
		return true
	}
	var several interface{ Unwrap() []error }
	return errors.As(err, &several) && slices.ContainsFunc(several.Unwrap(), IsPassing)
}

// IsOtherInstance says that what listens at the configured address is not this
// data directory's server, but another instance or a stranger's program.
func IsOtherInstance(err error) bool { return errors.Is(err, errOtherInstance) }

// Phase is why a server accepts no connections.
type Phase string

// The phases the server tells apart.
const (
	PhaseUnknown       Phase = ""               // the server speaks another language
	PhaseStarting      Phase = "starting up"    // replaying; before 14 also PhaseNotConsistent
	PhaseNotConsistent Phase = "not consistent" // a standby that has not replayed far enough yet
	PhaseNoHotStandby  Phase = "no hot standby" // a standby with hot_standby off: it never accepts any
	PhaseShuttingDown  Phase = "shutting down"
	PhaseRecovering    Phase = "recovering" // after the crash of one of its processes
)

// NotReady is the phase of an error for which IsStartingUp holds. The server
// gives all of them one code and tells them apart only in words, which follow
// its lc_messages: PhaseUnknown when they are not English.
func NotReady(err error) Phase {
	var server *pgconn.PgError
	if !errors.As(err, &server) || server.Code != codeCannotConnectNow {
		return PhaseUnknown
	}
	if strings.Contains(server.Detail, "Hot standby mode is disabled") {
		return PhaseNoHotStandby
	}
	switch server.Message {
	case "the database system is starting up":
		return PhaseStarting
	case "the database system is not yet accepting connections":
		return PhaseNotConsistent
	case "the database system is not accepting connections":
		return PhaseNoHotStandby
	case "the database system is shutting down":
		return PhaseShuttingDown
	case "the database system is in recovery mode":
		return PhaseRecovering
	}
	return PhaseUnknown
}
