package pg

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/wal"
)

// controlSample is in the form PostgreSQL 15 prints.
const controlSample = `pg_control version number:            1300
Catalog version number:               202209061
Database system identifier:           7710541667252306838
Database cluster state:               in archive recovery
pg_control last modified:             Sat Nov 21 08:39:42 2026
Latest checkpoint location:           0/3000060
Latest checkpoint's REDO location:    0/3000028
Latest checkpoint's REDO WAL file:    000000020000000000000003
Latest checkpoint's TimeLineID:       2
Latest checkpoint's PrevTimeLineID:   1
Latest checkpoint's full_page_writes: on
Latest checkpoint's NextXID:          0:724
Latest checkpoint's oldestCommitTsXid:0
Time of latest checkpoint:            Sat Nov 21 08:39:42 2026
Fake LSN counter for unlogged rels:   0/3E8
Minimum recovery ending location:     16/46351A8
Min recovery ending loc's timeline:   2
Backup start location:                0/3000028
Backup end location:                  0/0
End-of-backup record required:        yes
wal_level setting:                    replica
wal_log_hints setting:                off
Bytes per WAL segment:                16777216
Maximum length of identifiers:        64
Mock authentication nonce:            ee3b4ee9bc214d60fcf8c07ba8705c0b835c230ff8bd683ba60c7e6f43ca51f2
`

func sampleControl() ControlData {
	return ControlData{
		State: StateArchiveRecovery, Checkpoint: 0x3000060, Timeline: 2,
		MinRecovery: wal.Position{Timeline: 2, LSN: 0x16046351A8}, Segment: 16 << 20,
	}
}

func TestParseControlData(t *testing.T) {
	for what, text := range map[string]string{
		"15": controlSample,
		// what the versions before and after print more, less, or in another form
		"10":                     strings.Replace(controlSample, "Latest checkpoint's REDO location", "Prior checkpoint location:            0/2000060\nLatest checkpoint's REDO location", 1),
		"18":                     controlSample + "Default char data signedness:         signed\n",
		"19":                     strings.NewReplacer("16/46351A8", "16/046351A8", "0/3000060", "0/03000060").Replace(controlSample),
		"lines in another order": reversed(controlSample),
	} {
		c, err := ParseControlData(text)
		require.NoError(t, err, what)
		require.Equal(t, sampleControl(), c, what)
	}
	for _, state := range []State{
		StateStartingUp, StateShutDown, StateShutDownRecovery, StateShuttingDown, StateCrashRecovery, StateArchiveRecovery, StateInProduction,
	} {
		c, err := ParseControlData(strings.Replace(controlSample, "in archive recovery", string(state), 1))
		require.NoError(t, err)
		require.Equal(t, state, c.State)
	}
}

// A primary has no minimum recovery, and nobody is kept from running for want of it, nor of a segment's size.
func TestWhatPgControlNeedNotHave(t *testing.T) {
	noMinimum, noSegment := sampleControl(), sampleControl()
	noMinimum.MinRecovery, noSegment.Segment = wal.Position{}, 0
	for what, c := range map[string]struct {
		text string
		want ControlData
	}{
		"minimum: none":    {strings.NewReplacer("16/46351A8", "0/0", "timeline:   2", "timeline:   0").Replace(controlSample), noMinimum},
		"minimum: garbage": {strings.Replace(controlSample, "16/46351A8", "nothing", 1), noMinimum},
		"minimum: no line": {strings.Replace(controlSample, "Minimum recovery", "Other", 1), noMinimum},
		"segment: garbage": {strings.Replace(controlSample, "16777216", "16 MB", 1), noSegment},
		"segment: no line": {strings.Replace(controlSample, "Bytes per WAL segment", "Other", 1), noSegment},
	} {
		found, err := ParseControlData(c.text)
		require.NoError(t, err, what)
		require.Equal(t, c.want, found, what)
	}
}

