package writer

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// begin starts a writer to the fake and stops it when the test ends.
func begin(t *testing.T, config Config) *Writer {
	w, err := Start(config)
	require.NoError(t, err)
	t.Cleanup(func() { w.Stop() })
	return w
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func awaitKind(t *testing.T, w *Writer, kind Kind) Attempt {
	var found Attempt
	require.Eventually(t, func() bool {
		for _, a := range w.History().Attempts {
			if a.Kind == kind {
				found = a
				return true
			}
		}
		return false
	}, 10*time.Second, time.Millisecond, "no attempt was %s", kind)
	return found
}

func TestAHealthyServer(t *testing.T) {
	f := startFake(t)
	w := begin(t, f.config())
	_, err := w.AwaitAck(soon(t), time.Now())
	require.NoError(t, err)
	h := w.Stop()
	v := Judge(h, f.stored())
	assert.Equal(t, len(h.Attempts), v.Acknowledged)
	assert.Empty(t, v.Lost)
	for i, a := range h.Attempts {
		assert.Equal(t, int64(i+1), a.ID)
		assert.Equal(t, "n1", a.Node)
		assert.LessOrEqual(t, a.Sent, a.Answered)
	}
	assert.Len(t, f.parameters, 2, "one session wrote, one read")
	assert.Equal(t, "300", f.parameters[0]["statement_timeout"])
}

func TestWhatAnAnswerMeans(t *testing.T) {
	warning := &pgproto3.NoticeResponse{Severity: "WARNING", SeverityUnlocalized: "WARNING", Code: "01000",
		Message: "canceling wait for synchronous replication due to user request"}
	notice := &pgproto3.NoticeResponse{Severity: "NOTICE", SeverityUnlocalized: "NOTICE", Code: "00000", Message: "by the way"}
	for _, c := range []struct {
		name  string
		reply []pgproto3.BackendMessage
		kind  Kind
		says  string
	}{
		{"a commit whose wait was canceled", append([]pgproto3.BackendMessage{warning}, success()...), InDoubt, "01000 canceling"},
		{"a notice is no warning", append([]pgproto3.BackendMessage{notice}, success()...), Acknowledged, ""},
		{"a standby", failure("ERROR", "25006", "cannot execute INSERT in a read-only transaction"), Refused, "25006"},
		{"a session that was ended", failure("FATAL", "57P01", "terminating connection"), InDoubt, "57P01"},
		{"the connection breaks", nil, InDoubt, ""},
		{"success without the row", []pgproto3.BackendMessage{&pgproto3.ParseComplete{}, &pgproto3.BindComplete{},
			&pgproto3.CommandComplete{CommandTag: []byte("INSERT 0 1")}}, InDoubt, "no row"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := startFake(t)
			f.answer(func(int64) []pgproto3.BackendMessage { return c.reply })
			w := begin(t, f.config())
			a := awaitKind(t, w, c.kind)
			assert.Contains(t, a.Reason, c.says)
			f.answer(func(int64) []pgproto3.BackendMessage { return success() })
			_, err := w.AwaitAck(soon(t), time.Now())
			assert.NoError(t, err, "it does not come back")
		})
	}
}

func TestAServerThatDoesNotAnswer(t *testing.T) {
	f := startFake(t)
	release := make(chan struct{})
	f.answer(func(int64) []pgproto3.BackendMessage { <-release; return nil })
	config := f.config()
	config.StatementTimeout = 20 * time.Millisecond
	w := begin(t, config)
	a := awaitKind(t, w, InDoubt)
	close(release)
	assert.GreaterOrEqual(t, a.Answered-a.Sent, 20*time.Millisecond)
	assert.Less(t, a.Answered-a.Sent, 2*time.Second)
}

func TestAPatientWriterIsStopped(t *testing.T) {
	f := startFake(t)
	asked, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	f.answer(func(int64) []pgproto3.BackendMessage { close(asked); <-release; return nil })
	config := f.config()
	config.StatementTimeout = time.Hour
	w := begin(t, config)
	<-asked
	began := time.Now()
	h := w.Stop()
	assert.Less(t, time.Since(began), 5*time.Second)
	require.Len(t, h.Attempts, 1)
	assert.Equal(t, InDoubt, h.Attempts[0].Kind)
}

