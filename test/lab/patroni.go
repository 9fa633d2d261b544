package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
)

// patroni is Patroni on every node, with an etcd of as many members beside it.
// No node is fenced. The clients' address is moved by Patroni's own callback.
type patroni struct{}

const (
	patroniScope = "lab"
	patroniPort  = "8008"
	etcdPort     = "2379"
	etcdPeerPort = "2380"
	vipHelper    = "/usr/local/sbin/lab-vip" // the callback
)

// PatroniConfig are the settings that decide how soon Patroni acts. The zero
// value of every field means its default: what the documentation has as the
// least, and etcd's own.
type PatroniConfig struct {
	TTL           time.Duration // of the leader's key: 20 s
	LoopWait      time.Duration // 1 s
	RetryTimeout  time.Duration // 3 s
	EtcdHeartbeat time.Duration // 100 ms
	EtcdElection  time.Duration // 1 s
}

func (p PatroniConfig) withDefaults() PatroniConfig {
	def(&p.TTL, 20*time.Second)
	def(&p.LoopWait, time.Second)
	def(&p.RetryTimeout, 3*time.Second)
	def(&p.EtcdHeartbeat, 100*time.Millisecond)
	def(&p.EtcdElection, time.Second)
	return p
}

// dynamic is the configuration that Patroni keeps in etcd. With synchronous
// replication a crashed primary is not waited for: its documentation advises
// against that only where a failover loses commits.
func (p PatroniConfig) dynamic(sync bool) map[string]any {
	start := 300
	if sync {
		start = 0
	}
	return map[string]any{
		"ttl": int(p.TTL.Seconds()), "loop_wait": int(p.LoopWait.Seconds()), "retry_timeout": int(p.RetryTimeout.Seconds()),
		"maximum_lag_on_failover": 1048576, "primary_start_timeout": start, "synchronous_mode": sync,
		"postgresql": map[string]any{"use_pg_rewind": true},
	}
}

func (p PatroniConfig) settings(sync bool) map[string]string {
	s := map[string]string{"etcd heartbeat-interval": ms(p.EtcdHeartbeat), "etcd election-timeout": ms(p.EtcdElection)}
	d := p.dynamic(sync)
	for _, name := range []string{"ttl", "loop_wait", "retry_timeout", "primary_start_timeout", "synchronous_mode"} {
		s[name] = fmt.Sprint(d[name])
	}
	return s
}

func (patroni) packages() []string { return []string{"etcd-server", "patroni", "python3-etcd"} }
func (patroni) services() string   { return "peer" }

func (p patroni) steps(l *Lab) []step {
	return []step{
		{"etcd", func(ctx context.Context) error { return p.startEtcd(ctx, l) }},
		{"patroni", func(ctx context.Context) error { return p.start(ctx, l) }},
	}
}

// etcdConf and patroniConf are JSON, which YAML is a superset of.
func etcdConf(c Config, nodes []Node, n Node) map[string]any {
	var members []string
	for _, m := range nodes {
		members = append(members, m.Name+"="+peerURL(m))
	}
	return map[string]any{
		"name": n.Name, "data-dir": "/var/lib/etcd/lab",
		"listen-peer-urls": peerURL(n), "initial-advertise-peer-urls": peerURL(n),
		"listen-client-urls": clientURL(n), "advertise-client-urls": clientURL(n),
		"initial-cluster": strings.Join(members, ","), "initial-cluster-state": "new",
		"enable-grpc-gateway": true, // Patroni's way in; the default, but not with a file
		"heartbeat-interval":  c.Patroni.EtcdHeartbeat.Milliseconds(), "election-timeout": c.Patroni.EtcdElection.Milliseconds(),
	}
}

func peerURL(n Node) string   { return "http://" + n.Addr + ":" + etcdPeerPort }
func clientURL(n Node) string { return "http://" + n.Addr + ":" + etcdPort }

