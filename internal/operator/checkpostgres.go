package operator

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgsqlms/internal/crm"
	"pgsqlms/internal/election"
	"pgsqlms/internal/pattern"
	"pgsqlms/internal/pg"
	"pgsqlms/metadata"
)

func (j *judgement) checkOn(node string) string { return "pgsqlms check, on " + node }

// compareVersions compares the servers, and this program, on all nodes.
func (j *judgement) compareVersions() {
	const check = "versions"
	assessor := assessor{survey: j.survey}
	var own string
	for _, node := range append([]string{j.node}, j.others()...) {
		r := assessor.reportOf(node)
		if r == nil {
			j.unknown(check, node, "its version of PostgreSQL cannot be told from here: it did not answer", j.checkOn(node))
			continue
		}
		text, _, _ := strings.Cut(r.Version, " ")
		if own == "" {
			own = text
		}
		l := levelWarning
		if majorOf(text) != majorOf(own) {
			l = levelError
		}
		j.add(check, node, text == own, l, "PostgreSQL "+text, own+" as elsewhere", "upgrade the standbys first, then switch over")
	}
	j.add(check, j.node, true, levelOK, "pgsqlms "+orUnknown(j.version, false), "", "")
	for _, node := range j.others() {
		version, told := j.versions[node]
		if !told {
			j.unknown(check, node, "its version of pgsqlms is not known: its monitor has not told it", "pgsqlms --version, on "+node)
			continue
		}
		j.add(check, node, version == j.version, levelWarning, "pgsqlms "+version, orUnknown(j.version, false)+" as here", "upgrade the other one")
	}
}

func majorOf(version string) string {
	major, _, _ := strings.Cut(version, ".")
	return major
}

// names are those by which the primary knows its standbys.
func (j *judgement) names() {
	const check = "application_name"
	const todo = "application_name in primary_conninfo"
	switch {
	case j.conninfoErr != nil && !errors.Is(j.conninfoErr, errNoConninfo):
		j.unknown(check, j.node, "primary_conninfo cannot be read: "+first(j.conninfoErr), "pgsqlms status")
	case j.conninfoErr != nil:
		j.add(check, j.node, false, levelError, first(j.conninfoErr), "a primary_conninfo with application_name="+j.node, todo)
	default:
		j.add(check, j.node, j.appName == j.node, levelError, "application_name="+orUnset(j.appName), "the node's own name, "+j.node, todo+" = "+j.node)
	}
	j.leadsToOne()
	primary := (&assessor{survey: j.survey}).reportOf(j.primaryNode())
	if primary == nil {
		return
	}
	for _, row := range primary.Standbys {
		if row.State == "streaming" && !slices.Contains(j.nodes(), row.ApplicationName) {
			j.add(check, "", false, levelWarning, "a standby calls itself "+strconv.Quote(row.ApplicationName), "a node's name, unless it is none of the cluster's", todo)
		}
	}
}

// leadsToOne is for a primary_conninfo that names nodes, and not all of them: it is in use on a
// standby only, and shows itself after the next failover.
func (j *judgement) leadsToOne() {
	if j.conninfoErr != nil {
		return
	}
	hosts := strings.Split(j.hosts, ",")
	var left []string
	for _, node := range j.others() {
		if !slices.Contains(hosts, node) {
			left = append(left, node)
		}
	}
	ofNodes := !slices.ContainsFunc(hosts, func(host string) bool { return !slices.Contains(j.nodeNames(), host) })
	const check = "primary_conninfo"
	switch {
	case ofNodes && len(left) > 0:
		j.add(check, j.node, false, levelError, "host="+j.hosts+" leads to no primary on "+strings.Join(left, ", "), "an address that goes with the primary, or all other nodes with target_session_attrs=read-write",
			"host in primary_conninfo, on "+j.node)
	case len(hosts) > 1 && !slices.Contains([]string{"read-write", "primary"}, j.sessions):
		bad := levelWarning // each may be an address that goes with the primary
		if slices.ContainsFunc(hosts, func(host string) bool { return slices.Contains(j.nodeNames(), host) }) {
			bad = levelError
		}
		j.add(check, j.node, false, bad, "host="+j.hosts+", target_session_attrs="+orUnset(j.sessions), "read-write, unless each goes with the primary: a standby takes the first that answers else, a standby too, and can then not be promoted",
			"target_session_attrs=read-write in primary_conninfo, on "+j.node)
	case j.local.ok() && j.local.report.InRecovery && errors.Is(j.byAddress.err, errOtherCluster):
		j.add(check, j.node, false, levelError, "host="+j.hosts+": "+first(j.byAddress.err), "the primary", "look where that address leads")
	}
}

