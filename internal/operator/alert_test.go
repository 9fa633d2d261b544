package operator

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/crm"
	"pgsqlms/internal/ocf"
)

const (
	recordBefore  = "serial=3 timeline=2 node=n1 from=1@0/1742110 sync=n1:1:n2,n3"
	recordBegun   = "serial=4 timeline=2 node=n1 from=1@0/1742110 sync=n1:1:n2,n3 next=n2:1:n1,n3:2@0/1742318,1@0/1742110"
	recordEnded   = "serial=5 timeline=3 node=n2 from=2@0/1742318,1@0/1742110 sync=n2:1:n1,n3"
	recordRulesOn = "serial=5 timeline=3 node=n2 from=2@0/1742318,1@0/1742110 sync=n2:2:n1,n3"
	recordTaken   = "serial=7 timeline=4 node=n3 from=3@0/1800000,2@0/1742318,1@0/1742110 sync=n3:1:n1,n2"
	recordAgain   = "serial=7 timeline=4 node=n2 from=3@0/1800000,2@0/1742318,1@0/1742110 sync=n2:1:n1,n3"
)

// alertEnv is what Pacemaker 2.1.5 sets in the lab for a promotion on n2.
func alertEnv(hook string) []string {
	return []string{
		"CRM_alert_kind=resource", "CRM_alert_task=promote", "CRM_alert_rsc=pgsqld", "CRM_alert_node=n2", "CRM_alert_rc=0",
		"CRM_alert_target_rc=0", "CRM_alert_status=0", "CRM_alert_desc=ok", "CRM_alert_interval=0", "CRM_alert_exec_time=313",
		"CRM_alert_timestamp_epoch=1795283253", "CRM_alert_timestamp_usec=842791", "CRM_alert_version=2.1.5", "CRM_alert_recipient=" + hook,
	}
}

// alerting is a cluster with a record, a hook that writes down what it is given, and the
// alerter for a promotion on n2.
type alerting struct {
	alerter
	t    *testing.T
	top  string
	told string // the file
	said bytes.Buffer
}

func newAlerting(t *testing.T, inCIB, then string) *alerting {
	t.Helper()
	a := &alerting{t: t, top: t.TempDir()}
	require.NoError(t, os.Chmod(a.top, 0o755))
	a.told = filepath.Join(a.top, "told")
	hook := a.file("hook", "#!/bin/sh\nenv | grep ^PGSQLMS | sort >>"+a.told+"\necho moved the pool\necho more\n", 0o755)
	a.alerter = alerter{
		surveyor: surveyor{patient: true, crm: crm.New(filepath.Join(a.top, "sbin"), nil), cibFile: "/nonexistent"},
		logs:     logs{path: "/nonexistent", journal: "/nonexistent"}, marks: filepath.Join(a.top, "marks"), top: a.top,
		log: ocf.NewLogger("pgsqlms", "pgsqld", nil, &a.said, true), wait: time.Minute, event: eventOf(alertEnv(hook), time.Now()),
	}
	require.NoError(t, os.Mkdir(filepath.Join(a.top, "sbin"), 0o755))
	a.cluster(inCIB, then)
	return a
}

func (a *alerting) file(name, text string, mode os.FileMode) string {
	a.t.Helper()
	path := filepath.Join(a.top, name)
	require.NoError(a.t, os.WriteFile(path, []byte(text), 0o600))
	require.NoError(a.t, os.Chmod(path, mode))
	return path
}

// cluster sets what the CIB has for a record, and what it has when it is asked again.
func (a *alerting) cluster(inCIB, then string) {
	a.t.Helper()
	cib := `<cib><configuration><crm_config><cluster_property_set id="a"><nvpair name="cluster-name" value="pg"/>` +
		`<nvpair name="pgsqlms-pgsqld" value="` + inCIB + `"/></cluster_property_set></crm_config><nodes><node id="1" uname="n1"/><node id="2" uname="n2"/>` +
		`</nodes><resources>` + primitive("pgsqld", "") + `<primitive id="vip" type="IPaddr2"/></resources></configuration></cib>`
	for tool, script := range map[string]string{
		"cibadmin": "cat <<'END'\n" + cib + "\nEND", "crm_attribute": "echo '" + then + "'", "crm_mon": "exit 102", "crm_node": "echo n2",
	} {
		a.file("sbin/"+tool, "#!/bin/sh\n"+script+"\n", 0o755)
	}
}

