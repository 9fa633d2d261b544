package operator

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"pgsqlms/internal/crm"
	"pgsqlms/internal/election"
	"pgsqlms/internal/pg"
)

// way is how new data are made.
type way string

const (
	wayRewind way = "rewind" // pg_rewind
	wayClone  way = "clone"  // pg_basebackup
	waySweep  way = "sweep"  // nothing is made: what a rejoin has left behind is removed
)

// rejoinPlan is what a repair of this node would do, and whether it may be tried.
type rejoinPlan struct {
	Node    string   `json:"node"`
	Primary string   `json:"primary,omitempty"`
	Checks  findings `json:"checks"`
	Refused bool     `json:"refused"`
	Nothing bool     `json:"nothing_to_do"` // it streams

	Ailment   string   `json:"found,omitempty"`                  // what is wrong with it
	Lost      string   `json:"would_be_lost,omitempty"`          // what only this node has
	LostBytes *uint64  `json:"would_be_lost_bytes,omitempty"`    // of WAL
	LostSlots []string `json:"would_be_lost_slots,omitempty"`    // this node's own
	Way       way      `json:"way,omitempty"`                    //
	WhyClone  string   `json:"why_not_rewind,omitempty"`         // why pg_rewind cannot
	InPlace   bool     `json:"in_place"`                         // the data directory itself is rewound
	DropFirst bool     `json:"removes_old_data_first"`           // for room
	Keep      bool     `json:"keeps_old_data"`                   //
	Bytes     uint64   `json:"bytes_to_copy_or_fetch,omitempty"` // about so many

	Steps []string `json:"steps"`

	noRoom      bool     // for old and new data side by side
	noClone     string   // why there cannot be a new copy instead of a rewind that fails; empty if there can
	lostSlots   []string // what is said of the lost slots
	bySize      bool     // of the primary
	onlyRelease bool     // nothing but the constraint of a rejoin that was killed is in the way
}

// planRejoin judges what was found.
func planRejoin(f rejoinFacts, o choices) rejoinPlan {
	p := rejoinPlanner{rejoinFacts: f, choices: o}
	p.Node, p.Primary, p.Checks, p.Steps = f.node, f.primary, findings{}, []string{}
	p.cluster()
	p.source()
	p.here()
	streams, doubt := f.streams()
	p.streaming, p.doubt = streams, doubt
	if p.Nothing = streams && !o.clone && !p.kept && p.Checks.count(levelError) == 0; p.Nothing {
		p.Checks.add("standby", p.Node, doubt == "", levelUnknown, firstNonEmpty(doubt, "streams from "+p.Primary), "a row of it in pg_stat_replication there", "pgsqlms status, on "+p.Primary)
		if p.premises.Unfinished {
			p.Checks.add("directory", "", false, levelWarning, "left over: "+p.premises.Work, "nothing of that name: PostgreSQL is not started beside it", "rm -r "+p.premises.Work)
		}
		return p.rejoinPlan
	}
	if p.Checks.count(levelError) == 0 { // else the comparison means nothing
		p.ailment()
		p.upstreamSlot()
		p.ownSlots()
	}
	if p.Checks.count(levelError) == 0 {
		p.leftovers()
	}
	if p.Checks.count(levelError) == 0 && p.Way != waySweep {
		p.tools()
		p.commits()
		p.room()
	}
	if p.Refused = p.Checks.count(levelError) > 0; !p.Refused {
		p.steps()
	}
	return p.rejoinPlan
}

type rejoinPlanner struct {
	rejoinFacts
	choices
	rejoinPlan

	diverged  *pg.Divergence
	damaged   bool   // the data cannot be compared: gone, or not to be believed
	streaming bool   // from the primary
	doubt     string // of that, or why it is not believed
	kept      bool   // a rejoin that was killed has left its constraint
}

// must adds a check that refuses the repair when it is not ok.
func (p *rejoinPlanner) must(check string, ok bool, found, expected, todo string) {
	p.Checks.add(check, "", ok, levelError, found, expected, todo)
}

// cluster is what has to be so for Pacemaker to stop the instance, and to start it again.
func (p *rejoinPlanner) cluster() {
	if p.stateErr != nil {
		p.must("pacemaker", false, first(p.stateErr), "an answer on this node", pacemakerToDo(p.stateErr))
		return
	}
	p.Checks = append(p.Checks, quorumChecks(p.survey)...)
	p.must("maintenance", !p.state.Maintenance, "maintenance mode "+yesNo(&p.state.Maintenance, "on", "off"), "off: Pacemaker would not start it again",
		"crm_attribute -n maintenance-mode -v false")
	p.must("promotable", p.resource.Promotable(), p.resource.Name+" in "+orUnknown(p.resource.Clone, true), "a promotable clone", readme)
	member, known := p.state.Node(p.node)
	p.must("node", known && serves(member), orUnknown(p.node, true)+nodeText(member),
		"online, neither in standby nor in maintenance mode", "pgsqlms status")
	p.resourceChecks()
}

