package pg

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/wal"
)

func TestReadReport(t *testing.T) {
	second, none := time.Second, time.Duration(0)
	p, err := readReport(
		[]row{answer("f 0/5000060 000000030000000000000005 - - - - 3 7001 15.6 1795269808.25 n1,n2 a,b - - - - - - t postgres -")},
		[]row{
			answer("n1 streaming sync 0/5000060 0/5000060 0/5000000 0/4000000 10.0.0.1 0.5 1 1"),
			answer("n2 - - - - - - - - - -"),
		},
	)
	require.NoError(t, err)
	half := 500 * time.Millisecond
	require.Equal(t, Report{
		System: "7001", Version: "15.6", Started: time.UnixMilli(1795269808250), End: wal.Position{Timeline: 3, LSN: 0x5000060},
		SynchronousStandbyNames: "n1,n2", PendingRestart: []string{"a", "b"},
		Standbys: []StandbyReport{
			{
				Standby: Standby{
					ApplicationName: "n1", State: "streaming", SyncState: "sync",
					Sent: lsn(0x5000060), Write: lsn(0x5000060), Flush: lsn(0x5000000), Replay: lsn(0x4000000),
				},
				Address: "10.0.0.1", WriteLag: &half, FlushLag: &second, ReplayLag: &second,
			},
			{Standby: Standby{ApplicationName: "n2"}},
		},
	}, p)

	p, err = readReport([]row{answer("t - - 0/5000000 0/4000000 f 1 2 7001 15.6 - - - 99 streaming 3 10.0.0.9 5432 - t postgres 0/5000010")}, nil)
	require.NoError(t, err)
	require.Equal(t, Report{
		System: "7001", Version: "15.6", InRecovery: true, End: wal.Position{Timeline: 3, LSN: 0x5000000}, Receive: 0x5000000, Replay: 0x4000000,
		Behind: &second, Receiver: &ReceiverReport{Status: "streaming", Timeline: 3, Host: "10.0.0.9", Port: "5432", End: 0x5000010},
	}, p)

	p, err = readReport([]row{answer("t - - 0/4000000 0/5000000 t 77 2 7001 15.6 - - - - - - - - - t postgres -")}, nil)
	require.NoError(t, err)
	require.Equal(t, wal.Position{Timeline: 2, LSN: 0x5000000}, p.End, "what was received begins a segment after a restart")
	require.Equal(t, &none, p.Behind, "it has replayed all it has")
	require.True(t, p.ReplayPaused)
	require.Nil(t, p.Receiver)

	p, err = readReport([]row{answer("t - - 0/5000000 0/4000000 f 1 2 7001 15.6 - - - 99 - - - - - f rep -")}, []row{answer("n1 - - - - - - - - - -")})
	require.NoError(t, err)
	require.Equal(t, Report{
		Blind: "rep", System: "7001", Version: "15.6", InRecovery: true, End: wal.Position{Timeline: 2, LSN: 0x5000000}, Receive: 0x5000000, Replay: 0x4000000,
		Behind: &second,
	}, p)
}

func TestReadReportRefuses(t *testing.T) {
	primary := "f 0/5000060 000000030000000000000005 - - - - 3 7001 15.6 1 - - - - - - - - t postgres -"
	for what, tables := range map[string][2][]row{
		"no row":       {},
		"no LSN":       {{answer("f - 000000030000000000000005 - - - - 3 7001 15.6 1 - - - - - - - - t postgres -")}},
		"a broken LSN": {{answer("t - - 0/ - f - 3 7001 15.6 1 - - - - - - - - t postgres -")}},
		"few columns":  {{answer(primary)}, {answer("n1 streaming sync 0/1 0/1 0/1 0/1")}},
	} {
		_, err := readReport(tables[0], tables[1])
		require.Error(t, err, what)
	}
}

// Lengths come from a clock that may be wrong.
func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{"0": 0, "-5": 0, "0.25": 250 * time.Millisecond} {
		require.Equal(t, want, *duration(answer(text), 0), text)
	}
	for _, text := range []string{"-", "x", "NaN", "Infinity", "1e300"} {
		require.Nil(t, duration(answer(text), 0), text)
		require.True(t, unixTime(answer(text), 0).IsZero(), text)
	}
}

func TestUnixTimeToTheMicrosecond(t *testing.T) {
	for text, want := range map[string]int64{
		"1795269808.250000": 1795269808250000, "1795269808.250001": 1795269808250001, "1795269808.999999": 1795269808999999,
	} {
		require.Equal(t, time.UnixMicro(want), unixTime(answer(text), 0), text)
	}
}

func TestConninfoAtAnotherHost(t *testing.T) {
	values, err := ParseConninfo("host=vip,vip2 hostaddr=10.0.0.1,10.0.0.2 port=5433,5434 user=rep password=sesame " +
		"application_name=n1 target_session_attrs=read-write sslmode=verify-full")
	require.NoError(t, err)
	c := Conninfo{values}
	require.Equal(t, "10.0.0.1,10.0.0.2", c.Host())
	require.Equal(t, "n1", c.ApplicationName())
	at := c.At("n2")
	require.Equal(t, map[string]string{
		"host": "n2", "port": "5433", "user": "rep", "password": "sesame", "application_name": "n1", "sslmode": "verify-full",
		"require_auth": "!password",
	}, at.values)
	require.Equal(t, "10.0.0.1,10.0.0.2", c.Host(), "the original is as it was")
	require.Equal(t, "n2", at.Host())
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		require.NotContains(t, fmt.Sprintf(format, c), "sesame")
	}
	require.True(t, Conninfo{}.Empty())
}