func (a *alerting) heard() string {
	text, err := os.ReadFile(a.told)
	if !os.IsNotExist(err) {
		require.NoError(a.t, err)
	}
	return string(text)
}

const toldOnce = `PGSQLMS_CLUSTER=pg
PGSQLMS_EVENT=promoted
PGSQLMS_LSN=0/1742318
PGSQLMS_NEW_PRIMARY=n2
PGSQLMS_OLD_PRIMARY=n1
PGSQLMS_RESOURCE=pgsqld
PGSQLMS_SERIAL=5
PGSQLMS_TIME=2026-11-21T17:47:33Z
PGSQLMS_TIMELINE=3
`

// The hook is told once of each promotion: not again by another alert for it, or when
// Pacemaker promotes what is promoted already, or when the rule of the commits changes.
func TestHookIsRunOnceForAChange(t *testing.T) {
	a := newAlerting(t, recordBegun, recordEnded)
	require.Equal(t, ExitWell, a.answer(t.Context(), time.Minute))
	require.Equal(t, toldOnce, a.heard())
	require.Contains(t, a.said.String(), "promotion of n2 after n1, timeline 3 from 0/1742318, of which "+filepath.Join(a.top, "hook")+" was told: it ended with 0 after ")
	require.Contains(t, a.said.String(), ": moved the pool\n")

	for _, record := range []string{recordBegun, recordEnded, recordRulesOn} {
		a.cluster(record, recordEnded)
		require.Equal(t, ExitWell, a.answer(t.Context(), time.Minute))
	}
	require.Equal(t, toldOnce, a.heard())
	require.Contains(t, a.said.String(), "has been told of the promotion of n2")

	a.cluster(recordAgain, recordAgain)
	a.at = a.at.Add(time.Minute)
	require.Equal(t, ExitWell, a.answer(t.Context(), time.Minute))
	require.Contains(t, a.heard(), "PGSQLMS_TIMELINE=4")

	other := a.file("other", "#!/bin/sh\necho other >>"+a.told+"\n", 0o755)
	a.hook = other
	require.Equal(t, ExitWell, a.answer(t.Context(), time.Minute))
	require.Contains(t, a.heard(), "other", "each hook has its own mark")
}

// Two alerts at one moment run one hook.
func TestAlertsSideBySide(t *testing.T) {
	a := newAlerting(t, recordBegun, recordEnded)
	done := make(chan ExitCode)
	for range 4 {
		go func() { done <- a.answer(t.Context(), time.Minute) }()
	}
	for range 4 {
		require.Equal(t, ExitWell, <-done)
	}
	require.Equal(t, toldOnce, a.heard())
}

// A mark that another process holds is waited for, not for ever, and never passed over.
func TestMarkIsHeldByAnother(t *testing.T) {
	a := newAlerting(t, recordBegun, recordEnded)
	_, err := a.markOnce(t.Context(), "/hook", roleChange{ids: []string{"one"}})
	require.NoError(t, err)
	marks, err := os.ReadDir(a.marks)
	require.NoError(t, err)
	other, err := os.Open(filepath.Join(a.marks, marks[0].Name()))
	require.NoError(t, err)
	defer other.Close()
	require.NoError(t, syscall.Flock(int(other.Fd()), syscall.LOCK_EX))
	_, err = a.markOnce(t.Context(), "/hook", roleChange{ids: []string{"two"}})
	require.ErrorContains(t, err, "held by another process")
}

// An alert that comes after the new primary's first monitor takes the old primary from
// the log.
func TestLateAlert(t *testing.T) {
	a := newAlerting(t, recordEnded, recordEnded)
	a.logs.path = a.file("pacemaker.log", "Nov 21 17:47:33.100 n2 pacemaker-based     [34] (cib_perform_op) 	info: +  /cib/configuration/crm_config/cluster_property_set[@id='pgsqlms-lineage']/nvpair[@name=\"pgsqlms-pgsqld\"]:  @value="+recordBegun+"\n"+
		"Nov 21 17:47:34.100 n2 pacemaker-based     [34] (cib_perform_op) 	info: +  /cib/configuration/crm_config/cluster_property_set[@id='pgsqlms-lineage']/nvpair[@name=\"pgsqlms-pgsqld\"]:  @value="+recordEnded+"\n", 0o600)
	require.Equal(t, ExitWell, a.answer(t.Context(), time.Minute))
	require.Equal(t, toldOnce, a.heard())
}

