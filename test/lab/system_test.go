package lab

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMorePackagesAreAnotherTree(t *testing.T) {
	usual := treeDir("bookworm", nil)
	require.Equal(t, usual, treeDir("bookworm", pacemaker{}.packages()))
	require.Equal(t, usual, treeDir("bookworm", shellAgent{}.packages()))
	require.NotEqual(t, usual, treeDir("bookworm", patroni{}.packages()))
}

func TestShellAgentInTheConfiguration(t *testing.T) {
	text := newCIB("2.1.5", Config{Agent: AgentShell, Sync: true}).configuration()
	require.Contains(t, text, `type="pgsql"`)
	require.Contains(t, text, `name="rep_mode" value="sync"`)
	require.Contains(t, text, `name="node_list" value="n1 n2 n3"`)
	require.Contains(t, text, `name="migration-threshold" value="1"`)
	require.Contains(t, text, `interval="3s" timeout="60s" role="Promoted"`)
	require.NotContains(t, text, "bindir")
	require.Contains(t, newCIB("2.1.5", Config{Agent: AgentShell}).configuration(), `name="rep_mode" value="async"`)
}

// Agents that name the synchronous standby themselves must not find one named.
func TestSynchronousStandbysAreLeftToWhoNamesThem(t *testing.T) {
	nodes := nodesOf(3)
	for _, agent := range []string{AgentShell, AgentPatroni} {
		require.NotContains(t, pgConf(Config{Agent: agent, Sync: true}, treeFacts{PostgreSQL: 15}, nodes, nodes[0]), "synchronous_standby_names")
	}
}

func TestShellAgentIsReadyWithOneCandidate(t *testing.T) {
	s := readyStatus()
	s.system, s.wantsCandidate = shellAgent{}, true
	require.Empty(t, s.Missing())
	n := s.Nodes["n2"]
	n.Score = "-INFINITY"
	s.Nodes["n2"] = n
	require.Equal(t, []string{"a positive promotion score on a standby"}, s.Missing())
	s.wantsCandidate = false
	require.Empty(t, s.Missing())
}

func TestPatroniIsReady(t *testing.T) {
	s := readyStatus()
	s.system, s.DCState = patroni{}, ""
	for name, role := range map[string]string{"n1": "leader", "n2": "sync_standby"} {
		n := s.Nodes[name]
		n.Role, n.Score = role, map[string]string{"n2": "1"}[name]
		s.Nodes[name] = n
	}
	require.Empty(t, s.Missing())
	require.Equal(t, []string{"n3: power"}, s.missing(true))
	s.Online = []string{"n1"}
	require.Equal(t, []string{"n2: running in Patroni"}, s.Missing())
}

func TestPatroniConf(t *testing.T) {
	c := Config{Agent: AgentPatroni, Sync: true, Patroni: PatroniConfig{LoopWait: 2 * time.Second}}.withDefaults()
	require.Equal(t, map[string]string{
		"ttl": "20", "loop_wait": "2", "retry_timeout": "3", "primary_start_timeout": "0", "synchronous_mode": "true",
		"etcd heartbeat-interval": "100ms", "etcd election-timeout": "1s",
	}, c.Patroni.settings(c.Sync))
	require.Equal(t, 300, c.Patroni.dynamic(false)["primary_start_timeout"], "a failover could lose commits")

	nodes := nodesOf(3)
	text, err := json.Marshal(patroniConf(treeFacts{PostgreSQL: 15}, nodes, nodes[1]))
	require.NoError(t, err)
	require.Contains(t, string(text), `"hosts":["10.77.0.11:2379","10.77.0.12:2379","10.77.0.13:2379"]`)
	require.Contains(t, string(text), `"connect_address":"10.77.0.12:5432"`)
	text, err = json.Marshal(etcdConf(c, nodes, nodes[1]))
	require.NoError(t, err)
	require.Contains(t, string(text), `"initial-cluster":"n1=http://10.77.0.11:2380,n2=http://10.77.0.12:2380,n3=http://10.77.0.13:2380"`)
	require.Contains(t, string(text), `"election-timeout":1000`)
}

// What a connection string has beside its time-outs is nobody's business.
func TestReadDatabaseSettings(t *testing.T) {
	const rows = `shared_buffers=64MB
wal_sender_timeout=5s
primary_conninfo=host=10.77.0.100 password=secret connect_timeout=3 keepalives_idle = '2' application_name=n1`
	require.Equal(t, map[string]string{"shared_buffers": "64MB", "wal_sender_timeout": "5s", "connect_timeout": "3", "keepalives_idle": "2"},
		readDatabaseSettings(rows))
	require.Empty(t, readDatabaseSettings(""))
}

func TestSettingsAreToldWithTheirTimeouts(t *testing.T) {
	settings := func(agent string) map[string]string {
		return (&Lab{plan: plan{Config: Config{Agent: agent, FenceReboot: 4 * time.Second}.withDefaults()}}).Settings()
	}
	require.Equal(t, "15s (timeout 10s)", settings(AgentPAF)["monitor Promoted"])
	require.Equal(t, "3s (timeout 60s)", settings(AgentShell)["monitor Promoted"])
	require.Equal(t, "4s", settings(AgentPAF)["power back after a fencing"])
	require.Equal(t, "5s", settings(AgentPAF)["dc-deadtime"])
}

func TestEtcdLeader(t *testing.T) {
	for text, leads := range map[string]bool{
		`{"header":{"member_id":"12"},"leader":"12"}`: true,
		`{"header":{"member_id":"12"},"leader":"13"}`: false,
		`{"header":{"member_id":"12"}}`:               false,
		`{}`:                                          false,
	} {
		var s etcdStatus
		require.NoError(t, json.Unmarshal([]byte(text), &s))
		require.Equal(t, leads, s.leads(), text)
	}
}

func TestPackages(t *testing.T) {
	const status = "Package: pacemaker\nVersion: 2.1.5-1+deb12u1\n\nPackage: postgresql-15\nVersion: 15.18-0+deb12u1\n\nPackage: vim\nVersion: 9\n"
	require.Equal(t, map[string]string{"pacemaker": "2.1.5-1+deb12u1", "postgresql-15": "15.18-0+deb12u1"}, packages(status, 15))
}

func TestReserve(t *testing.T) {
	t.Setenv("PGSQLMS_LAB_STATE", t.TempDir())
	release, err := Reserve("x")
	require.NoError(t, err)
	_, err = Reserve("x")
	require.ErrorContains(t, err, "another program's")
	other, err := Reserve("y")
	require.NoError(t, err)
	other()
	release()
	release, err = Reserve("x")
	require.NoError(t, err)
	release()
	_, err = Reserve("../x")
	require.Error(t, err)
}

func TestMaintenanceMode(t *testing.T) {
	for on, want := range map[bool]string{true: `{"pause":true}`, false: `{"pause":null}`} {
		text, err := json.Marshal(maintenance(on))
		require.NoError(t, err)
		require.Equal(t, want, string(text))
	}
	for text, want := range map[string]bool{`{"state": "running", "pause": true}`: true, `{"state": "running"}`: false} {
		var s patroniStatus
		require.NoError(t, json.Unmarshal([]byte(text), &s))
		require.Equal(t, want, s.Pause, text)
	}
}
