package metadata

import (
	"fmt"
	"strings"
	"time"
)

// What the agent is, in a few words and in whole sentences.
const (
	shortDescription = "PostgreSQL streaming replication as a promotable clone"
	longDescription  = `Manages one PostgreSQL instance per node, joined by streaming replication, as a promotable clone: ` +
		`the promoted instance is the primary, the others are its standbys. ` +
		`When the primary is lost, the standby that has received most of its WAL is promoted.

Replication itself is set up by the administrator, with a primary_conninfo whose application_name is the name of the ` +
		`node and with recovery_target_timeline = latest. The clone needs notify=true, and fencing has to work.`
)

// XML renders the meta-data. version is the version of the agent's own software.
//
// The order of the elements, and what is left out, is the part on which ra-api-1.dtd, the schema of resource-agents,
// the one of OCF 1.1 and those of pcs agree.
func XML(version string) string {
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\"?>\n") // an encoding here, and crmsh takes it for no XML at all
	b.WriteString("<!DOCTYPE resource-agent SYSTEM \"ra-api-1.dtd\">\n")
	fmt.Fprintf(&b, "<resource-agent name=\"%s\" version=\"%s\">\n", escape(Name), escape(version))
	fmt.Fprintf(&b, "<version>%s</version>\n", ocfVersion)
	writeDescriptions(&b, longDescription, shortDescription)
	b.WriteString("<parameters>\n")
	for _, p := range parameters {
		writeParameter(&b, p)
	}
	b.WriteString("</parameters>\n<actions>\n")
	for _, a := range actions {
		writeAction(&b, a)
	}
	b.WriteString("</actions>\n</resource-agent>\n")
	return b.String()
}

func writeDescriptions(b *strings.Builder, long, short string) {
	fmt.Fprintf(b, "<longdesc lang=\"en\">\n%s\n</longdesc>\n", escape(long))
	fmt.Fprintf(b, "<shortdesc lang=\"en\">%s</shortdesc>\n", escape(short))
}

func writeParameter(b *strings.Builder, p Parameter) {
	fmt.Fprintf(b, "<parameter name=\"%s\" unique=\"%s\" required=\"%s\">\n", escape(p.Name), bit(p.Unique), bit(p.Required))
	writeDescriptions(b, p.Long, p.Short)
	fmt.Fprintf(b, "<content type=\"%s\"", p.Type)
	if p.Default != "" {
		fmt.Fprintf(b, " default=\"%s\"", escape(p.Default))
	}
	b.WriteString("/>\n</parameter>\n")
}

func writeAction(b *strings.Builder, a Action) {
	fmt.Fprintf(b, "<action name=\"%s\" timeout=\"%s\"", escape(a.Name), seconds(a.Timeout))
	if a.Interval > 0 {
		fmt.Fprintf(b, " interval=\"%s\"", seconds(a.Interval))
	}
	if a.Role != RoleAny {
		fmt.Fprintf(b, " role=\"%s\"", a.Role)
	}
	b.WriteString("/>\n")
}

// seconds prints a duration the way the cluster's tools like it best: whole seconds with their unit.
func seconds(d time.Duration) string { return fmt.Sprintf("%ds", int(d/time.Second)) }

func bit(v bool) string {
	if v {
		return "1"
	}
	return "0"
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

func escape(s string) string { return escaper.Replace(s) }