// A record that does not come is not waited for longer than its bound, and the hook is
// told what is known, once.
func TestAlertWithoutARecord(t *testing.T) {
	a := newAlerting(t, recordBegun, recordBegun)
	a.wait = 50 * time.Millisecond
	began := time.Now()
	require.Equal(t, ExitWell, a.answer(t.Context(), time.Minute))
	require.Less(t, time.Since(began), 20*time.Second)
	told := a.heard()
	require.Contains(t, told, "PGSQLMS_OLD_PRIMARY=n1\n")
	require.Contains(t, told, "PGSQLMS_SERIAL=\n")
	require.Contains(t, told, "PGSQLMS_TIMELINE=\n")
	a.cluster(recordEnded, recordEnded)
	require.Equal(t, ExitWell, a.answer(t.Context(), time.Minute))
	require.Equal(t, told, a.heard())

	a = newAlerting(t, recordBefore, recordBefore)
	a.wait = 50 * time.Millisecond
	require.Equal(t, ExitWell, a.answer(t.Context(), time.Minute))
	require.Contains(t, a.heard(), "PGSQLMS_OLD_PRIMARY=\n")
}

// One that was told of before the record knew it is known again by its event, and from then on by its serial.
func TestHookIsRunOnceThoughTheRecordIsLate(t *testing.T) {
	a := newAlerting(t, recordBefore, recordBefore)
	a.wait = 50 * time.Millisecond
	require.Equal(t, ExitWell, a.answer(t.Context(), time.Minute))
	told := a.heard()
	require.Contains(t, told, "PGSQLMS_NEW_PRIMARY=n2\n")
	a.cluster(recordEnded, recordEnded)
	require.Equal(t, ExitWell, a.answer(t.Context(), time.Minute))
	a.at = a.at.Add(time.Minute) // Pacemaker promotes what is promoted already
	require.Equal(t, ExitWell, a.answer(t.Context(), time.Minute))
	require.Equal(t, told, a.heard())
	a.cluster(recordAgain, recordAgain)
	a.at = a.at.Add(time.Minute)
	require.Equal(t, ExitWell, a.answer(t.Context(), time.Minute))
	require.Contains(t, a.heard(), "PGSQLMS_TIMELINE=4")
}

// Where another node has become the primary since, the hook hears of that from there, and not of this one afterwards.
func TestAlertThatComesTooLate(t *testing.T) {
	crmMon := func(a *alerting, primary string) {
		a.file("sbin/crm_mon", "#!/bin/sh\necho '<pacemaker-result><resources><clone id=\"pgsqld-clone\"><resource id=\"pgsqld\" role=\"Promoted\"><node name=\""+primary+"\"/></resource></clone></resources></pacemaker-result>'\n", 0o755)
	}
	for name, set := range map[string]func(a *alerting){
		"while it is waited for":        func(a *alerting) { a.cluster(recordBegun, recordTaken) },
		"before it was looked at":       func(a *alerting) { a.cluster(recordTaken, recordTaken); crmMon(a, "n3") },
		"while the mark was waited for": func(a *alerting) { a.cluster(recordEnded, recordTaken) },
	} {
		a := newAlerting(t, "", "")
		set(a)
		require.Equal(t, ExitWell, a.answer(t.Context(), time.Minute), name)
		require.Empty(t, a.heard(), name)
		require.Contains(t, a.said.String(), "is superseded: n3 is the primary since; "+filepath.Join(a.top, "hook")+" is not run\n", name)
	}

	// A record from before the promotion is no proof.
	for name, set := range map[string]func(a *alerting){
		"an older serial":         func(a *alerting) { a.cluster(recordBegun, recordBefore) },
		"Pacemaker says it is it": func(a *alerting) { a.cluster(recordTaken, recordTaken); crmMon(a, "n2") },
		"Pacemaker says nothing":  func(a *alerting) { a.cluster(recordTaken, recordTaken) },
	} {
		a := newAlerting(t, "", "")
		set(a)
		a.wait = 50 * time.Millisecond
		require.Equal(t, ExitWell, a.answer(t.Context(), time.Minute), name)
		require.Contains(t, a.heard(), "PGSQLMS_NEW_PRIMARY=n2\n", name)
	}
}