// resourceChecks are of the resource, as far as Pacemaker has to stop and start it here.
func (p *rejoinPlanner) resourceChecks() {
	var busy []string
	for _, i := range p.state.Instances {
		if i.Resource == p.resource.Name && i.UnderWay() {
			busy = append(busy, i.Node+": "+i.Pending)
		}
	}
	p.must("transition", len(busy) == 0, orNone(busy), "nothing under way", "crm_resource --wait")
	placed, runs := p.state.On(p.resource.Name, p.node)
	p.must("managed", !runs || placed.Managed && !placed.Blocked, p.node+instanceText(placed), "managed: Pacemaker has to stop and start it", "pgsqlms status")
	for _, l := range p.cib.LocationsOf(p.resource) {
		if l.ID == crm.RejoinID(p.resource.Clone, p.node) {
			p.kept = true
			p.Checks.add("constraints", "", false, levelWarning, l.ID+" "+constraintText(l), "none of a rejoin: one was killed, unless one is under way", "it goes at the end of this one; by hand: "+deletion(l.ID))
		}
	}
	for _, l := range p.locations() {
		if l.Node == p.node && l.Score <= -crm.Infinity && l.Role != crm.RolePromoted && !crm.IsRejoin(l.ID) {
			p.must("constraints", false, l.ID+" "+constraintText(l), "no ban of this node: Pacemaker would not start it again", removal(l, p.resource))
		}
	}
}

// source is the primary, from which the data come.
func (p *rejoinPlanner) source() {
	primary, who := p.sourceNode()
	p.must("primary", primary != "", "promoted: "+who, "one node that is up, whose data are the cluster's", "pgsqlms status")
	if p.primary == "" {
		return
	}
	if p.primary == p.node {
		p.must("primary", false, "it is this node", "another one", "pgsqlms switchover, where another node is to be the primary")
		return
	}
	found := answered(p.fromErr)
	if p.fromErr == nil {
		found = fmt.Sprintf("%s lets this node in for replication", p.primary)
	}
	if errors.Is(p.fromErr, pg.ErrConfigurationGone) {
		dir := p.premises.DataDir
		p.must("configuration", false, found, "postgresql.conf with primary_conninfo: else nothing says how "+p.primary+" is reached, and a copy would have "+p.primary+"'s",
			"put postgresql.conf, postgresql.auto.conf, pg_hba.conf and pg_ident.conf of this node, or "+p.primary+"'s with this node's name in primary_conninfo, into "+dir+" as "+p.instance.user.Name+", and run it again")
		return
	}
	p.must("connection", p.fromErr == nil, found, "a connection for replication to "+p.primary+", as primary_conninfo of this node has it",
		"pgsqlms check; pg_hba.conf on "+p.primary)
	if p.fromErr != nil {
		return
	}
	s := p.up
	if text := p.cib.Record(p.resource.Name); text != "" {
		record, err := election.ParseRecord(text)
		p.must("record", err == nil && record.IsOf(s.History), fmt.Sprintf("%s writes timeline %d; the cluster's record is of timeline %d", p.primary, s.End.Timeline, record.History.Timeline),
			"the primary on the record's own timeline: nothing is thrown away for one that was promoted by hand", "pgsqlms status; pgsqlms history")
	}
	p.must("version", p.programsErr == nil && p.programs == s.Major && (p.dataErr != nil || p.data == s.Major), versionsText(p.rejoinFacts),
		"one major version", "install the primary's version here, and set bindir")
	p.must("programs", p.toolsErr == nil, "pg_rewind and pg_basebackup: "+answered(p.toolsErr), "both in "+p.instance.binDir, "install PostgreSQL's client package")
}

// tools refuses a connection that they cannot be given.
func (p *rejoinPlanner) tools() {
	if err := p.from.Withheld(); err != nil {
		p.must("connection", false, first(err), "a primary_conninfo without it", "a client key without a passphrase, readable for "+p.instance.user.Name+" only; or rejoin by hand (docs/commands.md)")
	}
}

// commits refuses to stop a standby without which too few are left for the primary's commits
// to go on: a copy takes hours.
func (p *rejoinPlanner) commits() {
	const check = "synchronous"
	if !p.streaming {
		return
	}
	there := p.others[p.primary]
	if _, asked := p.others[p.primary]; !asked || !there.ok() {
		there = p.byAddress
	}
	row := rowOf(&there.report, p.node)
	if !there.ok() || row == nil || row.State == "" { // which is not shown without the right to
		p.Checks.add(check, "", false, levelWarning, p.primary+" does not say whether commits wait for this node", "enough others that they wait for: else they hang until it streams again",
			"pgsqlms status, on "+p.primary)
		return
	}
	var waitedFor, left []string
	for _, one := range there.report.Standbys {
		if one.State != "streaming" || one.SyncState == "async" {
			continue
		}
		waitedFor = append(waitedFor, one.ApplicationName)
		if !strings.EqualFold(one.ApplicationName, p.node) {
			left = append(left, one.ApplicationName)
		}
	}
	rule, err := election.RuleFor(there.report.SynchronousStandbyNames, p.primary, p.nodeNames(), waitedFor)
	if err == nil && len(left) < len(waitedFor) { // else PostgreSQL would not have it, or this node does not count
		p.must(check, len(left) >= rule.Need, fmt.Sprintf("commits wait for %d of %s; without %s these are left: %s", rule.Need, strings.Join(rule.Of, ", "), p.node, orNone(left)),
			"enough of them: else commits hang until this node streams again", "bring another standby back, or let the primary wait for fewer meanwhile (synchronous_standby_names, then reload)")
	}
}

