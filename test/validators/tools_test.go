//go:build lab

package validators

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pgsqlms/metadata"
)

// spaced puts a tool's output, which is wrapped and indented as the tool likes, on one line.
func spaced(s string) string { return strings.Join(strings.Fields(s), " ") }

func TestCrmResourceShowsTheMetaData(t *testing.T) {
	out := sandbox(t, "crm_resource --show-metadata ocf:heartbeat:pgsqlms")
	require.Equal(t, strings.TrimSpace(sandbox(t, installed+" meta-data")), strings.TrimSpace(out))
}

func TestPcsDescribesTheAgent(t *testing.T) {
	out := spaced(sandbox(t, "pcs resource describe ocf:heartbeat:pgsqlms"))
	for _, p := range metadata.Parameters() {
		name := p.Name
		if p.Unique {
			name += " (unique)"
		}
		require.Contains(t, out, name+": "+p.Long)
	}
	require.Contains(t, out, "demote: interval=0s timeout=120s")
	require.Contains(t, out, "monitor: interval=1s timeout=10s role=Promoted")
	require.Contains(t, out, "monitor: interval=2s timeout=10s role=Unpromoted")
	requireQuiet(t, out)
}

func TestCrmshDescribesTheAgent(t *testing.T) {
	out := spaced(sandbox(t, "crm ra info ocf:heartbeat:pgsqlms"))
	for _, p := range metadata.Parameters() {
		require.Contains(t, out, p.Short+" "+p.Long)
	}
	require.Contains(t, out, "pgport (integer, [5432])")
	require.Contains(t, out, "demote timeout=120s")
	require.Contains(t, out, "monitor timeout=10s interval=1s role=Promoted")
	requireQuiet(t, out)
}

// emptyCluster is a configuration for the tools to work on, with no cluster behind it.
const emptyCluster = `
cibadmin --empty >cib.xml
export CIB_file=/tmp/cib.xml
crm_attribute --type crm_config --name stonith-enabled --update false
`

// Operations that nobody wrote out come from the meta-data: without them pcs monitors one role only.
func TestPcsTakesTheOperationsFromTheMetaData(t *testing.T) {
	out := spaced(sandbox(t, emptyCluster+`
		pcs -f cib.xml resource create pgsqld ocf:heartbeat:pgsqlms pgdata=/data promotable notify=true
		crm_verify -x cib.xml
		pcs -f cib.xml resource config`))
	for _, want := range []string{
		"interval=0s timeout=60s", "interval=0s timeout=120s",
		"interval=1s timeout=10s role=Promoted", "interval=2s timeout=10s role=Unpromoted",
	} {
		require.Contains(t, out, want)
	}
}

// Two resources on one data directory would tear it apart. pcs looks at `unique` only in meta-data of OCF 1.0.
func TestPcsRefusesASecondResourceOnTheSameData(t *testing.T) {
	create := " ocf:heartbeat:pgsqlms pgdata=/data promotable notify=true\n"
	out, code := try(t, emptyCluster+
		"pcs -f cib.xml resource create first"+create+
		"! pcs -f cib.xml resource create second"+create)
	require.Zero(t, code, out)
	require.Contains(t, out, "not unique")
}

// crmsh compares the timeouts given with those of the meta-data, role by role.
func TestCrmshAcceptsTheSuggestedOperations(t *testing.T) {
	out := sandbox(t, emptyCluster+"crm configure primitive pgsqld ocf:heartbeat:pgsqlms params pgdata=/data "+operations()+
		"\ncrm configure clone pgsqld-clone pgsqld meta promotable=true notify=true\ncrm configure show\n")
	require.Contains(t, spaced(out), "op monitor role=Promoted interval=1s timeout=10s")
	require.NotContains(t, out, "advised")
	require.NotContains(t, out, "not found in Resource Agent")
}

func TestCrmshWarnsOfAShortTimeout(t *testing.T) {
	short := strings.Replace(operations(), "op demote timeout=120s", "op demote timeout=119s", 1)
	out := sandbox(t, emptyCluster+"crm configure primitive pgsqld ocf:heartbeat:pgsqlms params pgdata=/data "+short)
	require.Regexp(t, "119s? for demote is smaller than the advised 120s", out)
}

// operations are those of the reference page, on one line.
func operations() string {
	return strings.Join(regexp.MustCompile(`(?m)^op .*$`).FindAllString(metadata.Reference(nil), -1), " ")
}

func requireQuiet(t *testing.T, out string) {
	t.Helper()
	require.NotRegexp(t, "(?i)(error|warning):", out)
}
