package lab

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const monSample = `<pacemaker-result api-version="2.25">
 <summary><current_dc present="true" name="n3" id="3"/></summary>
 <nodes><node name="n1" id="1" online="true"/><node name="n2" id="2" online="false"/><node name="n3" id="3" online="true"/></nodes>
 <resources>
  <resource id="fencing" role="Started" failed="false"><node name="n1"/></resource>
  <clone id="pgsqld-clone">
   <resource id="pgsqld" role="Promoted" failed="false"><node name="n1"/></resource>
   <resource id="pgsqld:1" role="Slave" failed="true"><node name="n3"/></resource>
   <resource id="pgsqld" role="Stopped" failed="false"/>
  </clone>
  <group id="g"><resource id="pgsql-vip" role="Started" failed="false"><node name="n1"/></resource></group>
 </resources>
 <failures><failure op_key="pgsqld_monitor_15000" node="n1" exitstatus="error" exitreason="Instance &amp;quot;x&amp;quot; crashed"/></failures>
</pacemaker-result>`

func TestParseCrmMon(t *testing.T) {
	c, err := parseCrmMon(monSample)
	require.NoError(t, err)
	require.Equal(t, "n3", c.DC)
	require.Equal(t, []string{"n1", "n3"}, c.Online)
	require.Equal(t, map[string]string{"n1": "Promoted", "n3": "Unpromoted"}, c.roles)
	require.True(t, c.failed["n3"])
	require.False(t, c.failed["n1"])
	require.Equal(t, "n1", c.VIPNode)
	require.Equal(t, []string{`pgsqld_monitor_15000 on n1: error Instance "x" crashed`}, c.Failures)

	_, err = parseCrmMon("Connection to cluster failed")
	require.ErrorContains(t, err, "crm_mon")
}

func TestParseAttributes(t *testing.T) {
	got, err := parseAttributes(`<cib><configuration><nodes>
<node id="1" uname="n1"><instance_attributes id="a"><nvpair name="master-pgsqld" value="1001"/></instance_attributes></node>
<node id="2" uname="n2"><instance_attributes id="b"><nvpair name="master-pgsqld" value="990"/><nvpair name="other" value="7"/></instance_attributes></node>
<node id="3" uname="n3"/></nodes></configuration>
<status><node_state uname="n2"><transient_attributes id="2"><instance_attributes id="s"><nvpair name="master-pgsqld" value="-1"/></instance_attributes></transient_attributes></node_state></status></cib>`)
	require.NoError(t, err)
	require.Equal(t, map[string]map[string]string{"n1": {"master-pgsqld": "1001"}, "n2": {"master-pgsqld": "-1", "other": "7"}}, got)
}

func TestDCState(t *testing.T) {
	require.Equal(t, "S_IDLE", dcState.FindString("Controller on n3 in state S_IDLE: ok"))
	require.Equal(t, "S_NOT_DC", dcState.FindString("Status of crmd@n1: S_NOT_DC (ok)"))
}

func readyStatus() *Status {
	return &Status{
		DC: "n1", DCState: "S_IDLE", Online: []string{"n1", "n2"}, VIPNode: "n1",
		Nodes: map[string]NodeStatus{
			"n1": {PowerState: PowerState{Powered: true}, Role: "Promoted", SQL: "primary", Score: "1001", HasVIP: true},
			"n2": {PowerState: PowerState{Powered: true}, Role: "Unpromoted", SQL: "standby", Score: "1000", Streaming: true},
			"n3": {},
		},
	}
}

