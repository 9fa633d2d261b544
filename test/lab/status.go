package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Status is the cluster as its own tools and the databases describe it.
type Status struct {
	DC, DCState string   // under Patroni the leader of etcd, which has no state
	Online      []string // in Pacemaker, standby nodes included
	VIPNode     string   // where the VIP resource is active
	Failures    []string // failed actions that Pacemaker remembers
	Nodes       map[string]NodeStatus
	Fencings    int

	system         system // that knows what of this keeps it from being ready
	wantsCandidate bool   // some standby must be one that the system would promote
}

// NodeStatus is one node's part of a Status.
type NodeStatus struct {
	PowerState
	Role      string // of the PostgreSQL resource: Promoted, Unpromoted, Stopped or ""
	Failed    bool   // Pacemaker has the instance as failed
	SQL       string // "primary", "standby", or why there is no answer
	Streaming bool   // so say both it and the primary, of the primary's timeline
	SyncState string // the primary's pg_stat_replication.sync_state
	Score     string // promotion score; "" when unset. Patroni has none: 1 for a standby that it would promote
	HasVIP    bool   // the VIP is on its interface
	// Attributes are those that crm_mon -A shows, the promotion score among them.
	Attributes map[string]string

	timeline string // a primary's, and what a standby's WAL receiver streams
}

// Status looks at everything at once. What cannot be asked is left empty.
func (l *Lab) Status(ctx context.Context) (*Status, error) {
	s, err := l.databaseStatus(ctx)
	if err != nil {
		return nil, err
	}
	s.system = l.system()
	s.system.look(ctx, l, s)
	f, err := l.Fencings()
	s.Fencings = len(f)
	return s, err
}

// databaseStatus is the part of Status that needs no tool of the cluster.
func (l *Lab) databaseStatus(ctx context.Context) (*Status, error) {
	power, err := l.Power(ctx)
	if err != nil {
		return nil, err
	}
	s := &Status{Nodes: map[string]NodeStatus{}}
	var mu sync.Mutex
	_ = l.eachNode(func(n Node) error { // errors are part of what is seen
		ns := l.nodeStatus(ctx, n.Name, power[n.Name])
		mu.Lock()
		defer mu.Unlock()
		s.Nodes[n.Name] = ns
		return nil
	})
	for name, ns := range s.Nodes {
		if ns.SQL == "primary" {
			l.addStreaming(ctx, name, s)
		}
	}
	return s, nil
}

func (l *Lab) nodeStatus(ctx context.Context, node string, p PowerState) NodeStatus {
	ns := NodeStatus{PowerState: p}
	if !p.Powered || p.Frozen {
		return ns
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	ns.SQL, ns.timeline = l.sqlRole(ctx, node)
	_ = l.inNode(node, func() (err error) {
		ns.HasVIP, err = hasAddress(vipAddr)
		return err
	})
	return ns
}

func (l *Lab) isPrimary(ctx context.Context, node string) bool {
	role, _ := l.sqlRole(ctx, node)
	return role == "primary"
}

// roleSQL asks for the timeline as the eight digits of a WAL file's name.
const roleSQL = `select case when pg_is_in_recovery() then 'standby' else 'primary' end,
	case when pg_is_in_recovery() then (select lpad(to_hex(received_tli), 8, '0') from pg_stat_wal_receiver where status = 'streaming')
	else lower(left(pg_walfile_name(pg_current_wal_lsn()), 8)) end`

// sqlRole is what a node's PostgreSQL is, and which timeline it writes or receives, if any.
func (l *Lab) sqlRole(ctx context.Context, node string) (role, timeline string) {
	out, err := l.SQL(ctx, node, roleSQL)
	if err != nil {
		return "no answer", ""
	}
	role, timeline, _ = strings.Cut(out, "|")
	return role, timeline
}

// addStreaming takes neither side's word alone. A primary that was one a moment ago, and a standby with the VIP's address
// between, still lists those who streamed from it then, until wal_sender_timeout.
func (l *Lab) addStreaming(ctx context.Context, primary string, s *Status) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	out, err := l.SQL(ctx, primary, "select application_name, sync_state from pg_stat_replication where state = 'streaming'")
	if err != nil {
		return
	}
	for line := range strings.Lines(out) {
		name, sync, _ := strings.Cut(strings.TrimSpace(line), "|")
		if ns, ok := s.Nodes[name]; ok && ns.timeline == s.Nodes[primary].timeline {
			ns.Streaming, ns.SyncState = true, sync
			s.Nodes[name] = ns
		}
	}
}