// selfTest looks whether this node would let itself in for replication. A standby whose
// address for the primary is still, or already, its own would stream from itself.
func (j *judgement) selfTest() {
	const check = "replication"
	switch {
	case !j.selfTried:
	case j.selfErr == nil:
		j.add(check, j.node, false, levelWarning, "a connection for replication from "+j.node+" to itself is let in", "refused: a standby may follow itself else, when the address of the primary comes here",
			`the first lines of pg_hba.conf: "host replication all `+j.node+` reject", and the same of the virtual IP; then `+j.psql(j.node, "select pg_reload_conf()"))
	case pg.IsAuth(j.selfErr):
		j.add(check, j.node, true, levelOK, "a connection for replication from "+j.node+" to itself is refused, as it should be", "", "")
	}
}

// replicationTests tell whether this node could be a standby of each other one.
func (j *judgement) replicationTests() {
	const check = "replication"
	local := (&assessor{survey: j.survey}).reportOf(j.node)
	for _, node := range j.others() {
		test, tried := j.replication[node]
		switch {
		case !tried:
			j.unknown(check, node, "not tried from here: it is not in the cluster, or nothing says how to connect", j.checkOn(node))
		case test.err != nil && !pg.IsAuth(test.err) && !j.runsOn(node):
			j.unknown(check, node, "not tried from here: PostgreSQL does not run there", j.checkOn(node))
		case test.err != nil:
			j.add(check, node, false, levelError, "a connection for replication from "+orUnknown(j.node, false)+" fails: "+first(test.err),
				"to be let in: any node may become the primary", j.letIn(node, test.err))
		case local != nil && local.System != test.system:
			j.add(check, node, false, levelError, "the server there is of another database cluster ("+test.system+")", local.System, "look where the name "+node+" leads")
		default:
			j.add(check, node, true, levelOK, "a connection for replication from "+orUnknown(j.node, false)+" is let in", "", "")
		}
	}
}

// runsOn says whether an instance is meant to answer on a node: Pacemaker says that it runs
// there, or cannot be asked.
func (j *judgement) runsOn(node string) bool {
	i, found := j.state.On(j.resource.Name, node)
	return j.stateErr != nil || found && i.Role != crm.RoleStopped
}

// letIn is what to look at where a connection fails.
func (j *judgement) letIn(node string, err error) string {
	switch {
	case pg.IsAuth(err):
		return "pg_hba.conf on " + node + ", and the password here; then " + j.psql(node, "select pg_reload_conf()")
	case pg.IsRefused(err):
		return "listen_addresses in postgresql.conf, on " + node + ", and the port; then a restart there"
	case pg.IsTimeout(err):
		return "a firewall between the two; or PostgreSQL there hangs: pgsqlms status, on " + node
	}
	return "where the name " + node + " leads, and pg_hba.conf there"
}

