package pg

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// slotState is the beginning of a slot's file, as PostgreSQL writes it.
func slotState(name string, database, persistency uint32) []byte {
	var state []byte
	for _, n := range []uint32{slotMagic, 0xdeadbeef, 5, 200} {
		state = binary.NativeEndian.AppendUint32(state, n)
	}
	state = append(state, make([]byte, slotNameLength)...)
	copy(state[slotNameAt:], name)
	return binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint32(state, database), persistency)
}

// A slot whose file is not understood is none that is known to be physical, and none that is left out.
func TestOwnSlots(t *testing.T) {
	dir := t.TempDir()
	for name, state := range map[string][]byte{
		"physical": slotState("physical", 0, 0), "logical": slotState("logical", 16384, 0),
		"temporary": slotState("temporary", 0, 2), "being_made": slotState("being_made", 16384, 1),
		"another": slotState("one", 0, 0), "short": slotState("short", 0, 0)[:slotLastsAt], "longer_lasting": slotState("longer_lasting", 0, 3),
		"no_magic": append([]byte{0, 0, 0, 0}, slotState("no_magic", 0, 0)[4:]...), "gone": nil, "new.tmp": slotState("new.tmp", 0, 0),
	} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "pg_replslot", name), 0o700))
		if state != nil {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "pg_replslot", name, "state"), state, 0o600))
		}
	}
	require.Equal(t, []OwnSlot{
		{"another", SlotUnknown}, {"gone", SlotUnknown}, {"logical", SlotLogical}, {"longer_lasting", SlotUnknown},
		{"no_magic", SlotUnknown}, {"physical", SlotPhysical}, {"short", SlotUnknown},
	}, slotsOf(dir))
	require.Empty(t, slotsOf(filepath.Join(dir, "none")))
}

// Only a slot whose log was removed says that the log is gone.
func TestRemovedLog(t *testing.T) {
	for refusal, want := range map[string]bool{
		"": false,
		"requested WAL segment 000000020000000000000001 has already been removed":                                        true,
		`can no longer access replication slot "n2" (This replication slot has been invalidated due to "wal_removed".)`:  true,
		`can no longer access replication slot "n2" (This replication slot has been invalidated due to "idle_timeout".)`: false,
		`can no longer access replication slot "n2"`:                                                                     false,
		`replication slot "wal_removed" does not exist`:                                                                  false,
	} {
		require.Equal(t, want, Source{Refusal: refusal}.Removed(), refusal)
	}
}
