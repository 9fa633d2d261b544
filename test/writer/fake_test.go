package writer

import (
	"context"
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"
)

// fake is a PostgreSQL server that keeps ids in a map and answers inserts as it is told to.
type fake struct {
	t       *testing.T
	address string

	mutex      sync.Mutex
	ids        map[int64]struct{}
	reply      func(id int64) []pgproto3.BackendMessage // nil: the connection breaks instead of an answer
	table      bool
	parameters []map[string]string // of each login
}

// success is the answer of node "n1" to a committed insert.
func success() []pgproto3.BackendMessage {
	return []pgproto3.BackendMessage{
		&pgproto3.ParseComplete{}, &pgproto3.BindComplete{}, &pgproto3.RowDescription{Fields: column},
		&pgproto3.DataRow{Values: [][]byte{[]byte("n1")}}, &pgproto3.CommandComplete{CommandTag: []byte("INSERT 0 1")},
	}
}

var column = []pgproto3.FieldDescription{{Name: []byte("x"), DataTypeOID: 25, DataTypeSize: -1, TypeModifier: -1}}

func failure(severity, code, message string) []pgproto3.BackendMessage {
	return []pgproto3.BackendMessage{
		&pgproto3.ErrorResponse{Severity: severity, SeverityUnlocalized: severity, Code: code, Message: message},
	}
}

func startFake(t *testing.T) *fake {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	f := &fake{t: t, address: listener.Addr().String(), ids: map[int64]struct{}{}, table: true}
	f.reply = func(id int64) []pgproto3.BackendMessage { f.ids[id] = struct{}{}; return success() }
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go f.serve(conn)
		}
	}()
	return f
}

// answer sets how inserts are answered from now on. The function runs with the lock held.
func (f *fake) answer(reply func(id int64) []pgproto3.BackendMessage) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.reply = reply
}

func (f *fake) config() Config {
	return Config{Address: f.address, Dial: (&net.Dialer{}).DialContext, Password: "secret"}
}

func (f *fake) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	backend := pgproto3.NewBackend(conn, conn)
	startup, err := backend.ReceiveStartupMessage()
	if err != nil {
		return
	}
	message, ok := startup.(*pgproto3.StartupMessage)
	if !ok {
		return // a cancel request
	}
	f.mutex.Lock()
	f.parameters = append(f.parameters, message.Parameters)
	f.mutex.Unlock()
	send(backend, &pgproto3.AuthenticationOk{}, &pgproto3.BackendKeyData{SecretKey: []byte{0, 0, 0, 1}}, ready)
	f.statements(backend)
}

var ready = &pgproto3.ReadyForQuery{TxStatus: 'I'}

// statements serves one session. Of the extended protocol it needs only the parameters and where a statement ends.
func (f *fake) statements(backend *pgproto3.Backend) {
	var bound [][]byte
	for {
		message, err := backend.Receive()
		if err != nil {
			return
		}
		switch m := message.(type) {
		case *pgproto3.Bind:
			bound = nil
			for _, p := range m.Parameters {
				bound = append(bound, append([]byte(nil), p...))
			}
		case *pgproto3.Query: // only the create table comes this way
			f.mutex.Lock()
			f.table = true
			f.mutex.Unlock()
			send(backend, &pgproto3.CommandComplete{CommandTag: []byte("CREATE TABLE")}, ready)
		case *pgproto3.Sync:
			messages := f.execute(bound)
			if messages == nil {
				return
			}
			send(backend, append(messages, ready)...)
		case *pgproto3.Terminate:
			return
		}
	}
}

func (f *fake) execute(bound [][]byte) []pgproto3.BackendMessage {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if len(bound) == 1 {
		return f.list(string(bound[0]))
	}
	if !f.table {
		return failure("ERROR", undefinedTable, "relation does not exist")
	}
	id, err := strconv.ParseInt(string(bound[0]), 10, 64)
	if err != nil {
		return failure("ERROR", "22P02", err.Error())
	}
	return f.reply(id)
}

func (f *fake) list(above string) []pgproto3.BackendMessage {
	bound, err := strconv.ParseInt(above, 10, 64)
	if err != nil {
		return failure("ERROR", "22P02", err.Error())
	}
	messages := []pgproto3.BackendMessage{&pgproto3.ParseComplete{}, &pgproto3.BindComplete{},
		&pgproto3.RowDescription{Fields: column}}
	for id := range f.ids {
		if id > bound {
			messages = append(messages, &pgproto3.DataRow{Values: [][]byte{[]byte(strconv.FormatInt(id, 10))}})
		}
	}
	return append(messages, &pgproto3.CommandComplete{CommandTag: []byte("SELECT")})
}

func send(backend *pgproto3.Backend, messages ...pgproto3.BackendMessage) {
	for _, m := range messages {
		backend.Send(m)
	}
	_ = backend.Flush()
}

// stored reads back with the reader under test.
func (f *fake) stored() map[int64]struct{} {
	ids, err := Stored(context.Background(), f.config(), 0)
	require.NoError(f.t, err)
	return ids
}