func answered(err error) string {
	if err == nil {
		return "ok"
	}
	return first(err)
}

func versionsText(f rejoinFacts) string {
	data := fmt.Sprint(f.data)
	if f.dataErr != nil {
		data = "?"
	}
	return fmt.Sprintf("programs %d, data %s, primary %d", f.programs, data, f.up.Major)
}

// here is what has to be so of this node's instance.
func (p *rejoinPlanner) here() {
	const check = "instance"
	switch {
	case errors.Is(p.local.err, errNotAsked):
		p.must(check, false, "not asked: "+first(p.local.err), "", "pgsqlms status")
	case p.local.ok():
		p.must(check, p.local.report.InRecovery, "PostgreSQL runs here as a "+roleText(p.local.report.InRecovery), "a standby, or nothing that runs: a primary is never rejoined",
			"pgsqlms status")
		if p.fromErr == nil && p.primary != p.node && p.primary != "" {
			p.system(p.local.report.System)
		}
	case p.runsErr != nil:
		p.must(check, false, first(p.runsErr), "to know whether PostgreSQL runs here", "look at the processes")
	case p.runs.Running():
		placed, runs := p.state.On(p.resource.Name, p.node)
		ours := runs && placed.Role != crm.RoleStopped && placed.Role != crm.RolePromoted
		p.must(check, ours, fmt.Sprintf("PostgreSQL runs here and does not answer (postmaster %d, orphans %v)", p.runs.Postmaster, p.runs.Orphans),
			"a standby that Pacemaker can stop, or nothing that runs", "pgsqlms status")
	case p.diskErr == nil && p.fromErr == nil && p.primary != p.node && p.primary != "":
		p.system(p.disk.System)
	}
	p.readable()
}

// readable refuses data that cannot be read just now, of which nobody knows whether they are
// whole, nor whose they are. Only what the files themselves say makes them damaged.
func (p *rejoinPlanner) readable() {
	if d := p.premises; d.Contested != "" {
		p.must("data", false, "whole data are in "+d.Contested+", where a rejoin that was killed has left them, and "+d.DataDir+" has none and is not empty", "these there, or nothing of that name",
			"move "+d.DataDir+" away, and run it again")
		return
	} else if d.Strange {
		p.must("data", false, d.DataDir+" has neither PG_VERSION nor base and global, or has another data directory in it", "PostgreSQL's data directory, an empty one, or none: nothing else is moved or removed",
			"set pgdata and datadir of "+p.resource.Name+" right, or move it away")
		return
	}
	p.damaged = !p.local.ok() && (!p.premises.Exists && p.premisesErr == nil || errors.Is(p.diskErr, pg.ErrDamaged) || errors.Is(p.dataErr, pg.ErrDamaged))
	if p.premises.DataDir != "" && p.premisesErr == nil && !p.premises.Exists {
		return // nothing is there to be read
	}
	for _, err := range []error{p.dataErr, p.diskErr} {
		if err != nil && !errors.Is(err, pg.ErrDamaged) {
			p.must("data", false, "cannot be read: "+first(err), "data that are whole, or known to be damaged or gone", "mend that (is the volume mounted, what does the kernel's log say?), and try again")
			return
		}
	}
}

func roleText(inRecovery bool) string {
	if inRecovery {
		return "standby"
	}
	return "primary"
}

func (p *rejoinPlanner) system(here string) {
	there := p.up.System
	p.must("system", here == there, fmt.Sprintf("system identifier %s here, %s on %s", here, there, p.primary), "the same: other data are never replaced",
		"move them away by hand, if they are of no use")
}

