package metadata

import (
	"fmt"
	"strconv"
	"strings"
)

// Command is one of the words that a person gives to pgsqlms. The rows come from the package that carries them out; this
// one only prints them.
type Command struct {
	Name    string
	Args    string // what may follow the flags, as " [NODE]"
	Purpose string // one line
	Flags   []Flag
	Example string // lines of a shell
}

// Flag is an option of a command.
type Flag struct {
	Name  string // without the two hyphens
	Value string // the name of its value; empty when it has none
	Text  string
}

// CommandExit is an exit code of the commands.
type CommandExit struct {
	Code    int
	Meaning string // without a full stop
}

// The sections of the manual that the pages are in: programs of administrators, and conventions, where resource-agents
// keeps the pages of its agents.
const (
	commandSection = "8"
	agentSection   = "7"
)

// AgentManual renders the page ocf_heartbeat_pgsqlms(7), the name resource-agents gives to the pages of its agents.
func AgentManual(reasons []Reason) string {
	p := newPage("ocf_heartbeat_"+Name, agentSection, shortDescription)
	p.section("SYNOPSIS")
	p.line("`" + Name + "` [" + strings.Join(MethodNames(), " | ") + "]")
	p.section("DESCRIPTION")
	p.text(longDescription)
	writeParameterItems(p)
	writeActionItems(p)
	writeOperationsExample(p)
	writeExitCodeItems(p)
	writeReasonItems(p, reasons)
	writeFiles(p)
	p.section("SEE ALSO")
	p.line("`pgsqlms`(8), `pacemaker`(7), `crm_mon`(8), `crm_resource`(8), `pcs`(8), `crm`(8)")
	return p.String()
}

func writeParameterItems(p *page) {
	p.section("PARAMETERS")
	p.text("None is required. When a unique parameter changes, Pacemaker restarts the instance; when another one does, " +
		"it calls `reload`, and the new value holds from the next action on.")
	for _, param := range parameters {
		kind := string(param.Type)
		if param.Unique {
			kind = "unique " + kind
		}
		p.item(fmt.Sprintf("`%s` (%s; default: %s)", param.Name, kind, strings.ReplaceAll(shownDefault(param), "`", "")),
			param.Short+".\n\n"+param.Long)
	}
}

func writeActionItems(p *page) {
	p.section("ACTIONS")
	p.text("The timings are suggestions, and the least that should be set.")
	for _, a := range actions {
		label := "`" + a.Name + "`"
		if a.Role != RoleAny {
			label += ", role " + string(a.Role)
		}
		label += ": timeout " + seconds(a.Timeout)
		if a.Interval > 0 {
			label += ", interval " + seconds(a.Interval)
		}
		p.item(label, a.Short)
	}
}

func writeOperationsExample(p *page) {
	p.section("EXAMPLE")
	p.text("The resource with pcs, for PostgreSQL 15 of Debian. The operations can be given to crmsh in the same form.")
	lines := "pcs cluster cib pg.xml\n" +
		"pcs -f pg.xml resource create pgsqld ocf:heartbeat:pgsqlms \\\n" +
		"    bindir=/usr/lib/postgresql/15/bin pgdata=/var/lib/postgresql/15/main \\\n" +
		"    pghost=/var/run/postgresql \\\n" +
		"    start_opts=\"-c config_file=/etc/postgresql/15/main/postgresql.conf\" \\\n"
	for _, a := range actions {
		if op := operation(a); op != "" {
			lines += "    " + op + " \\\n"
		}
	}
	p.example(lines + "    promotable\n" +
		"pcs -f pg.xml resource meta pgsqld-clone notify=true\n" +
		"pcs cluster cib-push pg.xml\n")
}

func writeExitCodeItems(p *page) {
	p.section("EXIT CODES")
	for _, c := range exitCodes {
		p.item(fmt.Sprintf("%d, `OCF_%s`", c.Code, c.Name), c.Meaning+". Pacemaker then: "+c.Cluster+".")
	}
}