// An alert that is repeated is known although others have come since; a record that counts anew is not taken for one of before.
func TestMarksOfEarlierChanges(t *testing.T) {
	a := newAlerting(t, recordBegun, recordEnded)
	first := a.at
	require.Equal(t, ExitWell, a.answer(t.Context(), time.Minute))
	a.cluster(recordAgain, recordAgain)
	a.at = first.Add(time.Minute)
	require.Equal(t, ExitWell, a.answer(t.Context(), time.Minute))
	told := a.heard()
	require.Contains(t, told, "PGSQLMS_TIMELINE=4")
	a.at, a.wait = first, 50*time.Millisecond
	a.cluster("", "")
	require.Equal(t, ExitWell, a.answer(t.Context(), time.Minute))
	require.Equal(t, told, a.heard())

	a.at = first.Add(2 * time.Minute)
	a.cluster(recordEnded, recordEnded)
	require.Equal(t, ExitWell, a.answer(t.Context(), time.Minute))
	require.NotEqual(t, told, a.heard())
}

func TestNoted(t *testing.T) {
	at := func(n int) string { return eventID("n2", time.UnixMicro(int64(n))) }
	var told []string
	for n := range 3 * keptEvents {
		var first bool
		told, first = noted(told, []string{at(n), changeID(uint64(n), "n2")})
		require.True(t, first)
	}
	require.Len(t, told, keptEvents+1)
	require.Equal(t, []string{at(3*keptEvents - 1), changeID(3*keptEvents-1, "n2")}, told[keptEvents-1:])
	for n, first := range map[int]bool{0: true, 2*keptEvents - 1: true, 2 * keptEvents: false, 3*keptEvents - 1: false} {
		_, is := noted(told, []string{at(n)})
		require.Equal(t, first, is, n)
	}
	// The serial of a later change is not noted for an earlier one, of which nobody may have been told yet.
	all, first := noted(told, []string{at(2 * keptEvents), changeID(99, "n2")})
	require.False(t, first)
	require.Equal(t, told, all)
	require.Less(t, keptEvents*(2*64+len(at(1<<60))+8)+100, maxMark)
}

// A hook that hangs is killed with what it has started, and not run again.
func TestHookTimeout(t *testing.T) {
	a := newAlerting(t, recordBegun, recordEnded)
	a.file("hook", "#!/bin/sh\necho $$ >"+a.told+"\nsleep 1000 & wait\n", 0o755)
	began := time.Now()
	require.Equal(t, ExitWrong, a.answer(t.Context(), 300*time.Millisecond))
	require.Less(t, time.Since(began), 20*time.Second)
	require.Contains(t, a.said.String(), "did not end within 300ms (hook_timeout) and was killed, with its process group\n")
	group := strings.TrimSpace(a.heard())
	require.Eventually(t, func() bool {
		_, err := os.Stat("/proc/" + group)
		return os.IsNotExist(err)
	}, 5*time.Second, 10*time.Millisecond)
	require.Equal(t, ExitWell, a.answer(t.Context(), time.Minute), "at most once, whatever became of it")
}

func TestHookThatFails(t *testing.T) {
	a := newAlerting(t, recordBegun, recordEnded)
	a.file("hook", "#!/bin/sh\necho the pool is gone >&2\nexit 7\n", 0o755)
	require.Equal(t, ExitWrong, a.answer(t.Context(), time.Minute))
	require.Contains(t, a.said.String(), "ended with 7 after 0 s: the pool is gone")
}

func TestHooksThatAreRefused(t *testing.T) {
	a := newAlerting(t, recordBegun, recordEnded)
	open := filepath.Join(a.top, "open")
	require.NoError(t, os.Mkdir(open, 0o755))
	require.NoError(t, os.Chmod(open, 0o777))
	a.file("open/hook", "#!/bin/sh\n", 0o755)
	a.file("writable", "#!/bin/sh\n", 0o775)
	a.file("text", "#!/bin/sh\n", 0o644)
	require.NoError(t, os.Symlink(filepath.Join(a.top, "writable"), filepath.Join(a.top, "link")))
	for hook, complaint := range map[string]string{
		"": "the alert has no recipient", "hook": `recipient is "hook", expected the absolute path`, filepath.Join(a.top, "none"): "no such file",
		a.top: "no regular file", filepath.Join(a.top, "text"): "cannot be executed", filepath.Join(a.top, "writable"): "mode 0775, expected that only its owner may write",
		filepath.Join(a.top, "link"): "writable: mode 0775", filepath.Join(open, "hook"): "open: mode 0777",
	} {
		a.hook = hook
		a.said.Reset()
		require.Equal(t, ExitWrong, a.answer(t.Context(), time.Minute), hook)
		require.Contains(t, a.said.String(), complaint, hook)
	}
	require.NoDirExists(t, a.marks, "a hook that is mended may still be told")
}