// ailment says what is wrong with the data, and chooses the way.
func (p *rejoinPlanner) ailment() {
	s := p.up
	refusal := firstNonEmpty(s.Refusal, p.asked.Refusal)
	removed := s.Removed() || pg.Source{Refusal: p.asked.Refusal}.Removed()
	p.diverged = s.Divergence
	if p.diverged == nil {
		p.diverged = p.asked.Divergence
	}
	switch {
	case p.damaged:
		p.Ailment = p.damage()
		p.WhyClone = "there is nothing to rewind"
		p.Lost = "whatever only this node's data had, if there are any; they cannot be compared with the primary's"
	case p.diverged != nil:
		d := p.diverged
		p.Ailment = fmt.Sprintf("diverged: left timeline %d at %s; %s of WAL beyond it are not the primary's", d.Left.Timeline, d.Left.LSN, bytesText(d.Bytes))
		p.Lost = fmt.Sprintf("%s of WAL (%d bytes from %s on), and with it every commit in it", bytesText(d.Bytes), d.Bytes, d.Left.LSN)
		p.LostBytes = &d.Bytes
		p.WhyClone = p.notRewindable()
	case removed && p.archiveMayHelp(refusal):
		return
	case removed:
		p.Ailment = fmt.Sprintf("lost: the primary does not keep the WAL any more that it would go on with (%s)", refusal)
		p.Lost = p.lost("nothing: the primary has all that is here")
		p.WhyClone = "nothing is here that the primary does not have: it lacks what the primary has not got any more"
	case p.clone && p.streaming:
		p.Ailment, p.Lost = "nothing: "+firstNonEmpty(p.doubt, "it streams from "+p.Primary), "nothing"
	case p.clone:
		p.Ailment = "nothing that a new copy would be needed for was found"
		if p.notCompared() != "" {
			p.Ailment = "not known"
		}
		p.Lost = p.lost("nothing that the primary does not have was found")
	default:
		p.follows(refusal)
		return
	}
	p.Way = wayRewind
	if p.clone {
		p.WhyClone = "--clone asks for a new copy"
	}
	if p.WhyClone != "" {
		p.Way = wayClone
	}
}

// lost is what is said of a loss that a comparison has not found, or that there was none.
func (p *rejoinPlanner) lost(none string) string {
	if why := p.notCompared(); why != "" {
		return "whatever only this node has, if there is anything: not compared with the primary's (" + why + ")"
	}
	return none
}

// notCompared says why nobody knows whether the data have diverged; empty where that is known.
func (p *rejoinPlanner) notCompared() string {
	const strangers = "the timelines known here and there do not meet"
	switch {
	case p.stopped() && p.up.Compared, p.local.ok() && p.askedErr == nil && p.asked.Compared:
		return ""
	case p.stopped():
		return strangers
	case !p.local.ok():
		return "PostgreSQL runs here and does not answer: " + first(p.local.err)
	case p.askedErr != nil:
		return first(p.askedErr)
	}
	return firstNonEmpty(p.asked.Refusal, strangers)
}

// archiveMayHelp refuses a new copy of a standby that has not tried its archive to the end.
func (p *rejoinPlanner) archiveMayHelp(refusal string) bool {
	var todo string
	switch {
	case p.restore == "" || p.clone:
		return false
	case p.stopped():
		todo = cleanupOf(p.resource.Name, p.node) + " starts it"
	case p.local.ok() && p.asked.Replaying:
		todo = "wait for its replay (pgsqlms status)"
	default:
		return false
	}
	p.Checks.add("standby", p.Node, false, levelError, "the primary does not keep the WAL any more that it would go on with ("+refusal+"); restore_command is set, and the archive may have it",
		"a standby that its archive cannot help", todo+"; --clone copies all the same")
	return true
}

// follows is for a standby that is neither diverged nor lost: what is wrong with it, new
// data would not mend.
func (p *rejoinPlanner) follows(refusal string) {
	why := p.notCompared()
	if refusal == "" && p.leftBehind() {
		p.Way, p.Lost = waySweep, "nothing"
		return
	}
	found := "neither diverged nor lost: it could go on from where it is"
	switch {
	case p.doubt != "":
		found = p.doubt + "; it is not known to have diverged or to be lost"
	case refusal != "":
		found = "not known to have diverged or to be lost; the primary says: " + refusal
	case why != "":
		found = "cannot be compared with the primary: " + why
	}
	p.Checks.add("standby", p.Node, false, levelError, found, "a standby that only new data can mend",
		"pgsqlms status; "+cleanupOf(p.resource.Name, p.node)+" tries it again; --clone copies all the same")
}

// leftBehind says whether a rejoin that was killed has left whole data, and has left behind
// what keeps them from being started.
func (p *rejoinPlanner) leftBehind() bool {
	switch {
	case p.premises.Unfinished && !p.stopped():
		return false
	case p.premises.Aside != "":
		p.Ailment = "whole, and not in their place: a rejoin that was killed has left them in " + p.premises.Aside
	case p.premises.Unfinished:
		p.Ailment = "whole, and not started: beside them is what a rejoin that was killed has left"
	case p.kept:
		p.Ailment = "whole, and kept from being started: a rejoin that was killed has left its constraint"
		p.onlyRelease = true
	default:
		return false
	}
	return true
}

func (p *rejoinPlanner) damage() string {
	switch {
	case !p.premises.Exists && p.premises.Unfinished:
		return "half-done: a rejoin was broken off, and its data are of no use"
	case !p.premises.Exists:
		return "gone: there is no " + p.premises.DataDir
	case p.dataErr != nil:
		return "damaged: " + first(p.dataErr)
	}
	return "damaged: " + first(p.diskErr)
}