func patroniConf(f treeFacts, nodes []Node, n Node) map[string]any {
	var hosts []string
	for _, m := range nodes {
		hosts = append(hosts, m.Addr+":"+etcdPort)
	}
	rest := n.Addr + ":" + patroniPort
	return map[string]any{
		"scope": patroniScope, "name": n.Name,
		"restapi": map[string]any{"listen": rest, "connect_address": rest},
		"etcd3":   map[string]any{"hosts": hosts},
		"postgresql": map[string]any{
			"listen": "*:" + pgPort, "connect_address": n.Addr + ":" + pgPort, "use_unix_socket": true,
			"data_dir": f.pgdata(), "bin_dir": f.bindir(), "config_dir": f.pgconf(), "pgpass": "/tmp/pgpass",
			"authentication": map[string]any{
				"superuser":   map[string]any{"username": "postgres"},
				"replication": map[string]any{"username": replUser},
				"rewind":      map[string]any{"username": replUser},
			},
			"parameters": map[string]any{"unix_socket_directories": "/var/run/postgresql"},
			"callbacks":  map[string]any{"on_start": vipHelper, "on_stop": vipHelper, "on_role_change": vipHelper},
		},
	}
}

func (patroni) equip(l *Lab, n Node) error {
	helper, err := os.ReadFile(l.helper())
	if err != nil {
		return err
	}
	// Patroni runs as postgres, and an address needs root.
	if err := l.WriteFile(n.Name, vipHelper, helper, 0o755|os.ModeSetuid, ""); err != nil {
		return err
	}
	for path, conf := range map[string]map[string]any{
		"/etc/etcd.yml":           etcdConf(l.plan.Config, l.Nodes(), n),
		"/etc/patroni/config.yml": patroniConf(l.plan.Facts, l.Nodes(), n),
	} {
		text, err := json.MarshalIndent(conf, "", "  ")
		if err != nil {
			return err
		}
		if err := l.WriteFile(n.Name, path, text, 0o644, ""); err != nil {
			return err
		}
	}
	return nil
}

func (p patroni) startEtcd(ctx context.Context, l *Lab) error {
	err := l.eachNode(func(n Node) error {
		_, err := l.Run(ctx, n.Name, helperPath, cmdServices, "etcd")
		return err
	})
	if err != nil {
		return err
	}
	return await(ctx, 30*time.Second, 100*time.Millisecond, func() error {
		return l.eachNode(func(n Node) error {
			var health struct{ Health string }
			if err := l.ask(ctx, n, http.MethodGet, etcdPort, "/health", nil, &health); err != nil {
				return err
			}
			if health.Health != "true" {
				return fmt.Errorf("etcd of %s: health %q", n.Name, health.Health)
			}
			return nil
		})
	})
}

// start begins with the node that has the primary's data, as Patroni's
// documentation asks when it takes over databases that are there.
func (p patroni) start(ctx context.Context, l *Lab) error {
	// Patroni's own copy of what it keeps in etcd: with it the settings count from the first moment.
	dynamic, err := json.Marshal(l.plan.Config.Patroni.dynamic(l.plan.Config.Sync))
	if err != nil {
		return err
	}
	for i, n := range l.Nodes() {
		if err := l.WriteFile(n.Name, l.PGData()+"/patroni.dynamic.json", dynamic, 0o600, "postgres"); err != nil {
			return err
		}
		if _, err := l.Run(ctx, n.Name, helperPath, cmdServices, "patroni"); err != nil {
			return err
		}
		if i > 0 {
			continue
		}
		if err := await(ctx, time.Minute, 100*time.Millisecond, func() error { _, err := l.Primary(ctx); return err }); err != nil {
			return err
		}
	}
	if _, err := l.power(ctx, powerRequest{Op: "autostart", Services: true}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, l.plan.Config.ReadyTimeout)
	defer cancel()
	return l.WaitReady(ctx)
}

// ask makes a request of a service on a node, from the node itself, and reads the JSON of the answer.
func (l *Lab) ask(ctx context.Context, n Node, method, port, path string, body, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+n.Addr+":"+port+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	transport := &http.Transport{DialContext: l.Dialer(n.Name), DisableKeepAlives: true}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s %s on %s: %s: %s", method, path, n.Name, res.Status, bytes.TrimSpace(got))
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(got, answer)
}

// patroniMember is what Patroni tells of one node.
type patroniMember struct{ Name, Role, State string }

