package pg

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/wal"
)

// answer makes a row of words; - stands for NULL.
func answer(words string) row {
	var r row
	for _, word := range strings.Fields(words) {
		if word == "-" {
			r = append(r, nil)
		} else {
			r = append(r, []byte(word))
		}
	}
	return r
}

func lsn(l wal.LSN) *wal.LSN { return &l }

func TestReadStatus(t *testing.T) {
	s, err := readStatusTables(
		[]row{answer("f 0/5000060 000000030000000000000005 n1,n2 - - - - - - -")},
		[]row{answer("n1 streaming sync 0/5000060 0/5000060 0/5000000 0/4000000"), answer("n2 - - - - - -")},
	)
	require.NoError(t, err)
	require.Equal(t, Status{
		Current: wal.Position{Timeline: 3, LSN: 0x5000060}, SynchronousStandbyNames: "n1,n2",
		Standbys: []Standby{
			{ApplicationName: "n1", State: "streaming", SyncState: "sync", Sent: lsn(0x5000060), Write: lsn(0x5000060), Flush: lsn(0x5000000), Replay: lsn(0x4000000)},
			{ApplicationName: "n2"},
		},
	}, s)
	s, err = readStatusTables([]row{answer("t - - x - 0/46351A8 t 4711 streaming 2 0/46351A0")}, nil)
	require.NoError(t, err)
	require.Equal(t, Status{
		InRecovery: true, SynchronousStandbyNames: "x", Replay: lsn(0x46351A8), ReplayPaused: true,
		Receiver: &Receiver{Status: "streaming", Timeline: 2, End: lsn(0x46351A0)},
	}, s)
	s, err = readStatusTables([]row{answer("t - - x - - f - - - -")}, nil)
	require.NoError(t, err)
	require.Nil(t, s.Receiver)
	s, err = readStatusTables([]row{answer("t - - x - - f 4711 - - -")}, nil)
	require.NoError(t, err)
	require.Equal(t, &Receiver{}, s.Receiver, "the role may not see more")
}

func TestReadStatusRefuses(t *testing.T) {
	good := answer("f 0/5000060 000000030000000000000005 x - - - - - - -")
	for what, self := range map[string][]row{
		"no row": nil, "two rows": {good, good}, "too few columns": {good[:10]},
		"no LSN":          {answer("f - 000000030000000000000005 x - - - - - - -")},
		"no file":         {answer("f 0/5000060 - x - - - - - - -")},
		"a broken LSN":    {answer("t - - x 0/ - f - - - -")},
		"another one":     {answer("t - - x - 0/ f - - - -")},
		"a broken number": {answer("t - - x - - f 1 streaming x -")},
	} {
		_, err := readStatusTables(self, nil)
		require.Error(t, err, what)
	}
	_, err := readStatusTables([]row{good}, []row{answer("n1 streaming sync 0/x - - -")})
	require.ErrorContains(t, err, "pg_stat_replication")
}

func TestReadWALEnds(t *testing.T) {
	var w walEnds
	require.NoError(t, w.readStandby(answer("t - - 0/4000000 t 0/46351A8 0/5000000 2 1 16777216")))
	require.Equal(t, walEnds{
		receive: 0x4000000, complete: true, replay: 0x46351A8, known: 0x5000000, receiver: 2, controlTimeline: 1, segmentBytes: 16 << 20,
	}, w)
	w = walEnds{}
	require.NoError(t, w.readStandby(answer("t - - - f - - - 1 16777216")))
	require.Equal(t, walEnds{controlTimeline: 1, segmentBytes: 16 << 20}, w)
	require.Error(t, w.readStandby(answer("t - - - f - - - 1 -")))
	require.Error(t, w.readStandby(answer("t - - x f - - - 1 1")))
	require.Error(t, w.readStandby(answer("t - - - f x - - 1 1")))
	require.Error(t, w.readStandby(answer("t - - - f - x - 1 1")))
	require.Error(t, w.readStandby(answer("t - - - f - - x 1 1")))
	require.Error(t, w.readStandby(answer("t - - - f - - 1 x 1")))
}

func TestNewestSegment(t *testing.T) {
	names := []string{
		"000000010000000000000003", "000000020000000000000003", "00000004000000000000000300", "000000050000000000000004",
		"000000060000000000000003.partial", "00000007.history", "archive_status", "0000000a0000000000000003",
	}
	require.Equal(t, wal.Timeline(2), newestSegment(names, "0000000000000003"))
	require.Equal(t, wal.Timeline(5), newestSegment(names, "0000000000000004"))
	require.Zero(t, newestSegment(names, "0000000000000005"))
	require.Zero(t, newestSegment(names, ""))
}