// Where the mark cannot be kept for sure, the hook is not run.
func TestMarksThatArePlanted(t *testing.T) {
	a := newAlerting(t, recordBegun, recordEnded)
	require.NoError(t, os.Mkdir(a.marks, 0o700))
	require.NoError(t, os.Chmod(a.marks, 0o777))
	require.Equal(t, ExitUnknown, a.answer(t.Context(), time.Minute))
	require.NoError(t, os.Chmod(a.marks, 0o700))
	require.Equal(t, ExitWell, a.answer(t.Context(), time.Minute))
	require.Equal(t, toldOnce, a.heard())

	marks, err := os.ReadDir(a.marks)
	require.NoError(t, err)
	require.Len(t, marks, 1)
	mark := filepath.Join(a.marks, marks[0].Name())
	require.NoError(t, os.Remove(mark))
	require.NoError(t, os.Symlink(filepath.Join(a.top, "elsewhere"), mark))
	require.Equal(t, ExitUnknown, a.answer(t.Context(), time.Minute))
	require.NoFileExists(t, filepath.Join(a.top, "elsewhere"))
	require.Equal(t, toldOnce, a.heard())
}

// What is no promotion, or of another resource, runs nothing and says nothing.
func TestOtherAlerts(t *testing.T) {
	a := newAlerting(t, recordBegun, recordEnded)
	a.event.resource = "vip"
	require.Equal(t, ExitWell, a.answer(t.Context(), time.Minute))
	require.Empty(t, a.heard()+a.said.String())

	for _, change := range []string{
		"CRM_alert_kind=node", "CRM_alert_kind=fencing", "CRM_alert_task=demote", "CRM_alert_task=notify", "CRM_alert_rc=1", "CRM_alert_status=2",
	} {
		name, _, _ := strings.Cut(change, "=")
		env := alertEnv("/nonexistent")
		for n, kv := range env {
			if strings.HasPrefix(kv, name+"=") {
				env[n] = change
			}
		}
		got := runs(t, append(env, "HA_SBIN_DIR=/nonexistent"), AlertArguments()...)
		require.Equal(t, ran{code: ExitWell}, got, change)
	}
	require.Equal(t, ExitUsage, runs(t, nil, "alert").code)
}

// Pacemaker runs alert agents, and with them the hooks, as hacluster.
func TestAlertsAreNotRoots(t *testing.T) {
	var errout bytes.Buffer
	c := &call{Process: Process{Args: AlertArguments(), Environ: alertEnv("/bin/true"), Stderr: &errout}, now: time.Now, uid: func() int { return 0 }}
	code, err := runAlert(t.Context(), c)
	require.Equal(t, ExitUsage, code)
	require.ErrorContains(t, err, "expected hacluster")
}

func TestIsAlert(t *testing.T) {
	require.True(t, IsAlert(nil, alertEnv("/hook")))
	require.True(t, Knows(AlertArguments()))
	require.False(t, IsAlert(nil, nil))
	require.False(t, IsAlert([]string{"monitor"}, alertEnv("/hook")), "an action stays one")
}

func TestHookTimeoutOption(t *testing.T) {
	for text, want := range map[string]time.Duration{"": defaultHookTimeout, "5": 5 * time.Second, "60s": time.Minute, "3600": time.Hour} {
		got, err := hookTimeout(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"0", "-1", "3601", "x", "1m", "99999999999"} {
		got, err := hookTimeout(text)
		require.Error(t, err, text)
		require.Equal(t, defaultHookTimeout, got)
	}
	require.Less(t, patientTool+recordWait+markWait+lastRecordWait+defaultHookTimeout, 30*time.Second, "Pacemaker's default")
}
