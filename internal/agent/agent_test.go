package agent

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"pgsqlms/internal/ocf"
	"pgsqlms/metadata"
)

// Storage that hangs is not to be had for a test: an action waits for ever, and takes no
// notice of its deadline, as a system call does.
func TestActionThatDoesNotComeBack(t *testing.T) {
	const said = "got no answer from the operating system and is given up, at the end of its 400ms"
	for name, want := range map[string]struct {
		code ocf.ExitCode
		says string
	}{
		metadata.Stop:   {ocf.ErrGeneric, "ocf-exit-reason:stop " + said + "; to do: "},
		metadata.Notify: {ocf.Success, "WARNING: notify " + said + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			instead(t, name, func(*agent, context.Context) (ocf.ExitCode, error) { select {} })
			var stderr bytes.Buffer
			began := time.Now()
			code := Run(t.Context(), Process{
				Args: []string{name}, Stderr: &stderr, Started: began,
				Environ: []string{"OCF_RESKEY_CRM_meta_timeout=400", "OCF_RESKEY_pgdata=" + t.TempDir(), "OCF_RESKEY_CRM_meta_notify_type=pre", "OCF_RESKEY_CRM_meta_notify_operation=start"},
			})
			assert.Equal(t, want.code, code)
			assert.Contains(t, stderr.String(), want.says)
			assert.GreaterOrEqual(t, time.Since(began), 360*time.Millisecond, "before its deadline")
			assert.Less(t, time.Since(began), 10*time.Second)
		})
	}
}