func firstNonEmpty(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// notRewindable says why pg_rewind cannot repair what has diverged; empty if it can.
func (p *rejoinPlanner) notRewindable() string {
	s := p.up
	switch {
	case p.diskErr != nil:
		return first(p.diskErr)
	case p.diverged.Pending:
		return "what it has and the primary has not is received, and not replayed: pg_rewind would not see it"
	case p.disk.Timeline == s.End.Timeline:
		return fmt.Sprintf("both are on timeline %d, and pg_rewind goes by the timelines", s.End.Timeline)
	case !p.disk.Rewindable():
		return "this node had neither wal_log_hints nor data checksums, without which pg_rewind misses changes"
	case pg.IsAuth(p.sqlErr), pg.IsNoPrivilege(p.sqlErr):
		return "the primary does not let this node in for SQL: " + first(p.sqlErr)
	case p.sqlErr != nil:
		p.letIn()
		return "the primary cannot be asked by SQL: " + first(p.sqlErr)
	case !p.upSQL.Allowed:
		return "the role in primary_conninfo may not read the primary's files: pg_rewind needs a superuser, or four functions granted (docs/commands.md)"
	case !p.upSQL.FullPageWrites:
		return "full_page_writes is off on the primary"
	}
	return ""
}

// letIn refuses to copy everything for a primary that has not answered by SQL just now. What
// another try would not mend is a reason why pg_rewind cannot be used.
func (p *rejoinPlanner) letIn() {
	if p.clone || !p.mayAnswer() {
		return
	}
	p.must("connection", false, "asked by SQL, "+p.primary+" has not answered: "+first(p.sqlErr), "an answer: it says whether pg_rewind can do, or everything is to be copied",
		"try again; or a new copy: pgsqlms rejoin --clone")
}

// mayAnswer says of a primary that has not answered by SQL that it may the next time.
func (p *rejoinPlanner) mayAnswer() bool {
	return pg.IsPassing(p.sqlErr) || errors.Is(p.sqlErr, errHangs)
}

// The check of the slot by which this node's instance is to stream, and where its name is set.
const (
	slotCheck   = "slot"
	slotSetting = "primary_slot_name"
	anotherSlot = "another " + slotSetting + " in postgresql.conf on this node"
)

// upstreamSlot looks for the slot by which this node's instance is to stream: slots are not
// replicated, and after a failover nobody may have made it. Without it new data would not stream.
func (p *rejoinPlanner) upstreamSlot() {
	if p.settingsErr != nil {
		p.Checks.add(slotCheck, "", false, levelWarning, slotSetting+" is not known: "+first(p.settingsErr), "to know it: without its slot on "+p.primary+" "+p.streamer()+" would not stream", "")
		return
	}
	if p.slot == "" {
		return
	}
	n := slices.IndexFunc(p.upSQL.Slots, func(s pg.Slot) bool { return s.Name == p.slot })
	unseen := p.sqlErr
	if unseen == nil {
		unseen = p.upSQL.SlotsErr
	}
	switch {
	case !pg.IsSlotName(p.slot):
		p.badSlot(fmt.Sprintf("%s is %q", slotSetting, p.slot), "a to z, 0 to 9 and _", slotSetting+" in postgresql.conf on this node")
	case unseen != nil:
		p.unseenSlot(unseen)
	case n < 0:
		p.badSlot("no slot "+p.slot+" on "+p.primary, p.slotToStreamBy(), p.makeSlot(p.primary, p.slot, keepFromNow))
	default:
		p.seenSlot(p.upSQL.Slots[n])
	}
}

// streamer is what is to stream by the slot.
func (p *rejoinPlanner) streamer() string {
	if p.Way == waySweep {
		return "this node"
	}
	return "the new data"
}

func (p *rejoinPlanner) slotToStreamBy() string {
	verb := "are"
	if p.Way == waySweep {
		verb = "is"
	}
	return "the slot of " + slotSetting + ", by which " + p.streamer() + " " + verb + " to stream"
}

// badSlot refuses to make data that would not stream. Where none are made it only says so.
func (p *rejoinPlanner) badSlot(found, expected, todo string) {
	bad := levelError
	if p.Way == waySweep {
		bad = levelWarning
	}
	p.Checks.add(slotCheck, "", false, bad, found, expected, todo)
}

// seenSlot judges the slot as the primary has it.
func (p *rejoinPlanner) seenSlot(found pg.Slot) {
	here, lost := "slot "+p.slot+" on "+p.primary, found.Status == pg.SlotLost && !p.streaming
	switch {
	case found.Logical:
		p.badSlot(here+" is a logical one", p.slotToStreamBy(), anotherSlot)
	case lost && p.up.Major < pg.SlotRefusedMajor:
		p.Checks.add(slotCheck, "", false, levelWarning, here+" is lost: it lets a standby stream, and keeps no WAL for it", "one that keeps what "+p.streamer()+" will lack", p.makeSlotAnew(p.primary, p.slot, keepFromNow))
	case lost:
		p.badSlot(here+" is lost: nobody can stream by it any more", p.slotToStreamBy(), p.makeSlotAnew(p.primary, p.slot, keepFromNow))
	case found.Active && !p.streaming:
		p.Checks.add(slotCheck, "", false, levelWarning, here+" is in use", "one that nobody else streams by; the primary may not have noticed yet that this node does not", "pgsqlms status, on "+p.primary)
	default:
		p.must(slotCheck, true, here+" is there", "", "")
	}
}

// unseenSlot is for a primary that does not say by SQL which slots it has. What it says to
// this node's instance may be of the slot. Only one that is invalidated, which nobody can use
// any more, is to be dropped: any other may be somebody's place in the log.
func (p *rejoinPlanner) unseenSlot(why error) {
	said, create := p.asked.Refusal, p.makeSlot(p.primary, p.slot, keepFromNow)
	says := func(words string) bool { return strings.Contains(said, words) } // PostgreSQL's
	var todo string
	switch {
	case !says("replication slot") || says("is active for PID"):
		p.Checks.add(slotCheck, "", false, levelWarning, p.primary+" does not say whether it has slot "+p.slot+": "+first(why), p.slotToStreamBy(), "where it has none: "+create)
		return
	case says("does not exist"):
		todo = create
	case pg.SlotInvalidated(said):
		todo = p.makeSlotAnew(p.primary, p.slot, keepFromNow)
	case says("logical replication slot"):
		todo = anotherSlot
	}
	p.badSlot(p.primary+" says: "+said, p.slotToStreamBy(), todo)
}

// ownSlots are lost whatever way is chosen: neither pg_rewind nor pg_basebackup leaves any.
func (p *rejoinPlanner) ownSlots() {
	if p.Way != wayRewind && p.Way != wayClone {
		return
	}
	kinds := map[pg.SlotKind][]string{}
	for _, slot := range p.premises.Slots {
		p.LostSlots = append(p.LostSlots, slot.Name)
		kinds[slot.Kind] = append(kinds[slot.Kind], slot.Name)
	}
	for _, one := range []struct {
		kind       pg.SlotKind
		what, anew string
	}{
		{pg.SlotPhysical, "physical replication slots", "each is made anew, once it streams, with " + p.makeSlot(p.node, "NAME", "")},
		{pg.SlotLogical, "logical replication slots", "each comes back by itself where it is synced from the primary, else its consumer makes it anew"},
		{pg.SlotUnknown, "other replication slots", "of what kind cannot be read; whoever uses one makes it anew"},
	} {
		if names := kinds[one.kind]; len(names) > 0 {
			p.lostSlots = append(p.lostSlots, fmt.Sprintf("the %s of %s itself: %s; %s", one.what, p.node, strings.Join(names, ", "), one.anew))
		}
	}
}

// leftovers refuses what is to be removed and cannot be, or must not: of a volume that is
// mounted there only the mount point would stay.
func (p *rejoinPlanner) leftovers() {
	d := p.premises
	if p.onlyRelease {
		return
	}
	if d.OwnApart != "" {
		p.Checks.add("own files", "", false, levelWarning, "a rejoin that was broken off has put this node's own files into "+d.OwnApart+", and from there they come back",
			"no change made to those in "+d.DataDir+" since then", "make it in "+d.OwnApart)
	}
	for _, point := range d.MountedWork {
		p.must("directory", false, point+" is a mount point", "no file system in "+d.Work+", which is removed", "umount "+point)
	}
	if d.StuckInWork != "" {
		p.must("directory", false, d.StuckInWork+" cannot be emptied by "+p.instance.user.Name, "to be able to: it is removed", "chown -R "+p.instance.user.Name+" "+d.StuckInWork)
	}
}

// room looks whether there is place for what is made, and for what is kept.
func (p *rejoinPlanner) room() {
	d := p.premises
	const check = "directory"
	if !p.lookedAt() {
		p.must(check, false, answered(p.premisesErr), "a data directory that can be looked at", "")
		return
	}
	p.must(check, d.Writable, parentOf(d.DataDir)+" "+map[bool]string{true: "can", false: "cannot"}[d.Writable]+" be written to by "+p.instance.user.Name,
		"to be able to: the new data are made in "+d.Work, "give "+parentOf(d.DataDir)+" to "+p.instance.user.Name+", or rejoin by hand (docs/commands.md)")
	p.mounted()
	p.ownFiles()
	p.volume()
	p.Keep = !p.discard && d.Exists
	p.InPlace = p.Way == wayRewind && p.discard
	p.noClone = p.cloneObstacle()
	switch {
	case p.InPlace:
		p.roomInstead()
		if d.Relative != "" {
			p.must(check, false, d.DataDir+"/"+d.Relative+" is a link that leads from where it is", "an absolute one: the data directory is moved for the rewind", "ln -sfn TARGET "+d.DataDir+"/"+d.Relative)
		}
	case p.Way == wayRewind && p.elsewhere() != "":
		p.must(check, false, p.elsewhere(), "data that can be copied with one directory", "pgsqlms rejoin --discard-old: pg_rewind then works in place")
	case p.Way == wayClone && p.noClone != "":
		p.must(check, false, p.noClone, "data that are in one directory", "rejoin by hand (docs/commands.md)")
	default:
		p.space()
	}
}

// lookedAt says whether what lies in the data directory's place is known, but for single files
// that could not be read.
func (p *rejoinPlanner) lookedAt() bool {
	var unreadable *fs.PathError
	err := p.premisesErr
	return p.premises.DataDir != "" && (err == nil || errors.As(err, &unreadable) && !errors.Is(err, pg.ErrMountsUnknown))
}

// ownFiles refuses this node's own files that the system user could not copy, or not remove.
func (p *rejoinPlanner) ownFiles() {
	d := p.premises
	if d.OwnErr != nil {
		p.must("own files", false, first(d.OwnErr), "this node's own files in the data directory, which "+p.instance.user.Name+" can read", "give them to "+p.instance.user.Name+", or move them away")
	}
	if p.discard && d.Unremovable != "" {
		p.must("own files", false, d.Unremovable+" cannot be emptied by "+p.instance.user.Name, "directories that can be, where the old data are not kept", "chown -R "+p.instance.user.Name+" "+d.Unremovable)
	}
}

// mounted refuses a data directory that is a mount point, which cannot be renamed, or has one
// in it: the kernel moves a mount with the directory, so the volume would go with the old
// data, and at the next boot cover what is in its place.
func (p *rejoinPlanner) mounted() {
	const check = "directory"
	d := p.premises
	if len(d.Mounted) == 0 {
		p.must(check, true, d.DataDir+" can be renamed", "", "")
	}
	for _, point := range d.Mounted {
		expected := "no mount point in the data directory: the volume would go with the old data, and the new ones be on another"
		if point == d.DataDir {
			expected = "a directory below the mount point: one that is mounted cannot be put aside"
		}
		p.must(check, false, point+" is a file system of its own", expected, "rejoin by hand (docs/commands.md)")
	}
}

// volume refuses to make data in the place of a volume that is not mounted, and warns where
// data are gone without a trace of them, as from a mount point.
func (p *rejoinPlanner) volume() {
	d := p.premises
	gone := !d.Exists && !d.Unfinished || d.Exists && d.Empty
	before := p.Checks.count(levelError)
	for _, point := range d.Unmounted {
		if gone || p.damaged || strings.HasPrefix(point, d.DataDir+"/") {
			p.must("volume", false, point+" stands in /etc/fstab, and nothing is mounted there", "the volume: its data may be whole, and would cover new ones at the next boot",
				"mount "+point+"; or take the line out of /etc/fstab, where the volume is no more")
		}
	}
	if !gone || p.Checks.count(levelError) > before {
		return
	}
	found := d.DataDir + " is empty"
	if !d.Exists {
		found = "there is no " + d.DataDir
	}
	p.Checks.add("volume", "", false, levelWarning, found, "data of PostgreSQL, unless the disk is a new one", "look whether a volume is to be mounted there or above, on which they may be whole")
}

// cloneObstacle says why pg_basebackup cannot make a directory that takes this one's place.
func (p *rejoinPlanner) cloneObstacle() string {
	if p.sqlErr == nil && p.upSQL.Tablespaces > 0 {
		return fmt.Sprintf("the primary has %s, for which pg_basebackup would need empty directories here", plural(p.upSQL.Tablespaces, "tablespace"))
	}
	return p.elsewhere()
}

// elsewhere says what of the data is not in the data directory.
func (p *rejoinPlanner) elsewhere() string {
	switch {
	case p.premises.WALLink != "":
		return "pg_wal is a link to " + p.premises.WALLink
	case p.premises.Tablespaces > 0:
		return plural(p.premises.Tablespaces, "tablespace") + " outside of the data directory"
	}
	return ""
}

// slack is what a copy needs beyond the size that was found: the WAL that is written
// meanwhile, and what a rewind fetches.
const slack = 256 << 20

// roomInstead looks whether there is room for the new copy that takes the place of a rewind in
// place that fails.
func (p *rejoinPlanner) roomInstead() {
	d := p.premises
	if p.noClone != "" || !d.Sized {
		return
	}
	size, _ := p.copySize()
	need, free := size+2*d.Own+slack, d.Free+d.Left
	if p.noRoom = free < need; p.noRoom && free+d.Size < need {
		p.noClone = fmt.Sprintf("%s would be free without the old data, and about %s are needed", bytesText(free+d.Size), bytesText(need))
		p.Checks.add("space", "", false, levelWarning, p.noClone+" for a new copy", "enough for one, should pg_rewind fail", "make room")
	}
}

// copySize is that of a new copy, in bytes, or of the data here where the primary's is not
// known.
func (p *rejoinPlanner) copySize() (size uint64, known bool) {
	p.bySize = true
	if p.upSize > 0 {
		return p.upSize, true
	}
	return p.premises.Size, p.premises.Sized && p.premises.Exists
}

func (p *rejoinPlanner) space() {
	d := p.premises
	p.Bytes = d.Size
	sized := d.Sized && d.Exists
	if p.Way == wayClone {
		p.Bytes, sized = p.copySize()
	}
	todo := "make room"
	if d.Unfinished && !d.Exists {
		todo += ", but leave " + d.Work + "/own, this node's own files"
	}
	if !p.discard && d.Exists {
		todo += ", or: pgsqlms rejoin --discard-old"
	}
	need, free := p.Bytes+2*d.Own+slack, d.Free+d.Left // the own files are put aside, and copied back from there
	if !sized {
		p.Bytes = 0
		p.Checks.add("space", "", false, levelWarning, bytesText(free)+" are free; how much is needed was not to be found out", "enough: on a full disk the copy fails, and nothing is changed", "")
		return
	}
	if p.noRoom = p.discard && free < need; p.noRoom {
		p.DropFirst, free = p.Way == wayClone, free+d.Size
	}
	if p.DropFirst && d.Exists && p.sqlErr != nil {
		todo := "pgsqlms check; pg_hba.conf on " + p.primary + "; or make room"
		if p.mayAnswer() {
			todo = "try again; or make room"
		}
		p.must("tablespaces", false, p.primary+" does not say whether it has any: "+first(p.sqlErr), "to know before the old data are removed that it has none, with which pg_basebackup would fail", todo)
	}
	p.must("space", free >= need, bytesText(free)+" are free", "about "+bytesText(need)+" in "+parentOf(d.DataDir), todo)
}

func parentOf(path string) string {
	if n := strings.LastIndexByte(path, '/'); n > 0 {
		return path[:n]
	}
	return "/"
}

// steps says what will happen.
func (p *rejoinPlanner) steps() {
	add := func(format string, args ...any) { p.Steps = append(p.Steps, fmt.Sprintf(format, args...)) }
	stop := "does not start PostgreSQL here meanwhile"
	if !p.stopped() {
		stop = "stops PostgreSQL here, and does not start it meanwhile"
	}
	id := crm.RejoinID(p.resource.Clone, p.node)
	if p.onlyRelease {
		add("constraint %s is removed", id)
	} else {
		add("Pacemaker %s: constraint %s, which is removed again, whatever happens", stop, id)
	}
	if p.premises.Aside != "" {
		add("the data are moved back from %s to %s", p.premises.Aside, p.premises.DataDir)
	}
	switch {
	case p.onlyRelease:
	case p.Way == waySweep:
		add("%s is removed", p.premises.Work)
	case p.Way == wayRewind:
		p.rewindSteps(add)
	case p.Way == wayClone:
		p.cloneSteps(add)
	}
	if p.Way != waySweep {
		add("this node's own files in the data directory (configuration, certificates, logs) stay as they are here")
	}
	add("Pacemaker forgets the failures of %s here and starts it; it is waited for until it streams", p.resource.Name)
}

// old says what becomes of the old data.
func (p *rejoinPlanner) old() string {
	if p.Keep {
		return "the old data are kept as " + p.premises.DataDir + ".before-rejoin-TIME"
	}
	return "nothing is kept"
}

func (p *rejoinPlanner) rewindSteps(add func(string, ...any)) {
	if !p.upSQL.Settled() {
		add("%s has not made its first checkpoint on timeline %d yet: it is waited for", p.primary, p.upSQL.Timeline)
	}
	if p.InPlace {
		add("pg_rewind takes back what %s does not have, in the data directory itself; %s", p.primary, p.old())
	} else {
		add("%s is copied%s, and pg_rewind takes back in the copy what %s does not have; %s", p.premises.DataDir, p.sizeText(" (%s)"), p.primary, p.old())
	}
	switch {
	case p.noClone != "":
	case p.InPlace && p.noRoom:
		add("should pg_rewind fail: the old data are removed first, since there is no room for both, and pg_basebackup makes a new copy of %s", p.primary)
	default:
		add("should pg_rewind fail: a new copy of %s by pg_basebackup instead", p.primary)
	}
}

func (p *rejoinPlanner) cloneSteps(add func(string, ...any)) {
	if p.DropFirst {
		add("the old data are removed, since there is no room for both")
	}
	add("pg_basebackup copies %s%s, because %s; %s", p.primary, p.sizeText(" (about %s)"), p.WhyClone, p.old())
}

// sizeText is what is copied, where that is known.
func (p *rejoinPlanner) sizeText(format string) string {
	if p.Bytes == 0 {
		return ""
	}
	return fmt.Sprintf(format, bytesText(p.Bytes))
}
