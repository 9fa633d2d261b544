package lab

import (
	"context"
	"fmt"
	"strings"
)

// Lab is a cluster that is up. It holds nothing but names, so any number of
// programs may have the same one open.
type Lab struct {
	dir  string
	plan plan
	say  func(string)
}

// Open finds the lab called name ("" for "lab"), which another program may have
// brought up.
func Open(name string) (*Lab, error) {
	def(&name, "lab")
	if err := CheckName(name); err != nil {
		return nil, err
	}
	p, err := readPlan(stateDir(name))
	if err != nil {
		return nil, err
	}
	return &Lab{dir: stateDir(name), plan: p, say: quiet(nil)}, nil
}

// Config is what the lab was made from, with the defaults filled in.
func (l *Lab) Config() Config { return l.plan.Config }

// Dir is the directory of the host with all that the lab writes.
func (l *Lab) Dir() string { return l.dir }

// Nodes lists the machines of the cluster.
func (l *Lab) Nodes() []Node { return l.plan.nodes() }

// VIP is the address that follows the promoted role.
func (l *Lab) VIP() string { return vipAddr }

// PGData is the data directory, in every node.
func (l *Lab) PGData() string { return l.plan.Facts.pgdata() }

// PGBin is the directory of PostgreSQL's programs, in every node.
func (l *Lab) PGBin() string { return l.plan.Facts.bindir() }

// PGConf is the directory of PostgreSQL's configuration files, in every node.
func (l *Lab) PGConf() string { return l.plan.Facts.pgconf() }

// PGVersion is PostgreSQL's major version.
func (l *Lab) PGVersion() int { return l.plan.Facts.PostgreSQL }

// PacemakerVersion is the nodes' Pacemaker, as 2.1.5.
func (l *Lab) PacemakerVersion() string { return l.plan.Facts.Pacemaker }

// ResourceParams are the parameters that the lab gives the PostgreSQL resource;
// a test that creates it with pcs or crmsh uses the same.
func (l *Lab) ResourceParams() map[string]string { return l.cib().resourceParams() }

func (l *Lab) cib() cib { return cib{cfg: l.plan.Config, facts: l.plan.Facts, nodes: l.Nodes()} }

func (l *Lab) node(name string) (Node, error) {
	var names []string
	for _, n := range l.Nodes() {
		if n.Name == name {
			return n, nil
		}
		names = append(names, n.Name)
	}
	return Node{}, fmt.Errorf("no node %q in the lab %s; it has %s", name, l.plan.Config.Name, strings.Join(names, ", "))
}

func (l *Lab) power(ctx context.Context, req powerRequest) (powerReply, error) {
	if req.Node != "" {
		if _, err := l.node(req.Node); err != nil {
			return powerReply{}, err
		}
	}
	return powerCall(ctx, powerSocket(l.dir), req)
}