func TestMissing(t *testing.T) {
	require.Empty(t, readyStatus().Missing())
	require.Equal(t, []string{"n3: power"}, readyStatus().missing(true))

	changed := func(node string, f func(*NodeStatus)) *Status {
		s := readyStatus()
		n := s.Nodes[node]
		f(&n)
		s.Nodes[node] = n
		return s
	}
	for want, s := range map[string]*Status{
		"found: n1 n2":             changed("n2", func(n *NodeStatus) { n.SQL, n.Role = "primary", "Promoted" }),
		"found: none":              changed("n1", func(n *NodeStatus) { n.SQL = "no answer" }),
		"n2: streaming":            changed("n2", func(n *NodeStatus) { n.Streaming = false }),
		"n2: a positive promotion": changed("n2", func(n *NodeStatus) { n.Score = "0" }),
		"the VIP":                  changed("n1", func(n *NodeStatus) { n.HasVIP = false }),
		"marked failed":            changed("n2", func(n *NodeStatus) { n.Failed = true }),
		"not Promoted":             changed("n1", func(n *NodeStatus) { n.Role = "Unpromoted" }),
	} {
		require.Contains(t, strings.Join(s.Missing(), "\n"), want)
	}
	busy := readyStatus()
	busy.DCState = "S_TRANSITION_ENGINE"
	require.Len(t, busy.Missing(), 1)
	alone := readyStatus()
	alone.Online = []string{"n1"}
	require.Equal(t, []string{"n2: online in Pacemaker"}, alone.Missing())
}

func TestMirrorIn(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"one line":         {"# x\ndeb http://m.example/debian bookworm main\n", "http://m.example/debian"},
		"options":          {"deb [arch=amd64 signed-by=/x] https://m.example/debian bookworm main\n", "https://m.example/debian"},
		"other suite":      {"deb http://m.example/debian bookworm-updates main\n", ""},
		"source only":      {"deb-src http://m.example/debian bookworm main\n", ""},
		"not a mirror":     {"deb cdrom:[x]/ bookworm main\n", ""},
		"deb822":           {"Types: deb\nURIs: http://m.example/debian\nSuites: bookworm bookworm-updates\n", "http://m.example/debian"},
		"second paragraph": {"Types: deb\nURIs: http://a.example/x\nSuites: other\n\nTypes: deb\nURIs: http://b.example/y\nSuites: bookworm\n", "http://b.example/y"},
		"empty":            {"", ""},
	} {
		require.Equal(t, c.want, mirrorIn(c.text, "bookworm"), name)
	}
}

func TestAptValue(t *testing.T) {
	dump := "Acquire \"\";\nAcquire::http::Proxy \"http://p.example:3128\";\nAcquire::https::Proxy \"\";\n"
	require.Equal(t, "http://p.example:3128", aptValue(dump, "Acquire::http::Proxy"))
	require.Empty(t, aptValue(dump, "Acquire::ftp::Proxy"))
}

func TestPackageVersion(t *testing.T) {
	status := "Package: pacemaker-common\nVersion: 9\n\nPackage: pacemaker\nStatus: install ok installed\nVersion: 2.1.5-1+deb12u1\n\nPackage: ra\nVersion: 1:4.12.0-2\n\nPackage: plain\nVersion: 3\n"
	require.Equal(t, "2.1.5", packageVersion(status, "pacemaker"))
	require.Equal(t, "4.12.0", packageVersion(status, "ra"))
	require.Equal(t, "3", packageVersion(status, "plain"))
	require.Empty(t, packageVersion(status, "none"))
	require.Equal(t, "1:4.12.0-2", debianVersion(status, "ra"), "as Debian has it")
}

func TestFenceOptions(t *testing.T) {
	got, err := fenceOptions(nil, strings.NewReader("action=off\nnodename=n2\nport=n2\nunknown=x\n"))
	require.NoError(t, err)
	require.Equal(t, fenceRequest{action: "off", port: "n2"}, got)
	got, err = fenceOptions(nil, strings.NewReader("nodename=n3\n"))
	require.NoError(t, err)
	require.Equal(t, fenceRequest{action: "reboot", port: "n3"}, got)
	got, err = fenceOptions([]string{"-o", "status", "-n", "n1"}, nil)
	require.NoError(t, err)
	require.Equal(t, fenceRequest{action: "status", port: "n1"}, got)
	_, err = fenceOptions([]string{"-o"}, nil)
	require.ErrorContains(t, err, "usage")
}

func TestFenceAgentTells(t *testing.T) {
	rep := powerReply{Nodes: map[string]PowerState{"n2": {Powered: true}, "n1": {}}}
	var out bytes.Buffer
	for _, c := range []struct {
		req  fenceRequest
		code int
	}{
		{fenceRequest{"status", "n1"}, fenceOff},
		{fenceRequest{"status", "n2"}, fenceOK},
		{fenceRequest{"monitor", ""}, fenceOK},
		{fenceRequest{"list", ""}, fenceOK},
	} {
		code, err := c.req.tell(rep, &out)
		require.NoError(t, err)
		require.Equal(t, c.code, code, c.req)
	}
	require.Equal(t, "n1,\nn2,\n", out.String())
	_, err := fenceRequest{"status", "n9"}.tell(rep, &out)
	require.ErrorContains(t, err, "no such node")
}

