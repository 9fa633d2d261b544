package pg

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"pgsqlms/internal/wal"
)

func TestIsShutdownCheckpoint(t *testing.T) {
	for line, want := range map[string]bool{
		"rmgr: XLOG        len (rec/tot):    114/   114, tx:          0, lsn: 0/03000028, prev 0/02000100, desc: CHECKPOINT_SHUTDOWN redo 0/3000028; tli 1; prev tli 1": true,
		"rmgr: XLOG        len (rec/tot):    114/   114, tx:          0, lsn: 0/03000028, prev 0/02000100, desc: CHECKPOINT_ONLINE redo 0/3000028; tli 1":               false,
		"rmgr: Heap        len (rec/tot):     59/    59, tx:        730, lsn: 0/03000028, prev 0/02000100, desc: INSERT off 1 flags 0x00":                               false,
		"rmgr: LogicalMessage len (rec/tot): 59/ 59, tx: 0, lsn: 0/03000028, prev 0/0, desc: MESSAGE rmgr: XLOG, desc: CHECKPOINT_SHUTDOWN":                             false,
		"": false,
	} {
		assert.Equal(t, want, isShutdownCheckpoint(line), line)
	}
}

func TestTwoPagesBefore(t *testing.T) {
	assert.Equal(t, wal.LSN(0x3002000), twoPagesBefore(0x3006000), "the last byte is on the page before")
	assert.Equal(t, wal.LSN(0x3004000), twoPagesBefore(0x3006001))
	assert.Equal(t, wal.LSN(walPage), twoPagesBefore(100))
}

func FuzzIsShutdownCheckpoint(f *testing.F) {
	f.Add("rmgr: XLOG len (rec/tot): 114/ 114, desc: CHECKPOINT_SHUTDOWN redo 0/3000028")
	f.Fuzz(func(t *testing.T, line string) {
		if isShutdownCheckpoint(line) {
			assert.Contains(t, line, "CHECKPOINT_SHUTDOWN")
		}
	})
}
