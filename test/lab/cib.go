package lab

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// cib renders the cluster's configuration for one Pacemaker version.
type cib struct {
	cfg   Config
	facts treeFacts
	nodes []Node
}

// resourceParams are the PostgreSQL resource's parameters: where the tree's
// package keeps things, and what the caller wants different.
func (c cib) resourceParams() map[string]string {
	if c.cfg.Agent == AgentShell {
		return merged(c.shellParams(), c.cfg.Params)
	}
	return merged(map[string]string{
		"bindir":     c.facts.bindir(),
		"pgdata":     c.facts.pgdata(),
		"pghost":     "/var/run/postgresql",
		"start_opts": "-c config_file=" + c.facts.pgconf() + "/postgresql.conf",
	}, c.cfg.Params)
}

func (c cib) properties() map[string]string {
	return merged(map[string]string{
		"cluster-name":    c.cfg.Name,
		"stonith-enabled": "true",
		// The default, 20 s, is what a cluster waits at its start for nodes that do not answer.
		"dc-deadtime": fmt.Sprintf("%dms", c.cfg.DCDeadtime.Milliseconds()),
		// Above it Pacemaker runs one action after the other. Each node of a lab takes the whole machine's load for its own.
		"load-threshold": "10000%",
	}, c.cfg.Props)
}

// crmConfig renders the cluster's properties.
func (c cib) crmConfig() string {
	return "<crm_config>" +
		nvset("cluster_property_set", "cib-bootstrap-options", c.properties()) +
		"</crm_config>"
}

// configuration renders all that the cluster is to know, so that it can be
// loaded in one go: the first transition then knows every rule.
func (c cib) configuration() string {
	var b strings.Builder
	b.WriteString("<configuration>" + c.crmConfig() + "<nodes>")
	for _, n := range c.nodes {
		fmt.Fprintf(&b, `<node id="%d" uname="%s"/>`, n.ID, n.Name)
	}
	b.WriteString("</nodes><resources>" + c.fenceDevice())
	if !c.cfg.NoResources {
		b.WriteString(c.clone() + c.vip())
	}
	b.WriteString("</resources><constraints>")
	if !c.cfg.NoResources {
		b.WriteString(c.constraints())
	}
	b.WriteString(c.cfg.Constraints + "</constraints><rsc_defaults>")
	b.WriteString(nvset("meta_attributes", "rsc-options", c.cfg.RscMeta))
	b.WriteString("</rsc_defaults></configuration>")
	return b.String()
}

func (c cib) fenceDevice() string {
	return `<primitive id="` + FenceResource + `" class="stonith" type="` + fenceAgent + `">` +
		`<operations>` + operation(FenceResource, Op{Name: "monitor", Interval: time.Minute, Timeout: 20 * time.Second}) + `</operations>` +
		`</primitive>`
}

func (c cib) clone() string {
	meta := merged(map[string]string{"notify": "true", "promotable": "true", "promoted-max": "1"}, c.cfg.CloneMeta)
	var ops strings.Builder
	for _, op := range c.cfg.Ops {
		op.Role = c.role(op.Role)
		ops.WriteString(operation(Resource, op))
	}
	return `<clone id="` + CloneResource + `">` +
		nvset("meta_attributes", CloneResource+"-meta", meta) +
		`<primitive id="` + Resource + `" class="ocf" provider="heartbeat" type="` + c.agentType() + `">` +
		nvset("instance_attributes", Resource+"-params", c.resourceParams()) +
		`<operations>` + ops.String() + `</operations></primitive></clone>`
}

func (c cib) agentType() string { return filepath.Base(agentPathOf(c.cfg.Agent)) }

func (c cib) vip() string {
	return `<primitive id="` + VIPResource + `" class="ocf" provider="heartbeat" type="IPaddr2">` +
		nvset("instance_attributes", VIPResource+"-params", map[string]string{"ip": vipAddr, "cidr_netmask": fmt.Sprint(netBits)}) +
		`<operations>` +
		operation(VIPResource, Op{Name: "start", Timeout: 20 * time.Second}) +
		operation(VIPResource, Op{Name: "stop", Timeout: 20 * time.Second}) +
		operation(VIPResource, Op{Name: "monitor", Interval: 10 * time.Second, Timeout: 20 * time.Second}) +
		`</operations></primitive>`
}

// constraints ties the address to the promoted role as PAF's documentation does.
func (c cib) constraints() string {
	return fmt.Sprintf(`<rsc_colocation id="vip-with-primary" rsc="%[1]s" with-rsc="%[2]s" with-rsc-role="%[3]s" score="INFINITY"/>`+
		`<rsc_order id="promote-then-vip" first="%[2]s" first-action="promote" then="%[1]s" then-action="start" symmetrical="false" kind="Mandatory"/>`+
		`<rsc_order id="demote-then-vip-stop" first="%[2]s" first-action="demote" then="%[1]s" then-action="stop" symmetrical="false" kind="Mandatory"/>`,
		VIPResource, CloneResource, c.role("Promoted"))
}

// role spells a role as this Pacemaker does.
func (c cib) role(r string) string {
	if !c.facts.oldRoles() {
		return r
	}
	switch r {
	case "Promoted":
		return "Master"
	case "Unpromoted":
		return "Slave"
	}
	return r
}

func operation(rsc string, op Op) string {
	id := strings.ToLower(strings.Join([]string{rsc, op.Name, op.Role, op.Interval.String()}, "-"))
	role := ""
	if op.Role != "" {
		role = ` role="` + op.Role + `"`
	}
	return fmt.Sprintf(`<op id="%s" name="%s" interval="%s" timeout="%s"%s/>`, id, op.Name, ms(op.Interval), ms(op.Timeout), role)
}

func ms(d time.Duration) string {
	if d%time.Second == 0 {
		return fmt.Sprintf("%ds", d/time.Second)
	}
	return fmt.Sprintf("%dms", d.Milliseconds())
}

// nvset renders a set of names and values; values come from callers and are escaped.
func nvset(element, id string, values map[string]string) string {
	if len(values) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<%s id="%s">`, element, id)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(&b, `<nvpair id="%s-%s" name="%s" value="%s"/>`, id, name, name, xmlEscape(values[name]))
	}
	fmt.Fprintf(&b, "</%s>", element)
	return b.String()
}

var xmlEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "\n", "&#10;", "\t", "&#9;")

func xmlEscape(s string) string { return xmlEscaper.Replace(s) }

// withCrmConfig puts the cluster's properties into an empty CIB.
func withCrmConfig(empty, crmConfig string) (string, error) {
	const hole = "<crm_config/>"
	if strings.Count(empty, hole) != 1 {
		return "", fmt.Errorf("an empty CIB without %s: %s", hole, empty)
	}
	return strings.Replace(empty, hole, crmConfig, 1), nil
}
