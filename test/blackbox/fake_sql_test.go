package blackbox

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// table is one result: rows of values, of which "" stands for NULL.
type table [][]string

// answer knows the agent's questions by what only they ask for. Where the agent comes to ask something else, the fake
// says so with an error, and the script that needs it fails.
func (s *server) answer(backend *pgproto3.Backend, sql string, replication bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case replication && sql == "IDENTIFY_SYSTEM":
		s.send(backend, table{{strconv.Itoa(systemIdentifier), strconv.Itoa(s.control.Timeline), s.read("lsn"), "postgres"}})
	case strings.Contains(sql, "pg_wal_replay_resume") && s.promoting:
		sendError(backend, "55000", "promotion is ongoing")
	case strings.Contains(sql, "pg_wal_replay_resume"):
		s.send(backend, table{{""}})
	case strings.Contains(sql, "pg_postmaster_start_time"): // what it would tell its primary
		s.send(backend, table{{s.read("upstream"), "", strconv.Itoa(systemIdentifier), ""}})
	case strings.Contains(sql, "pg_control_checkpoint"):
		s.send(backend, s.walEnds())
	case strings.HasPrefix(sql, "SELECT pid FROM pg_catalog."):
		s.send(backend, table{})
	case strings.Contains(sql, "pg_stat_replication"):
		s.send(backend, s.status(), s.standbys())
	case sql == "SELECT pg_catalog.pg_is_in_recovery()":
		s.send(backend, table{{boolean(s.standby)}})
	case sql == "CHECKPOINT":
		if long, ok := s.toldOf(serverName, "slow-checkpoint"); ok {
			time.Sleep(duration(long))
		}
		s.send(backend)
	default:
		sendError(backend, "42601", "the fake server does not know this query: "+sql)
	}
}

func sendError(backend *pgproto3.Backend, code, text string) {
	backend.Send(&pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: code, Message: text})
	backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
}

func boolean(b bool) string {
	if b {
		return "t"
	}
	return "f"
}

// status has the columns of the agent's status query.
func (s *server) status() table {
	if s.standby {
		receiver := []string{"", "", "", ""} // process ID, status, timeline, how far the primary's WAL goes
		received := cmp.Or(s.read("received"), s.read("lsn"))
		if status := s.read("receiver"); status != "" {
			receiver = []string{"4711", status, strconv.Itoa(s.control.Timeline), received}
		}
		return table{append([]string{"t", "", "", s.read("synchronous"), received, s.read("lsn"), "f"}, receiver...)}
	}
	return table{{"f", s.read("lsn"), s.segment(), s.read("synchronous"), "", "", "", "", "", "", ""}}
}

// standbys are pg_stat_replication: lines of name, state, sync_state and how far it has written.
func (s *server) standbys() table {
	var rows table
	for line := range strings.Lines(s.read("standbys")) {
		f := strings.Fields(line)
		rows = append(rows, []string{f[0], f[1], f[2], f[3], f[3], f[3], f[3]})
	}
	return rows
}

// walEnds has the columns of the agent's question for what the instance holds. Of a standby those are, after the empty ones
// of a primary: received, whether that is all, replayed, what the primary has last said, the timeline of the WAL receiver.
func (s *server) walEnds() table {
	timeline := strconv.Itoa(s.control.Timeline)
	if !s.standby {
		return table{{"f", s.read("lsn"), s.segment(), "", "f", "", "", "", timeline, "16777216"}}
	}
	if s.unfinished() {
		return table{{"t", "", "", "", "f", s.read("lsn"), "", "", timeline, "16777216"}}
	}
	return table{{"t", "", "", s.read("lsn"), "t", s.read("lsn"), s.read("known"), "", timeline, "16777216"}}
}

// unfinished says whether the server is told to be, and is still, replaying what it found when it started.
func (s *server) unfinished() bool {
	bound, told := s.toldOf(serverName, "unfinished")
	return told && (bound == "" || time.Since(s.started) < duration(bound))
}

// segment is the file that holds the present position: timeline, and position in units of 16 MB.
func (s *server) segment() string {
	_, low, _ := strings.Cut(s.read("lsn"), "/")
	n, err := strconv.ParseUint(low, 16, 32)
	if err != nil {
		die("position %q: %v", s.read("lsn"), err)
	}
	pad := func(n uint64) string {
		h := strings.ToUpper(strconv.FormatUint(n, 16))
		return strings.Repeat("0", 8-len(h)) + h
	}
	return pad(uint64(s.control.Timeline)) + pad(0) + pad(n>>24)
}

func (s *server) send(backend *pgproto3.Backend, tables ...table) {
	for _, t := range tables {
		backend.Send(&pgproto3.RowDescription{Fields: columns(t)})
		for _, row := range t {
			backend.Send(&pgproto3.DataRow{Values: values(row)})
		}
		backend.Send(&pgproto3.CommandComplete{CommandTag: []byte("SELECT " + strconv.Itoa(len(t)))})
	}
	if len(tables) == 0 {
		backend.Send(&pgproto3.CommandComplete{CommandTag: []byte("CHECKPOINT")})
	}
	backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
}

func columns(t table) []pgproto3.FieldDescription {
	const text = 25 // its type's OID
	if len(t) == 0 {
		return []pgproto3.FieldDescription{{Name: []byte("c"), DataTypeOID: text}}
	}
	fields := make([]pgproto3.FieldDescription, len(t[0]))
	for n := range fields {
		fields[n] = pgproto3.FieldDescription{Name: []byte("c" + strconv.Itoa(n)), DataTypeOID: text, DataTypeSize: -1, TypeModifier: -1}
	}
	return fields
}

func values(row []string) [][]byte {
	values := make([][]byte, len(row))
	for n, v := range row {
		if v != "" {
			values[n] = []byte(v)
		}
	}
	return values
}