func reversed(text string) string {
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	for a, b := 0, len(lines)-1; a < b; a, b = a+1, b-1 {
		lines[a], lines[b] = strings.TrimSuffix(lines[b], "\n")+"\n", strings.TrimSuffix(lines[a], "\n")+"\n"
	}
	return strings.Join(lines, "")
}

// What nobody asks for may be missing, or be anything.
func TestParseControlDataIgnoresTheRest(t *testing.T) {
	var needed strings.Builder
	for line := range strings.Lines(controlSample) {
		label, _, _ := strings.Cut(line, ":")
		switch label {
		case labelState, labelCheckpoint, labelTimeline:
			needed.WriteString(line)
			continue
		case labelRecovery, labelRecoveryTLI, labelSegment:
			continue // see TestWhatPgControlNeedNotHave
		}
		for _, other := range []string{label + ": \x00\xff\n", line + line, label + "\n"} {
			c, err := ParseControlData(strings.Replace(controlSample, line, other, 1))
			require.NoError(t, err, other)
			require.Equal(t, sampleControl(), c)
		}
	}
	c, err := ParseControlData(needed.String())
	require.NoError(t, err)
	require.Equal(t, sampleControl().Checkpoint, c.Checkpoint)
}

func TestParseControlDataRefuses(t *testing.T) {
	for what, change := range map[string][2]string{
		"an unknown state":       {"in archive recovery", "in orbit"},
		"PostgreSQL's own doubt": {"in archive recovery", "unrecognized status code"},
		"a translated label":     {"Database cluster state", "État de l'instance"},
		"no number":              {"TimeLineID:       2", "TimeLineID:       many"},
		"a negative number":      {"TimeLineID:       2", "TimeLineID:       -1"},
		"no timeline":            {"TimeLineID:       2", "TimeLineID:       0"},
		"half an LSN":            {"0/3000060", "0/"},
		"a timeline too large":   {"TimeLineID:       2", "TimeLineID:       4294967296"},
		"a line twice":           {"wal_level setting", "Database cluster state:               shut down\nwal_level setting"},
	} {
		text := strings.Replace(controlSample, change[0], change[1], 1)
		require.NotEqual(t, controlSample, text, what)
		_, err := ParseControlData(text)
		require.ErrorIs(t, err, ErrControlUnreadable, what)
	}
	lines := strings.SplitAfter(controlSample, "\n")
	for _, label := range []string{labelState, labelCheckpoint, labelTimeline} {
		var kept []string
		for _, line := range lines {
			if !strings.HasPrefix(line, label+":") {
				kept = append(kept, line)
			}
		}
		require.Len(t, kept, len(lines)-1, label)
		_, err := ParseControlData(strings.Join(kept, ""))
		require.ErrorIs(t, err, ErrControlUnreadable, label)
		require.ErrorContains(t, err, fmt.Sprintf("%q", label))
	}
	_, err := ParseControlData("")
	require.ErrorIs(t, err, ErrControlUnreadable)
}

// The program only warns, and goes on as if nothing were.
func TestParseControlDataBelievesNoWrongChecksum(t *testing.T) {
	for _, warning := range []string{
		"WARNING: Calculated CRC checksum does not match value stored in file.\nEither the file is corrupt, or it has a different layout than this program\nis expecting.  The results below are untrustworthy.\n\n",
		"pg_controldata: warning: calculated CRC checksum does not match value stored in control file\n",
	} {
		_, err := ParseControlData(warning + controlSample)
		require.ErrorIs(t, err, ErrControlCRC)
		require.True(t, warnsOfCRC(warning))
	}
}

func FuzzParseControlData(f *testing.F) {
	f.Add(controlSample)
	f.Add("")
	f.Add(strings.Replace(controlSample, ":", "", 5))
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseControlData(text)
		if err == nil && (!c.State.known() || c.Timeline == 0) {
			t.Fatalf("%q gave %+v", text, c)
		}
	})
}
