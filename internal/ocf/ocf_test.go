package ocf

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const metaPrefix = "OCF_RESKEY_CRM_meta_"

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestParseRequestOfARecurringMonitor(t *testing.T) {
	r := ParseRequest([]string{"monitor", "ignored"}, []string{
		"OCF_RESOURCE_INSTANCE=pgsqld", metaPrefix + "on_node=n1", metaPrefix + "interval=15000",
		metaPrefix + "timeout=10000", metaPrefix + "role=Promoted",
		"OCF_RESKEY_bindir=/opt/pg/bin", "OCF_RESKEY_maxlag=", "OCF_RESKEY_crm_feature_set=3.16.1",
	}, began)
	assert.Equal(t, "monitor", r.Action)
	assert.Equal(t, "pgsqld", r.Instance)
	assert.Equal(t, "n1", r.Node())
	assert.Equal(t, "Promoted", r.Role)
	assert.Equal(t, "3.16.1", r.FeatureSet())
	assert.False(t, r.Probe())
	assert.Equal(t, began.Add(9*time.Second), r.Deadline, "a tenth is left for the exit reason")
	assert.False(t, r.Notify.Present())
	_, set := r.Param("maxlag")
	assert.False(t, set, "an empty parameter is not set")
}

// An action whose process took long to get to its first line still gets half of its time.
func TestAnActionThatBeginsLate(t *testing.T) {
	env := []string{metaPrefix + "timeout=10000"}
	for late, left := range map[time.Duration]time.Duration{
		0: 9 * time.Second, 4 * time.Second: 5 * time.Second, 8 * time.Second: 4500 * time.Millisecond, time.Minute: 4500 * time.Millisecond,
	} {
		r := ParseRequest([]string{"monitor"}, env, began)
		now := began.Add(late)
		r.Began(now)
		assert.Equal(t, left, r.Deadline.Sub(now), "%s late", late)
		assert.True(t, r.Overdue().After(r.Deadline), "%s late", late)
	}
}

func TestParseRequestByHand(t *testing.T) {
	r := ParseRequest([]string{"monitor"}, []string{"OCF_RESOURCE_INSTANCE=pgsqld-clone"}, began)
	assert.Equal(t, "pgsqld", r.Instance, "crm_resource --force-check -r CLONE")
	assert.True(t, r.Probe())
	assert.Equal(t, DefaultTimeout, r.Timeout)
	byCluster := ParseRequest([]string{"monitor"}, []string{
		"OCF_RESOURCE_INSTANCE=x-clone", metaPrefix + "on_node=n1"}, began)
	assert.Equal(t, "x-clone", byCluster.Instance, "the cluster never appends it")
}

func TestParseRequestOfNothing(t *testing.T) {
	r := ParseRequest(nil, nil, began)
	assert.Empty(t, r.Action)
	assert.Equal(t, "default", r.Instance)
	assert.Equal(t, DefaultTimeout, r.Timeout)
}

func TestBadTimeouts(t *testing.T) {
	for _, v := range []string{"", "-1", "1e9", "99999999999999999999", "10s", "0"} {
		r := ParseRequest([]string{"start"}, []string{metaPrefix + "timeout=" + v}, began)
		assert.Equal(t, DefaultTimeout, r.Timeout, v)
	}
}

func TestNotification(t *testing.T) {
	env := []string{
		metaPrefix + "notify_type=pre", metaPrefix + "notify_operation=promote",
		metaPrefix + "notify_active_uname=n2 n1 n3", metaPrefix + "notify_promote_uname=n2",
		metaPrefix + "notify_demote_uname=n1", metaPrefix + "notify_stop_uname= ",
		metaPrefix + "notify_master_uname=n1", metaPrefix + "notify_slave_uname=n2 n3",
	}
	old := ParseRequest([]string{"notify"}, env, began).Notify
	assert.Equal(t, "pre-promote", old.Phase())
	assert.True(t, old.Present())
	assert.Equal(t, []string{"n1"}, old.Promoted, "Pacemaker 2.0 sends master only")
	assert.Empty(t, old.Stop, "a single space is an empty list")
	current := ParseRequest([]string{"notify"}, append(env, metaPrefix+"notify_promoted_uname=n9"), began).Notify
	assert.Equal(t, []string{"n9"}, current.Promoted)
	assert.NoError(t, current.Problem())
}

func TestNotificationGarbage(t *testing.T) {
	for name, value := range map[string]string{
		"control characters": "n1 \x01",
		"not UTF-8":          "n1 \xff\xfe",
		"a name too long":    strings.Repeat("n", 256),
		"too much":           strings.Repeat("n ", 40000),
	} {
		n := ParseRequest([]string{"notify"}, []string{metaPrefix + "notify_active_uname=" + value}, began).Notify
		assert.Error(t, n.Problem(), name)
		assert.Empty(t, n.Active, name)
	}
}

func TestExitReasonIsOneLine(t *testing.T) {
	var stderr bytes.Buffer
	NewLogger("pgsqlms", "pgsqld", nil, &stderr, true).ExitReason("first\nsecond")
	assert.Equal(t, "ERROR: first; second\nocf-exit-reason:first; second\n", stderr.String())
}

func TestLogFile(t *testing.T) {
	var stderr bytes.Buffer
	path := filepath.Join(t.TempDir(), "log")
	log := NewLogger("pgsqlms", "pgsqld", []string{"HA_LOGFILE=" + path, "HA_LOGFACILITY=none", "HA_debug=0"}, &stderr, false)
	log.Debugf("hidden")
	log.Infof("shown")
	log.Close()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Regexp(t, `^pgsqlms\(pgsqld\)\[\d+\]:\t.* INFO: shown\n$`, string(text))
	assert.Empty(t, stderr.String())
}

func TestLogThatCannotBeWritten(t *testing.T) {
	var stderr bytes.Buffer
	log := NewLogger("pgsqlms", "pgsqld", []string{"HA_LOGFILE=/nonexistent/log"}, &stderr, false)
	log.ExitReason("still told")
	assert.Equal(t, "ocf-exit-reason:still told\n", stderr.String())
}

func TestCodeOf(t *testing.T) {
	refused := Reason{Code: ErrArgs, Text: "found %q", Help: "mend x"}.Because(errors.New("cause"), "x")
	assert.Equal(t, ErrArgs, CodeOf(refused))
	assert.EqualError(t, refused, `found "x": cause`)
	assert.Equal(t, `found "x": cause; to do: mend x`, Explain(refused))
	assert.Equal(t, "any", Explain(errors.New("any")))
	assert.Equal(t, ErrGeneric, CodeOf(errors.New("any")))
	assert.Equal(t, Success, CodeOf(nil))
}

func FuzzNotification(f *testing.F) {
	f.Add("n1 n2")
	f.Add(" ")
	f.Fuzz(func(t *testing.T, value string) {
		n := ParseRequest(nil, []string{metaPrefix + "notify_active_uname=" + value}, began).Notify
		for _, name := range n.Active {
			assert.NotContains(t, name, " ")
			assert.LessOrEqual(t, len(name), maxNameBytes)
		}
	})
}