func (patroni) look(ctx context.Context, l *Lab, s *Status) {
	var cluster struct{ Members []patroniMember }
	for _, n := range l.Nodes() {
		if p := s.Nodes[n.Name]; !p.Powered || p.Frozen {
			continue
		}
		short, cancel := context.WithTimeout(ctx, 3*time.Second)
		err := l.ask(short, n, http.MethodGet, patroniPort, "/cluster", nil, &cluster)
		cancel()
		if err == nil {
			break
		}
	}
	s.DC = l.etcdLeader(ctx, s)
	sync := l.plan.Config.Sync
	for _, m := range cluster.Members {
		n, ok := s.Nodes[m.Name]
		if !ok {
			continue
		}
		s.Online = append(s.Online, m.Name)
		n.Role, n.Failed = m.Role, m.State != "running" && m.State != "streaming"
		if n.Streaming && (!sync || m.Role == "sync_standby" && n.SyncState == "sync") {
			n.Score = "1"
		}
		if n.HasVIP {
			s.VIPNode = m.Name
		}
		s.Nodes[m.Name] = n
	}
}

// etcdStatus is what an etcd tells of itself.
type etcdStatus struct {
	Header struct {
		MemberID string `json:"member_id"`
	} `json:"header"`
	Leader string `json:"leader"`
}

// etcdLeader is the node whose etcd leads: with it the others lose the time of
// an election. "" when none says so.
func (l *Lab) etcdLeader(ctx context.Context, s *Status) string {
	for _, n := range l.Nodes() {
		if p := s.Nodes[n.Name]; !p.Powered || p.Frozen {
			continue
		}
		short, cancel := context.WithTimeout(ctx, 3*time.Second)
		var one etcdStatus
		err := l.ask(short, n, http.MethodPost, etcdPort, "/v3/maintenance/status", map[string]any{}, &one)
		cancel()
		if err == nil && one.leads() {
			return n.Name
		}
	}
	return ""
}

func (e etcdStatus) leads() bool { return e.Leader != "" && e.Leader == e.Header.MemberID }

func (patroni) missing(s *Status) []string {
	var out []string
	candidates := 0
	for _, name := range slices.Sorted(maps.Keys(s.Nodes)) {
		n := s.Nodes[name]
		if !n.Powered {
			continue
		}
		if !contains(s.Online, name) || n.Failed {
			out = append(out, name+": running in Patroni")
		}
		if n.SQL == "primary" && n.Role != "leader" {
			out = append(out, fmt.Sprintf("%s: it is the primary, but %q in Patroni, not leader", name, n.Role))
		}
		candidates += atoi(n.Score)
	}
	if candidates == 0 {
		out = append(out, "a standby that Patroni would promote")
	}
	return out
}

func (patroni) startMove(ctx context.Context, l *Lab, node string) error {
	primary, err := l.Primary(ctx)
	if err != nil {
		return err
	}
	n, err := l.node(primary)
	if err != nil {
		return err
	}
	return l.ask(ctx, n, http.MethodPost, patroniPort, "/switchover", map[string]string{"leader": primary, "candidate": node}, nil)
}

func (patroni) clearMove(context.Context, *Lab, string) error { return nil }

// mend gives the power back: nobody fences, so nobody else does.
func (patroni) mend(ctx context.Context, l *Lab, node string) error { return l.Boot(ctx, node) }

// leaveReplay is Patroni's maintenance mode. Without it every replica resumes a
// paused replay in each of its loops.
func (patroni) leaveReplay(ctx context.Context, l *Lab, leave bool) error {
	nodes := l.Nodes()
	if err := l.ask(ctx, nodes[0], http.MethodPatch, patroniPort, "/config", maintenance(leave), nil); err != nil {
		return err
	}
	// Each takes it over in its next loop.
	return await(ctx, 10*l.plan.Config.Patroni.LoopWait, 20*time.Millisecond, func() error {
		return l.eachNode(func(n Node) error {
			var member patroniStatus
			if err := l.ask(ctx, n, http.MethodGet, patroniPort, "/patroni", nil, &member); err != nil {
				return err
			}
			if member.Pause != leave {
				return fmt.Errorf("patroni of %s: maintenance mode %v, expected %v", n.Name, member.Pause, leave)
			}
			return nil
		})
	})
}

// maintenance is the change of Patroni's configuration; null takes a setting out.
func maintenance(on bool) map[string]any {
	if on {
		return map[string]any{"pause": true}
	}
	return map[string]any{"pause": nil}
}

// patroniStatus is what Patroni tells of itself. Pause is there only while it is so.
type patroniStatus struct {
	Pause bool `json:"pause"`
}

func (patroni) rebuild(ctx context.Context, l *Lab, _, node string) error {
	n, err := l.node(node)
	if err != nil {
		return err
	}
	return l.ask(ctx, n, http.MethodPost, patroniPort, "/reinitialize", map[string]bool{"force": true}, nil)
}