// settings are what an instance's configuration must have, or better had.
func (j *judgement) settings(node string) {
	const check = "settings"
	c, asked := j.checkups[node]
	if !asked || c.err != nil {
		j.unasked(check, node, c.err)
		return
	}
	before := len(j.all)
	must := func(name string, ok bool, bad level, expected string) {
		if value, known := c.Settings[name]; known && !ok {
			j.add(check, node, false, bad, name+"="+orUnset(value), expected, j.set(node, name))
		}
	}
	s := c.Settings
	must("wal_level", s["wal_level"] == "replica" || s["wal_level"] == "logical", levelError, "replica or logical")
	must("hot_standby", s["hot_standby"] == "on", levelError, "on: a standby that takes no questions cannot be watched")
	must("fsync", s["fsync"] == "on", levelError, "on: a crash loses what was acknowledged")
	must("full_page_writes", s["full_page_writes"] == "on", levelWarning, "on")
	senders := len(j.nodes())
	must("max_wal_senders", number(s["max_wal_senders"]) >= senders, levelError, fmt.Sprintf("%d or more: the standbys, and one to ask with", senders))
	must("wal_log_hints", s["wal_log_hints"] == "on" || s["data_checksums"] == "on", levelWarning, "on, or data checksums: pg_rewind needs one of them")
	for _, name := range slices.Sorted(maps.Keys(s)) {
		switch name {
		case "recovery_target_timeline":
			must(name, s[name] == "latest" || s[name] == "", levelError, "latest: or a standby does not follow a new primary")
		case "recovery_target_action", "recovery_target_inclusive":
		default:
			must(name, !strings.HasPrefix(name, "recovery_target") || s[name] == "", levelError, "nothing: a standby would stop there")
		}
	}
	local := s["synchronous_commit"] == "off" || s["synchronous_commit"] == "local"
	must("synchronous_commit", s["synchronous_standby_names"] == "" || !local, levelWarning,
		"on: commits wait for no standby else, whatever synchronous_standby_names says")
	j.beside(check, node, c)
	j.notSmaller(check, node, s)
	if len(j.all) == before {
		j.add(check, node, true, levelOK, "wal_level, hot_standby, fsync, max_wal_senders, recovery targets as they should be", "", "")
	}
	j.clock(node, c)
}

// beside is what is no setting, and was told with them.
func (j *judgement) beside(check, node string, c checkup) {
	if c.Archiving != "" {
		j.add(check, node, false, levelWarning, "archive_command has failed with "+c.Archiving+", and has not worked since", "an archive that works: all WAL since then is kept, until the disk is full", "read PostgreSQL's log on "+node)
	}
	if r := (&assessor{survey: j.survey}).reportOf(node); r != nil && r.Blind != "" {
		j.add(check, node, false, levelWarning, "asked as "+r.Blind+", it does not say who streams", "a role in pg_monitor, by which status and switchover see the cluster from every node",
			j.grantMonitor(j.primaryNode(), r.Blind))
	}
}

// unasked is for a node whose instance could not be asked, for that reason, nil where nothing
// was tried.
func (j *judgement) unasked(check, node string, err error) {
	why := "nothing says how to connect, or it does not run"
	if err != nil {
		why = first(err)
	}
	j.unknown(check, node, "its settings, slots and clock cannot be asked for from here ("+why+")", j.checkOn(node))
	if test, tried := j.replication[node]; err != nil && tried && test.err == nil {
		// That it lets this node in for replication says that it is there.
		j.add(check, node, false, levelWarning, "it lets "+orUnknown(j.node, false)+" in for replication, and not to ask by SQL: "+why,
			"both: pg_rewind needs it, and the commands on every node but the primary's", "pg_hba.conf on "+node+": the line for the database postgres in "+readme+"; then reload")
	}
}

// notSmaller looks at the settings of which a standby needs as much as the primary has
// (PostgreSQL, "Administrator's Overview" of hot standby): it stops replaying else, or does
// not start.
func (j *judgement) notSmaller(check, node string, s map[string]string) {
	primary := j.primaryNode()
	p, asked := j.checkups[primary]
	if !asked || p.err != nil || node == primary {
		return
	}
	for _, name := range []string{"max_connections", "max_locks_per_transaction", "max_prepared_transactions", "max_wal_senders", "max_worker_processes"} {
		value, known := s[name]
		least, there := p.Settings[name]
		if known && there && number(value) < number(least) {
			j.add(check, node, false, levelError, name+"="+value, least+" or more, as "+primary+" has: a standby with less stops replaying, or does not start",
				j.set(node, name))
		}
	}
}

