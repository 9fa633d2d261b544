package writer

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// dark hangs in the dials of an address that is nowhere, also after it is back: their packet is lost. A dial that begins
// then goes through.
type dark struct {
	back        atomic.Bool
	begun, hang atomic.Int32
	through     Dial
}

func (d *dark) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d.begun.Add(1)
	if d.back.Load() {
		return d.through(ctx, network, address)
	}
	d.hang.Add(1)
	defer d.hang.Add(-1)
	<-ctx.Done()
	return nil, ctx.Err()
}

// The patience is far longer than the test lasts: only another dial can find that the address is back.
func TestAnotherDialFindsTheAddressBack(t *testing.T) {
	f := startFake(t)
	d := &dark{through: f.config().Dial}
	config := f.config()
	config.Dial, config.ConnectTimeout, config.Stagger = d.dial, time.Hour, time.Millisecond
	w := begin(t, config)
	require.Eventually(t, func() bool { return d.hang.Load() > 3 }, 10*time.Second, time.Millisecond, "one hangs, and no other is begun")
	d.back.Store(true)
	_, err := w.AwaitAck(soon(t), time.Now())
	require.NoError(t, err)
	assert.Eventually(t, func() bool { return d.hang.Load() == 0 }, 10*time.Second, time.Millisecond, "those that hang are given up")
	begun := d.begun.Load()
	_, err = w.AwaitAck(soon(t), time.Now())
	require.NoError(t, err)
	assert.Equal(t, begun, d.begun.Load(), "who is connected dials no more")
	f.mutex.Lock()
	defer f.mutex.Unlock()
	assert.Len(t, f.parameters, 1, "one session")
}

func TestStaggeredDialsAreBounded(t *testing.T) {
	d := &dark{}
	config := Config{Dial: d.dial, ConnectTimeout: 100 * time.Millisecond, Stagger: 20 * time.Millisecond}
	began := time.Now()
	_, err := dialer(config)(soon(t), "tcp", "192.0.2.1:5432")
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.GreaterOrEqual(t, time.Since(began), config.ConnectTimeout, "the patience is the same")
	assert.LessOrEqual(t, d.begun.Load(), int32(6))
}

func TestAnErrorEndsStaggeredDials(t *testing.T) {
	refused := errors.New("connection refused")
	dial := func(context.Context, string, string) (net.Conn, error) { return nil, refused }
	_, err := staggered(soon(t), dial, time.Hour, "tcp", "192.0.2.1:5432")
	assert.ErrorIs(t, err, refused)
}

// A dial that goes through after another one was taken leaves no connection open.
func TestASecondConnectionIsClosed(t *testing.T) {
	var calls atomic.Int32
	release, slow := make(chan struct{}), make(chan net.Conn, 1)
	dial := func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		if calls.Add(1) == 1 {
			<-release
			slow <- theirs
		}
		return ours, nil
	}
	conn, err := staggered(soon(t), dial, time.Millisecond, "tcp", "192.0.2.1:5432")
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	close(release)
	theirs := <-slow
	_ = theirs.SetReadDeadline(time.Now().Add(10 * time.Second)) // an error where it is closed already
	_, err = theirs.Read(make([]byte, 1))
	assert.EqualError(t, err, "EOF")
}

// What pgx dials to cancel a statement is one dial.
func TestACancelIsNotStaggered(t *testing.T) {
	f := startFake(t)
	d := &dark{through: f.config().Dial}
	d.back.Store(true)
	config := f.config()
	config.Dial, config.Stagger = d.dial, time.Millisecond
	config.ConnectTimeout = 10 * time.Second
	s, err := open(soon(t), config.withDefaults())
	require.NoError(t, err)
	defer s.close()
	begun := d.begun.Load()
	d.back.Store(false)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	assert.Error(t, s.conn.CancelRequest(ctx))
	assert.Equal(t, begun+1, d.begun.Load())
}