func TestFenceAgentMetadataNeedsNoPowerSwitch(t *testing.T) {
	var out, errs bytes.Buffer
	require.Zero(t, fenceAgentMain([]string{"-o", "metadata"}, nil, &out, &errs))
	require.Contains(t, out.String(), `<action name="reboot"/>`)
}

func TestConfigValidate(t *testing.T) {
	require.NoError(t, Config{}.withDefaults().validate())
	for want, c := range map[string]Config{
		"lab name":         {Name: "a/../b"},
		"10 nodes":         {Nodes: 10},
		"suite":            {Suite: "../x"},
		"agent under test": {Agent: "/nonexistent/agent"},
		"executable file":  {Agent: t.TempDir()},
	} {
		require.ErrorContains(t, c.withDefaults().validate(), want)
	}
}

func TestConfigDefaultsDoNotShareMaps(t *testing.T) {
	mine := map[string]string{"resource-stickiness": "99"}
	c := Config{RscMeta: mine}.withDefaults()
	require.Equal(t, "99", c.RscMeta["resource-stickiness"])
	require.Equal(t, "5", c.RscMeta["migration-threshold"])
	require.Len(t, mine, 1)
}

func TestPlanSurvivesItsFile(t *testing.T) {
	dir := t.TempDir()
	p := plan{Config: Config{Name: "x", Token: time.Second}.withDefaults(), Tree: "/t", Cgroup: "/c", Facts: treeFacts{"2.1.5", 15}}
	require.NoError(t, p.write(dir))
	got, err := readPlan(dir)
	require.NoError(t, err)
	require.Equal(t, p, got)
	_, err = readPlan(filepath.Join(dir, "none"))
	require.ErrorContains(t, err, "no lab is up")
}

func TestSplitOwner(t *testing.T) {
	u, g, err := splitOwner("postgres")
	require.NoError(t, err)
	require.Equal(t, "postgres:postgres", u+":"+g)
	u, g, err = splitOwner("hacluster:haclient")
	require.NoError(t, err)
	require.Equal(t, "hacluster:haclient", u+":"+g)
	_, _, err = splitOwner("x:")
	require.Error(t, err)
}

func TestResolveTakesNamesAndAddresses(t *testing.T) {
	l := &Lab{plan: plan{Config: Config{Nodes: 3}}}
	for in, want := range map[string]string{"n2:5432": "10.77.0.12:5432", "vip:1": "10.77.0.100:1", "10.1.2.3:4": "10.1.2.3:4"} {
		got, err := l.resolve(in)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := l.resolve("example.org:80")
	require.ErrorContains(t, err, "expected an address")
}

func TestProgressLinesKeepTheEnd(t *testing.T) {
	var said []string
	p := &progressLines{say: func(s string) { said = append(said, s) }, suite: "x"}
	for range 30 {
		_, err := p.Write([]byte("noise\n"))
		require.NoError(t, err)
	}
	_, err := p.Write([]byte("Unpacking a\nE: it "))
	require.NoError(t, err)
	_, err = p.Write([]byte("failed\n"))
	require.NoError(t, err)
	require.Equal(t, []string{"x tree: Unpacking a"}, said)
	require.True(t, strings.HasSuffix(p.last(), "Unpacking a\nE: it failed"))
	require.Equal(t, 15, len(strings.Split(p.last(), "\n")))
}

func TestLockFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := lockFile(t.Context(), path)
	require.NoError(t, err)
	second, err := tryLock(path)
	require.NoError(t, err)
	require.Nil(t, second, "it is held")
	require.NoError(t, first.remove())
	second, err = tryLock(path)
	require.NoError(t, err)
	require.NotNil(t, second, "another file, another lock")
	first.unlock()
	third, err := tryLock(path)
	require.NoError(t, err)
	require.Nil(t, third, "the second lock outlives the first")
	second.unlock()
}