// What clocks may differ by. PostgreSQL and Pacemaker compare no clocks of two nodes; whoever
// reads two logs does, and certificates and Kerberos have bounds of their own.
const (
	clockWarning = 2 * time.Second
	clockError   = time.Minute
)

func (j *judgement) clock(node string, c checkup) {
	if node == j.node {
		return
	}
	off := c.Ahead.Abs()
	l := levelWarning
	if off-c.Doubt > clockError {
		l = levelError
	}
	word := "ahead of"
	if c.Ahead < 0 {
		word = "behind"
	}
	found := fmt.Sprintf("its clock is %s %s this node's", durationText(off), word)
	if off-c.Doubt <= clockWarning {
		found = "its clock agrees with this node's, within " + durationText(clockWarning)
	}
	j.add("clock", node, off-c.Doubt <= clockWarning, l, found, "less than "+durationText(clockWarning), "timedatectl; chronyc tracking")
}

// number is zero for what is none.
func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// synchronous looks at the names that commits wait for, on every node that was asked.
func (j *judgement) synchronous() {
	const check = "synchronous"
	const name = "synchronous_standby_names"
	values := map[string][]string{}
	for _, node := range j.nodes() {
		if c, asked := j.checkups[node]; asked && c.err == nil {
			value := c.Settings[name]
			values[value] = append(values[value], node)
		}
	}
	if len(values) > 1 {
		var all []string
		for _, value := range slices.Sorted(maps.Keys(values)) {
			all = append(all, strings.Join(values[value], ", ")+" have '"+value+"'")
		}
		j.add(check, "", false, levelWarning, strings.Join(all, "; "), "the same everywhere: whoever is promoted uses its own", name+" in postgresql.conf")
	}
	for _, value := range slices.Sorted(maps.Keys(values)) {
		j.synchronousNames(check, name+"='"+value+"'", value)
	}
}

func (j *judgement) synchronousNames(check, text, value string) {
	todo := "synchronous_standby_names = 'ANY 1 (" + strings.Join(quoted(j.nodes()), ", ") + ")' in postgresql.conf on every node, then on each " + j.psql("", "select pg_reload_conf()")
	names, err := election.ParseSynchronousStandbyNames(value)
	switch {
	case err != nil:
		j.add(check, "", false, levelError, text+": "+first(err), "a list of nodes", todo)
		return
	case names.Need == 0:
		j.add(check, "", true, levelOK, "off: a failover may lose the last commits", "", "")
		return
	}
	var strangers []string
	for _, one := range names.Names {
		known := slices.ContainsFunc(j.nodes(), func(node string) bool { return strings.EqualFold(node, one) })
		if !known && one != "*" {
			strangers = append(strangers, one)
		}
	}
	const nodesOnly = "nodes of the cluster by name: whoever acknowledges must have a vote"
	switch {
	case slices.Contains(names.Names, "*"):
		j.add(check, "", false, levelWarning, text, nodesOnly, todo)
	case len(strangers) > 0:
		j.add(check, "", false, levelWarning, text+": "+strings.Join(strangers, ", ")+" no node", nodesOnly, "docs/election.md, What is not")
	default:
		j.enough(check, text, value, todo)
	}
}

// enough counts for each node how many there are to wait for once it is the primary, which
// does not wait for itself.
func (j *judgement) enough(check, text, value, todo string) {
	var none, all []string
	for _, node := range j.nodes() {
		rule, err := election.RuleFor(value, node, j.nodes(), nil)
		switch {
		case err != nil: // it was read before
		case len(rule.Of) < rule.Need:
			none = append(none, node)
		case len(rule.Of) == rule.Need:
			all = append(all, node)
		}
	}
	switch {
	case len(none) > 0:
		j.add(check, "", false, levelError, text, "more nodes than are waited for: once the primary is on "+strings.Join(none, ", ")+", nothing commits", todo)
	case len(all) > 0:
		j.add(check, "", false, levelWarning, text, "fewer to wait for than there are standbys: with the primary on "+strings.Join(all, ", ")+", the loss of one stops all commits", todo+"; or add a node")
	default:
		j.add(check, "", true, levelOK, text, "", "")
	}
}