func writeReasonItems(p *page, reasons []Reason) {
	if len(reasons) == 0 {
		return
	}
	p.section("EXIT REASONS")
	p.text("Pacemaker shows the beginning of a failed action's reason in `crm_mon` and `pcs status`; the log has all of it. " +
		"An ellipsis stands for what was found.")
	for _, r := range reasons {
		p.item(verb.ReplaceAllString(r.Text, "…")+" (code "+strconv.Itoa(r.Code)+")", "To do: "+r.Help+".")
	}
}

func writeFiles(p *page) {
	p.section("FILES")
	p.item("/usr/lib/ocf/resource.d/heartbeat/pgsqlms", "The agent. /usr/sbin/pgsqlms leads to it.")
	p.item("/run/resource-agents/pgsqlms-RESOURCE.json", "What one action leaves for the next. It may be lost at any time.")
	p.item("/var/log/pgsqlms/RESOURCE.log", "What PostgreSQL says before its own log is open; with logging_collector off, all of it.")
	p.item("/etc/logrotate.d/pgsqlms", "Rotates it.")
	p.item("/var/log/pacemaker/pacemaker.log", "What the agent says, in Pacemaker's log.")
}

// CommandManual renders the page pgsqlms(8).
func CommandManual(commands []Command, exits []CommandExit) string {
	p := newPage(Name, commandSection, "the PostgreSQL resource agent for Pacemaker, run by a person")
	p.section("SYNOPSIS")
	for n, c := range commands {
		if n > 0 {
			p.WriteString(".br\n")
		}
		p.line("`pgsqlms " + c.Name + "` [flags]" + c.Args)
	}
	if len(commands) > 0 {
		p.WriteString(".br\n")
	}
	p.line("`pgsqlms` meta-data | methods")
	p.section("DESCRIPTION")
	p.text("One program has two callers. Pacemaker runs it as the resource agent `ocf:heartbeat:pgsqlms`, with an action as " +
		"its argument and all else in the environment: `ocf_heartbeat_pgsqlms`(7) describes parameters, actions, exit codes " +
		"and reasons. A person asks it what it is, and gives it the commands of this page, as root, on a node of the cluster.\n\n" +
		"The actions that change something, such as `start`, are Pacemaker's: to call one by hand, use " +
		"`crm_resource --force-start` and its like, which set the environment it needs.")
	writeCommandItems(p, commands)
	p.section("OTHER ARGUMENTS")
	p.item("`help`, `--help`", "Prints the commands. `pgsqlms COMMAND --help` prints those of one, with its flags and an example.")
	p.item("`meta-data`", "Prints the meta-data: version, parameters and actions. Needs no cluster.")
	p.item("`methods`", "Prints the names of the actions.")
	if len(exits) > 0 {
		p.section("EXIT STATUS")
		for _, e := range exits {
			p.item(strconv.Itoa(e.Code), sentence(e.Meaning))
		}
	}
	p.section("FILES")
	p.item("/var/log/pacemaker/pacemaker.log", "What `history` and `explain` read, and those rotated away beside it; without it, the journal.")
	p.item("/var/lib/pacemaker/pgsqlms", "Which hook was told of which promotion, where pgsqlms is an alert agent.")
	p.item("DATADIR.pgsqlms-rejoin", "What a `rejoin` works in. While it is there the agent starts nothing.")
	p.item("DATADIR.before-rejoin-TIME", "The old data that a `rejoin` has kept.")
	p.item("/usr/share/doc/pgsqlms", "The pages: quick starts, cookbook, troubleshooting, commands.")
	p.section("SEE ALSO")
	p.line("`ocf_heartbeat_pgsqlms`(7), `crm_mon`(8), `crm_resource`(8)")
	return p.String()
}

func writeCommandItems(p *page, commands []Command) {
	if len(commands) == 0 {
		return
	}
	p.section("COMMANDS")
	for _, c := range commands {
		fmt.Fprintf(p, ".SS \"%s\"\n", roff(c.Name))
		p.text(sentence(c.Purpose))
		for _, f := range c.Flags {
			label := "`--" + f.Name + "`"
			if f.Value != "" {
				label += " " + strings.ToUpper(f.Value)
			}
			p.item(label, sentence(f.Text))
		}
		if c.Example != "" {
			p.example(c.Example)
		}
	}
}

// sentence gives a phrase of a list its capital and its full stop.
func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}