func TestVersions(t *testing.T) {
	for text, want := range map[string]int{"12": 12, "13\n": 13, "15\n": 15, "18\n": 18, "100\n": 100} {
		got, err := parseVersionFile(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
	}
	for text, want := range map[string]error{
		"9.6\n": ErrVersionUnsupported, "9\n": ErrVersionUnsupported, "15.1\n": ErrVersionUnsupported, "0": ErrVersionUnsupported,
		"10\n": ErrVersionUnsupported, "11\n": ErrVersionUnsupported,
		"": ErrVersionGarbage, "\n": ErrVersionGarbage, "15\n\n": ErrVersionGarbage, "x": ErrVersionGarbage, "1e1": ErrVersionGarbage,
		"9.x": ErrVersionGarbage, "+15": ErrVersionGarbage, "15\x00": ErrVersionGarbage, strings.Repeat("9", 9999): ErrVersionGarbage,
	} {
		_, err := parseVersionFile(text)
		require.ErrorIs(t, err, want, "%q", text)
		require.Less(t, len(err.Error()), 300)
	}
	for text, want := range map[string]int{
		"postgres (PostgreSQL) 15.6 (Debian 15.6-0+deb12u1)\n": 15, "postgres (PostgreSQL) 16beta1\n": 16, "postgres (PostgreSQL) 18devel\n": 18,
		"postgres (PostgreSQL) 9.6.24\n": 9, "postgres (PostgreSQL) 17\n": 17, "postgres (EnterpriseDB) 15\n": 0, "": 0, "15.6": 0,
		"postgres (PostgreSQL) 99999\n": 0,
	} {
		got, err := parseVersionOutput(text)
		require.Equal(t, want == 0, err != nil, text)
		require.Equal(t, want, got, text)
	}
}

func FuzzParseVersion(f *testing.F) {
	f.Add("15\n")
	f.Add("9.6\n")
	f.Fuzz(func(t *testing.T, text string) {
		if major, err := parseVersionFile(text); err == nil && (major < oldestMajor || major > 9999) {
			t.Fatalf("%q gave %d", text, major)
		}
		_, _ = parseVersionOutput(text)
	})
}

func TestComplaint(t *testing.T) {
	require.Equal(t, "bad thing", complaint("2026-01-01 LOG:  x\n2026-01-01 00:00:00 GMT [1] FATAL:  bad thing\nHINT: y\n"))
	require.Equal(t, "first", complaint("first\nsecond\n"))
	require.Empty(t, complaint(""))
}

// What is received after a restart begins with a segment, and the replay is beyond that.
func TestStatusStreams(t *testing.T) {
	streaming := func(end *wal.LSN) *Receiver { return &Receiver{Status: "streaming", Timeline: 1, End: end} }
	for name, c := range map[string]struct {
		status Status
		want   bool
	}{
		"no receiver":           {Status{Receive: lsn(2), Replay: lsn(2)}, false},
		"waiting":               {Status{Receive: lsn(2), Replay: lsn(2), Receiver: &Receiver{Status: "waiting", End: lsn(2)}}, false},
		"nothing received yet":  {Status{Replay: lsn(2), Receiver: streaming(nil)}, true},
		"at the replay":         {Status{Receive: lsn(2), Replay: lsn(2), Receiver: streaming(nil)}, true},
		"the same, again":       {Status{Receive: lsn(1), Replay: lsn(3), Receiver: streaming(lsn(2))}, false},
		"nothing was said":      {Status{Receive: lsn(1), Replay: lsn(3), Receiver: streaming(nil)}, false},
		"nothing is written":    {Status{Receive: lsn(1), Replay: lsn(3), Receiver: streaming(lsn(3))}, true},
		"more is to be written": {Status{Receive: lsn(1), Replay: lsn(3), Receiver: streaming(lsn(4))}, true},
	} {
		require.Equal(t, c.want, c.status.Streams(), name)
		if c.status.Receive != nil {
			r := Report{Receive: *c.status.Receive, Replay: *c.status.Replay}
			if of := c.status.Receiver; of != nil {
				r.Receiver = &ReceiverReport{Status: of.Status}
				if of.End != nil {
					r.Receiver.End = *of.End
				}
			}
			yes, again := r.Streams()
			require.Equal(t, c.want, yes, name)
			require.Equal(t, !c.want && r.Receiver != nil && r.Receiver.Status == "streaming", again, name)
		}
	}
}