// plainName is one that needs no quotation marks in synchronous_standby_names (syncrep_scanner.l).
var plainName = pattern.New(`^[A-Za-z_][A-Za-z0-9_$]*$`)

// keywords are the words of synchronous_standby_names that are no names.
var keywords = []string{"any", "first"}

// quoted are names as synchronous_standby_names wants them.
func quoted(names []string) (all []string) {
	for _, name := range names {
		if !plainName.MatchString(name) || slices.Contains(keywords, strings.ToLower(name)) {
			name = `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
		}
		all = append(all, name)
	}
	return all
}

// restarts are the settings of those looked at here that are read at a start only.
var restarts = []string{
	"wal_level", "hot_standby", "max_wal_senders", "wal_log_hints", "max_connections", "max_locks_per_transaction",
	"max_prepared_transactions", "max_worker_processes",
}

// set says where a setting is changed, and what makes it count.
func (j *judgement) set(node, name string) string {
	text := name + " in postgresql.conf, on " + node + "; then "
	if slices.Contains(restarts, name) || strings.HasPrefix(name, "recovery_target") {
		return text + "a restart there (cookbook.md)"
	}
	return text + j.psql(node, "select pg_reload_conf()")
}

// guards are the parameters of the agent that keep acknowledged commits from being lost.
func (j *judgement) guards() {
	value, off := j.guardOff()
	if !off {
		return
	}
	l := levelWarning
	for _, c := range j.checkups {
		if c.err == nil && c.Settings["synchronous_standby_names"] != "" {
			l = levelError
		}
	}
	j.add("synchronous", "", false, l, metadata.SyncGuard+"="+value, "true: a promotion does not wait for who may hold acknowledged commits else", j.guardOn())
}

// keptWAL holds what the primary keeps for its standbys against what they lack.
func (j *judgement) keptWAL() {
	const check = "kept WAL"
	for _, node := range j.nodes() {
		c, asked := j.checkups[node]
		if !asked || c.err != nil {
			continue
		}
		j.slots(check, node, c)
		j.slotOf(check, node, c)
		if node == j.primaryNode() {
			j.keptFor(check, node, c)
		}
	}
}

// slots looks at those of one node: used by nobody, without the WAL that they were for, or
// about to lose it. Those that a standby has from the primary PostgreSQL looks after itself.
func (j *judgement) slots(check, node string, c checkup) {
	const bound = "max_slot_wal_keep_size"
	most := uint64(max(number(c.Settings[bound]), 0)) << 20
	for _, slot := range c.Slots {
		switch {
		case slot.Synced && node != j.primaryNode():
		case slot.Status == pg.SlotLost && slot.Logical:
			j.add(check, node, false, levelError, fmt.Sprintf("logical slot %s is lost: its consumer has to begin anew", slot.Name), "a slot that its consumer can go on by",
				j.dropSlot(node, slot.Name))
		case slot.Status == pg.SlotLost:
			j.add(check, node, false, levelError, fmt.Sprintf("slot %s has lost its WAL", slot.Name), "a slot that a standby can stream by",
				j.makeSlotAnew(node, slot.Name, "")+"; then pgsqlms rejoin, on the standby")
		case !slot.Active && slot.Retained > 0:
			expected, todo := j.unused(node, slot)
			j.add(check, node, false, levelWarning, fmt.Sprintf("slot %s is used by nobody and keeps %s", slot.Name, bytesText(slot.Retained)), expected, todo)
		case most > 0 && slot.Retained > most/2:
			l := levelWarning
			if slot.Retained > most {
				l = levelError
			}
			j.add(check, node, false, l, fmt.Sprintf("slot %s is %s behind, %s=%s", slot.Name, bytesText(slot.Retained), bound, bytesText(most)),
				"less than half of that: beyond it the slot is lost", bound+" in postgresql.conf on every node, then reload; and what keeps the standby")
		}
	}
}

func (j *judgement) dropSlot(node, slot string) string {
	return j.psql(node, "select pg_drop_replication_slot('"+slot+"')")
}

// unused is about a slot that nobody uses: that of a standby which is away is dropped only
// if it never comes back.
func (j *judgement) unused(node string, slot pg.Slot) (expected, todo string) {
	drop := j.dropSlot(node, slot.Name)
	var unasked []string
	for _, other := range j.nodes() {
		c, asked := j.checkups[other]
		switch {
		case other == node, slot.Logical: // which is no standby's
		case !asked || c.err != nil:
			unasked = append(unasked, other)
		case c.Settings["primary_slot_name"] != slot.Name:
		case node == j.primaryNode():
			return other + " to stream by it", "look why " + other + " does not: pgsqlms status; only if it never comes back, " + drop
		default: // after a failover it is wanted here
			return "a slot on a standby that keeps nothing: it fills the disk", j.makeSlotAnew(node, slot.Name, "")
		}
	}
	if len(unasked) > 0 {
		return "in use, by " + strings.Join(unasked, " or ") + ", which did not say", "bring these back; only if nobody will use it any more, " + drop
	}
	return "no slot that nobody uses: it fills the disk", "only if nobody will use it any more, " + drop
}

// slotOf looks for the slot by which a node's instance streams on all others: any of them may
// be the primary, and PostgreSQL makes none by itself.
func (j *judgement) slotOf(check, node string, c checkup) {
	slot := c.Settings["primary_slot_name"]
	if slot == "" {
		return
	}
	for _, other := range j.nodes() {
		there, asked := j.checkups[other]
		if other == node || !asked || there.err != nil || hasSlot(there, slot) {
			continue
		}
		found, todo := "no slot", j.makeSlot(other, slot, "")
		if slices.ContainsFunc(there.Slots, func(s pg.Slot) bool { return s.Name == slot }) {
			found, todo = "a logical slot", "another primary_slot_name in postgresql.conf on "+node
		}
		j.add(check, other, false, levelError, fmt.Sprintf("%s %s, by which %s would stream from here", found, slot, node), "a physical slot, wherever the primary may run", todo)
	}
}

// hasSlot says whether there is a slot of the name by which a standby can stream.
func hasSlot(c checkup, name string) bool {
	return slices.ContainsFunc(c.Slots, func(s pg.Slot) bool { return s.Name == name && !s.Logical })
}

// bySlot says whether a slot of the primary keeps what a standby needs. Of a standby that
// could not be asked for its slot any that is in use is taken for it.
func (j *judgement) bySlot(standby string, primary checkup) bool {
	if c, asked := j.checkups[standby]; asked && c.err == nil {
		slot := c.Settings["primary_slot_name"]
		return slot != "" && hasSlot(primary, slot)
	}
	return slices.ContainsFunc(primary.Slots, func(s pg.Slot) bool { return s.Active && !s.Logical })
}

func (j *judgement) primaryNode() string {
	for _, n := range j.v.Nodes {
		if n.Role == rolePrimary {
			return n.Name
		}
	}
	return ""
}

func (j *judgement) keptFor(check, primary string, c checkup) {
	kept := keptBytes(c.Settings)
	slots := 0
	for _, slot := range c.Slots {
		if slot.Active {
			slots++
		}
	}
	how := fmt.Sprintf("%s kept for standbys that were away, %s in use", bytesText(kept), plural(slots, "slot"))
	if kept == 0 && slots == 0 && c.Settings["restore_command"] == "" {
		j.add(check, primary, false, levelWarning, how+", no restore_command", "wal_keep_size, slots, or an archive: a standby that was away is lost else",
			keepName(c.Settings)+" in postgresql.conf on every node, then reload")
		return
	}
	j.add(check, primary, true, levelOK, how, "", "")
	if slots > 0 && c.Settings["max_slot_wal_keep_size"] == "-1" {
		j.add(check, primary, false, levelWarning, "slots, and max_slot_wal_keep_size=-1", "a bound: a standby that stays away fills the disk else", "max_slot_wal_keep_size in postgresql.conf")
	}
	for _, n := range j.v.Nodes {
		if n.Role != roleStandby || n.LagBytes == nil || *n.LagBytes <= kept/2 || j.bySlot(n.Name, c) {
			continue
		}
		l := levelWarning
		if *n.LagBytes > kept {
			l = levelError
		}
		j.add(check, n.Name, false, l, bytesText(*n.LagBytes)+" behind, "+bytesText(kept)+" kept", "less than half of what is kept", keepName(c.Settings)+" in postgresql.conf on every node, then reload")
	}
}

// keepName is the setting of what is kept without slots.
func keepName(s map[string]string) string {
	if _, old := s["wal_keep_segments"]; old {
		return "wal_keep_segments"
	}
	return "wal_keep_size"
}

// keptBytes is wal_keep_size, which pg_settings has in MB, or before PostgreSQL 13
// wal_keep_segments.
func keptBytes(s map[string]string) uint64 {
	if size, known := s["wal_keep_size"]; known {
		return uint64(max(number(size), 0)) << 20
	}
	return uint64(max(number(s["wal_keep_segments"]), 0)) * uint64(max(number(s["wal_segment_size"]), 0))
}

// service looks whether PostgreSQL would start by itself at boot: perhaps as a second
// primary.
func (j *judgement) service() {
	const check = "service"
	if j.unitsErr != nil {
		j.unknown(check, j.node, "whether PostgreSQL's own service is disabled cannot be told: "+first(j.unitsErr), "systemctl is-enabled postgresql")
	} else {
		enabled := starts(j.units)
		for _, unit := range enabled {
			j.add(check, j.node, false, levelError, unit+" is "+j.units[unit], "disabled: Pacemaker alone starts PostgreSQL", "systemctl disable "+unit)
		}
		if len(enabled) == 0 {
			j.add(check, j.node, true, levelOK, "PostgreSQL's own service is not enabled", "", "")
		}
	}
	for _, node := range j.others() {
		j.unknown(check, node, "its services and its free space can be told there only", j.checkOn(node))
	}
}

// keptData are the data of before a rejoin: each takes as much room as the database.
func (j *judgement) keptData() {
	for _, path := range j.oldData {
		j.add("free space", j.node, false, levelWarning, "data of before a rejoin are kept in "+path, "none that nobody needs any more", "rm -r "+path)
	}
}

// How full a file system may be, in percent of it that is free.
const (
	spaceWarning = 15
	spaceError   = 5
)

func (j *judgement) freeSpace() {
	const check = "free space"
	if j.spaceErr != nil {
		todo := "pgsqlms status"
		if j.instance.dataDir != "" {
			todo = "df " + j.instance.dataDir
		}
		j.unknown(check, j.node, first(j.spaceErr), todo)
	}
	for _, s := range j.space {
		percent := uint64(0)
		if s.Total > 0 {
			percent = s.Free / (s.Total/100 + 1)
		}
		l := levelWarning
		if percent < spaceError {
			l = levelError
		}
		j.add(check, j.node, percent >= spaceWarning, l, fmt.Sprintf("%s of %s free at %s", bytesText(s.Free), bytesText(s.Total), s.Path),
			fmt.Sprintf("%d %% or more", spaceWarning),
			"make room, or give the file system more: df "+s.Path+"; in pg_wal remove nothing by hand")
		if files := s.FreeFiles / (s.Files/100 + 1); s.Files > 0 && files < spaceError {
			j.add(check, j.node, false, levelError, fmt.Sprintf("%d of %d inodes free at %s", s.FreeFiles, s.Files, s.Path), fmt.Sprintf("%d %% or more", spaceError), "df -i "+s.Path)
		}
	}
}
