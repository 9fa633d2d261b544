package writer

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// Writer writes until it is stopped. It never has more than one row under way.
type Writer struct {
	config Config
	cancel context.CancelFunc // no further attempt
	abort  context.CancelFunc // not even an answer to the one under way
	done   chan struct{}

	mutex    sync.Mutex
	attempts []Attempt
	newest   Attempt // the last acknowledged one

	session *session // touched by the writing goroutine only
}

// Start begins to write. Whether the address answers already does not matter.
func Start(config Config) (*Writer, error) {
	config = config.withDefaults()
	if _, err := config.connConfig(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	config.Dial = until(ctx, config.Dial)
	patience, abort := context.WithCancel(context.Background())
	w := &Writer{config: config, cancel: cancel, abort: abort, done: make(chan struct{})}
	go w.run(ctx, patience)
	return w, nil
}

// until makes a dial function that opens nothing once ctx is done: pgx may still want to cancel a statement then.
func until(ctx context.Context, dial Dial) Dial {
	return func(dialCtx context.Context, network, address string) (net.Conn, error) {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("dial %s: the writer was stopped", address)
		}
		return dial(dialCtx, network, address)
	}
}

// stopGrace is how long Stop lets the row under way wait for its answer. A writer with longer time-outs than this gives
// it up then, and the row is in doubt.
const stopGrace = time.Second

// Stop lets the row under way end, within its time-outs and a second at most, and gives the whole history.
func (w *Writer) Stop() History {
	w.cancel()
	defer time.AfterFunc(stopGrace, w.abort).Stop()
	<-w.done
	w.abort()
	return w.History()
}

// History gives a copy of what was seen so far.
func (w *Writer) History() History {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return History{Epoch: w.config.Epoch, Attempts: append([]Attempt(nil), w.attempts...)}
}

// Newest gives the last acknowledged attempt, if there is one.
func (w *Writer) Newest() (Attempt, bool) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.newest, w.newest.Kind == Acknowledged
}

// AwaitAck waits until a row is acknowledged that was sent after the instant.
func (w *Writer) AwaitAck(ctx context.Context, after time.Time) (Attempt, error) {
	tick := time.NewTicker(w.config.Every)
	defer tick.Stop()
	for {
		if a, ok := w.Newest(); ok && a.Sent >= after.Sub(w.config.Epoch) {
			return a, nil
		}
		select {
		case <-ctx.Done():
			return Attempt{}, fmt.Errorf("no write to %s was acknowledged: %w; last answer: %s",
				w.config.Address, ctx.Err(), w.lastReason())
		case <-tick.C:
		}
	}
}

func (w *Writer) lastReason() string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if len(w.attempts) == 0 {
		return "none"
	}
	last := w.attempts[len(w.attempts)-1]
	return fmt.Sprintf("%s %s", last.Kind, last.Reason)
}

// run writes until ctx is done. The row that is under way then may go on as long as patience lasts.
func (w *Writer) run(ctx, patience context.Context) {
	defer close(w.done)
	defer w.drop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if ctx.Err() != nil { // both were ready
			return
		}
		began := time.Now()
		a := w.attempt(patience)
		w.record(a)
		timer.Reset(time.Until(began.Add(w.pause(a.Kind))))
	}
}

// pause is the time from the begin of an attempt to that of the next. One that took longer is followed at once.
func (w *Writer) pause(kind Kind) time.Duration {
	if kind == Acknowledged {
		return w.config.Every
	}
	return w.config.Retry
}

func (w *Writer) attempt(ctx context.Context) Attempt {
	a := Attempt{ID: w.config.IDs.Next(), Writer: w.config.Name, Sent: w.now()}
	if w.session == nil {
		s, err := open(ctx, w.config)
		if err != nil {
			a.Answered, a.Kind, a.Reason = w.now(), Refused, err.Error()
			return a
		}
		w.session, a.Sent = s, w.now()
	}
	got := w.session.insert(ctx, w.config, a.ID)
	a.Answered, a.Kind, a.Node, a.Reason = w.now(), got.kind, got.node, got.reason
	w.afterwards(got)
	return a
}

// afterwards leaves a session only if the next row has a chance in it: a session on a node that was demoted meanwhile
// would be refused for ever, while the address may lead elsewhere already.
func (w *Writer) afterwards(got answer) {
	if got.code == undefinedTable {
		if w.session.createTable(w.config) == nil {
			return
		}
	}
	if got.kind == Refused && !w.config.Pinned || w.session.conn.IsClosed() {
		w.drop()
	}
}

func (w *Writer) drop() {
	if w.session != nil {
		w.session.close()
		w.session = nil
	}
}

func (w *Writer) record(a Attempt) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.attempts = append(w.attempts, a)
	if a.Kind == Acknowledged {
		w.newest = a
	}
}

func (w *Writer) now() time.Duration { return time.Since(w.config.Epoch) }