func TestAnAddressThatDoesNotAnswer(t *testing.T) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
	w := begin(t, Config{Address: "192.0.2.1:5432", Dial: dial, ConnectTimeout: 20 * time.Millisecond})
	a := awaitKind(t, w, Refused)
	assert.GreaterOrEqual(t, a.Answered-a.Sent, 20*time.Millisecond)
}

func TestFailuresArePaced(t *testing.T) {
	dial := func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed }
	w := begin(t, Config{Address: "192.0.2.1:5432", Dial: dial, Retry: 10 * time.Millisecond})
	began := time.Now()
	require.Eventually(t, func() bool { return len(w.History().Attempts) >= 20 }, 10*time.Second, time.Millisecond)
	assert.GreaterOrEqual(t, time.Since(began), 180*time.Millisecond)
}

func TestTheTableIsMade(t *testing.T) {
	f := startFake(t)
	f.table = false
	w := begin(t, f.config())
	_, err := w.AwaitAck(soon(t), time.Now())
	require.NoError(t, err)
	assert.Equal(t, Refused, w.History().Attempts[0].Kind)
}

func TestAPinnedWriterKeepsItsSession(t *testing.T) {
	f := startFake(t)
	f.answer(func(int64) []pgproto3.BackendMessage { return failure("ERROR", "25006", "read-only") })
	config := f.config()
	config.Pinned = true
	w := begin(t, config)
	require.Eventually(t, func() bool { return len(w.History().Attempts) > 5 }, 10*time.Second, time.Millisecond)
	w.Stop()
	assert.Len(t, f.parameters, 1)
}

func TestWritersShareIDs(t *testing.T) {
	f := startFake(t)
	config := f.config()
	config.IDs, config.Epoch = &IDs{}, time.Now()
	first, second := begin(t, config), begin(t, config)
	for _, w := range []*Writer{first, second} {
		_, err := w.AwaitAck(soon(t), time.Now())
		require.NoError(t, err)
	}
	seen := map[int64]bool{}
	for _, a := range Merge(first.Stop(), second.Stop()).Attempts {
		assert.False(t, seen[a.ID], "id %d was used twice", a.ID)
		seen[a.ID] = true
	}
}

func TestTheCallersEnvironmentDoesNotMatter(t *testing.T) {
	for name, value := range map[string]string{
		"PGHOST": "192.0.2.9", "PGPORT": "abc", "PGUSER": "eve", "PGDATABASE": "other", "PGOPTIONS": "-c statement_timeout=1",
		"PGSSLMODE": "verify-full", "PGCONNECT_TIMEOUT": "never", "PGTARGETSESSIONATTRS": "standby", "PGREQUIREAUTH": "none,!none",
		"PGCHANNELBINDING": "require", "PGAPPNAME": "eve", "PGPASSFILE": "/nonexistent",
	} {
		t.Setenv(name, value)
	}
	config, err := Config{Address: "10.0.0.1:5433", Dial: (&net.Dialer{}).DialContext}.withDefaults().connConfig()
	require.NoError(t, err)
	assert.Equal(t, "10.0.0.1", config.Host)
	assert.Equal(t, uint16(5433), config.Port)
	assert.Equal(t, "postgres", config.User)
	assert.Equal(t, "postgres", config.Database)
	assert.Nil(t, config.TLSConfig)
	assert.Equal(t, map[string]string{"application_name": "writer", "statement_timeout": "300"}, config.RuntimeParams)
}

func TestBadConfig(t *testing.T) {
	_, err := Start(Config{Address: "nowhere", Dial: (&net.Dialer{}).DialContext})
	assert.ErrorContains(t, err, "want host:port")
	_, err = Start(Config{Address: "10.0.0.1:5432"})
	assert.ErrorContains(t, err, "no dial function")
}