// Primary is the one node whose database accepts writes. None, or more than
// one, is an error.
func (l *Lab) Primary(ctx context.Context) (string, error) {
	power, err := l.Power(ctx)
	if err != nil {
		return "", err
	}
	var mu sync.Mutex
	var found []string
	_ = l.eachNode(func(n Node) error {
		if p := power[n.Name]; !p.Powered || p.Frozen || !l.isPrimary(ctx, n.Name) {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		found = append(found, n.Name)
		return nil
	})
	if len(found) != 1 {
		return "", fmt.Errorf("expected one primary, found: %s", orNone(found))
	}
	return found[0], nil
}

// clusterState is what the cluster's tools say.
type clusterState struct {
	DC, DCState string
	Online      []string
	VIPNode     string
	Failures    []string
	roles       map[string]string
	failed      map[string]bool
	attributes  map[string]map[string]string // by node, then by name
}

// scoreAttribute is the promotion score's, as every release of Pacemaker reads it.
const scoreAttribute = "master-" + Resource

// askCluster asks the first node that has power and answers.
func (l *Lab) askCluster(ctx context.Context, nodes map[string]NodeStatus) (*clusterState, error) {
	err := errors.New("no node has power")
	for _, n := range l.Nodes() {
		if p := nodes[n.Name].PowerState; !p.Powered || p.Frozen || p.Cut != "" {
			continue
		}
		var c *clusterState
		if c, err = l.clusterStatus(ctx, n.Name); err == nil {
			return c, nil
		}
	}
	return nil, err
}

func (l *Lab) clusterStatus(ctx context.Context, node string) (*clusterState, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	mon, err := l.Run(ctx, node, "crm_mon", "-1", "--output-as=xml")
	if err != nil {
		return nil, err
	}
	c, err := parseCrmMon(mon)
	if err != nil {
		return nil, err
	}
	dump, err := l.Run(ctx, node, "cibadmin", "--query")
	if err != nil {
		return nil, err
	}
	if c.attributes, err = parseAttributes(dump); err != nil {
		return nil, err
	}
	if c.DC != "" {
		out, _ := l.Run(ctx, node, "crmadmin", "-S", c.DC) // no answer is no state
		c.DCState = dcState.FindString(out)
	}
	return c, nil
}

var dcState = regexp.MustCompile(`\bS_[A-Z_]+`)

// crmMon is the part of crm_mon's XML that the lab reads.
type crmMon struct {
	DC struct {
		Name string `xml:"name,attr"`
	} `xml:"summary>current_dc"`
	Nodes []struct {
		Name   string `xml:"name,attr"`
		Online bool   `xml:"online,attr"`
	} `xml:"nodes>node"`
	Resources struct {
		Plain  []monResource `xml:"resource"`
		Groups []struct {
			Resources []monResource `xml:"resource"`
		} `xml:"group"`
		Clones []struct {
			Resources []monResource `xml:"resource"`
		} `xml:"clone"`
	} `xml:"resources"`
	Failures []struct {
		OpKey  string `xml:"op_key,attr"`
		Node   string `xml:"node,attr"`
		Status string `xml:"exitstatus,attr"`
		Reason string `xml:"exitreason,attr"`
	} `xml:"failures>failure"`
}

type monResource struct {
	ID     string `xml:"id,attr"`
	Role   string `xml:"role,attr"`
	Failed bool   `xml:"failed,attr"`
	Nodes  []struct {
		Name string `xml:"name,attr"`
	} `xml:"node"`
}

func parseCrmMon(text string) (*clusterState, error) {
	var m crmMon
	if err := xml.Unmarshal([]byte(text), &m); err != nil {
		return nil, fmt.Errorf("reading crm_mon's XML: %w", err)
	}
	c := &clusterState{DC: m.DC.Name, roles: map[string]string{}, failed: map[string]bool{}}
	for _, n := range m.Nodes {
		if n.Online {
			c.Online = append(c.Online, n.Name)
		}
	}
	all := m.Resources.Plain
	for _, g := range append(m.Resources.Groups, m.Resources.Clones...) {
		all = append(all, g.Resources...)
	}
	for _, r := range all {
		id, _, _ := strings.Cut(r.ID, ":")
		for _, n := range r.Nodes {
			switch id {
			case Resource:
				c.roles[n.Name], c.failed[n.Name] = newRole(r.Role), r.Failed
			case VIPResource:
				c.VIPNode = n.Name
			}
		}
	}
	for _, f := range m.Failures {
		// Some releases escape the reason twice.
		c.Failures = append(c.Failures, strings.TrimSpace(fmt.Sprintf("%s on %s: %s %s", f.OpKey, f.Node, f.Status, html.UnescapeString(f.Reason))))
	}
	return c, nil
}

// newRole spells the roles of old releases the new way.
func newRole(r string) string {
	switch r {
	case "Master":
		return "Promoted"
	case "Slave":
		return "Unpromoted"
	}
	return r
}

// parseAttributes finds every node's attributes in the CIB. One that lasts until
// the node's reboot counts before one that lasts for ever.
func parseAttributes(cib string) (map[string]map[string]string, error) {
	type attrs struct {
		Pairs []struct {
			Name  string `xml:"name,attr"`
			Value string `xml:"value,attr"`
		} `xml:"instance_attributes>nvpair"`
	}
	var c struct {
		Nodes []struct {
			Uname string `xml:"uname,attr"`
			attrs
		} `xml:"configuration>nodes>node"`
		States []struct {
			Uname string `xml:"uname,attr"`
			Attrs attrs  `xml:"transient_attributes"`
		} `xml:"status>node_state"`
	}
	if err := xml.Unmarshal([]byte(cib), &c); err != nil {
		return nil, fmt.Errorf("reading the CIB: %w", err)
	}
	found := map[string]map[string]string{}
	take := func(node string, a attrs) {
		for _, p := range a.Pairs {
			if found[node] == nil {
				found[node] = map[string]string{}
			}
			found[node][p.Name] = p.Value
		}
	}
	for _, n := range c.Nodes {
		take(n.Uname, n.attrs)
	}
	for _, s := range c.States {
		take(s.Uname, s.Attrs)
	}
	return found, nil
}

// Fencings lists what the nodes' fence agents have asked the power switch for,
// the refused requests too.
func (l *Lab) Fencings() ([]Fencing, error) {
	f, err := os.Open(fencingsFile(l.dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []Fencing
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var one Fencing
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			return out, fmt.Errorf("%s: %w", fencingsFile(l.dir), err)
		}
		out = append(out, one)
	}
	return out, lines.Err()
}
