package pg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

func fromServer(code, message, detail string) error {
	return fmt.Errorf("wrapped: %w", &pgconn.PgError{Severity: "FATAL", Code: code, Message: message, Detail: detail})
}

func TestPredicates(t *testing.T) {
	predicates := map[string]func(error) bool{
		"starting up": IsStartingUp, "too many": IsTooManyConnections, "refused": IsRefused, "timeout": IsTimeout,
		"authentication": IsAuth, "other instance": IsOtherInstance,
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{errors.New("anything"), ""},
		{fromServer("57P03", "x", ""), "starting up"},
		{fromServer("53300", "x", ""), "too many"},
		{fromServer("28P01", "x", ""), "authentication"},
		{fromServer("28000", "x", ""), "authentication"},
		{fromServer("57014", "canceling statement due to statement timeout", ""), ""},
		{fromServer("42501", "x", ""), ""},
		{fmt.Errorf("x: %w", syscall.ECONNREFUSED), "refused"},
		{fmt.Errorf("x: %w", syscall.ENOENT), "refused"},
		{fmt.Errorf("x: %w", syscall.EACCES), ""},
		{fmt.Errorf("x: %w", context.DeadlineExceeded), "timeout"},
		{fmt.Errorf("x: %w", context.Canceled), ""},
		{fmt.Errorf("x: %w", errOtherInstance), "other instance"},
	} {
		for name, holds := range predicates {
			require.Equal(t, name == c.want, holds(c.err), "%s of %v", name, c.err)
			wrapped := &connectError{address: "/run/.s.PGSQL.5432", err: c.err}
			if c.err != nil {
				require.Equal(t, name == c.want, holds(wrapped), "%s of %v", name, wrapped)
				require.False(t, strings.Contains(wrapped.Error(), "\n"))
			}
		}
	}
}

// What another try may mend is told from what a role may not do, also where several servers were tried.
func TestPassing(t *testing.T) {
	noDatabase, busy := fromServer("3D000", "x", ""), fromServer("53300", "x", "")
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errors.New("the server gave 0 rows"), false},
		{busy, true},
		{fromServer("57P03", "x", ""), true},
		{fromServer("57014", "x", ""), true},
		{fromServer("08006", "x", ""), true},
		{noDatabase, false},
		{fromServer("28000", "x", ""), false},
		{fromServer("42501", "x", ""), false},
		{fmt.Errorf("x: %w", context.DeadlineExceeded), true},
		{fmt.Errorf("x: %w", syscall.ECONNREFUSED), true},
		{fmt.Errorf("x: %w", syscall.ECONNRESET), true},
		{fmt.Errorf("x: %w", syscall.EHOSTUNREACH), true},
		{fmt.Errorf("x: %w", io.ErrUnexpectedEOF), true},
		{fmt.Errorf("x: %w", syscall.EACCES), false},
		{joined([]error{noDatabase, busy}), true},
		{joined([]error{noDatabase, fmt.Errorf("y: %w", joined([]error{noDatabase, busy}))}), true},
		{joined([]error{noDatabase, noDatabase}), false},
	} {
		require.Equal(t, c.want, IsPassing(c.err), "%v", c.err)
	}
	require.EqualError(t, joined([]error{errors.New("one"), errors.New("two")}), "one; two")
}

func TestNotReady(t *testing.T) {
	for message, want := range map[string]Phase{
		"the database system is starting up":                   PhaseStarting,
		"the database system is not yet accepting connections": PhaseNotConsistent,
		"the database system is not accepting connections":     PhaseNoHotStandby,
		"the database system is shutting down":                 PhaseShuttingDown,
		"the database system is in recovery mode":              PhaseRecovering,
		"le système de bases de données se lance":              PhaseUnknown,
	} {
		require.Equal(t, want, NotReady(fromServer("57P03", message, "")), message)
		require.Equal(t, PhaseUnknown, NotReady(fromServer("53300", message, "")), message)
	}
	require.Equal(t, PhaseNoHotStandby, NotReady(fromServer("57P03", "the database system is not accepting connections", "Hot standby mode is disabled.")))
	require.Equal(t, PhaseUnknown, NotReady(nil))
}
