package operator

import (
	"errors"
	"fmt"
	"io/fs"
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

	Ailment   string  `json:"found,omitempty"`                  // what is wrong with it
	Lost      string  `json:"would_be_lost,omitempty"`          // what only this node has
	LostBytes *uint64 `json:"would_be_lost_bytes,omitempty"`    // of WAL
	Way       way     `json:"way,omitempty"`                    //
	WhyClone  string  `json:"why_not_rewind,omitempty"`         // why pg_rewind cannot
	InPlace   bool    `json:"in_place"`                         // the data directory itself is rewound
	DropFirst bool    `json:"removes_old_data_first"`           // for room
	Keep      bool    `json:"keeps_old_data"`                   //
	Bytes     uint64  `json:"bytes_to_copy_or_fetch,omitempty"` // about so many

	Steps []string `json:"steps"`

	noRoom  bool   // for old and new data side by side
	noClone string // why there cannot be a new copy instead of a rewind that fails; empty if there can
}

// planRejoin judges what was found.
func planRejoin(f rejoinFacts, o choices) rejoinPlan {
	p := rejoinPlanner{rejoinFacts: f, choices: o}
	p.Node, p.Primary, p.Checks, p.Steps = f.node, f.primary, findings{}, []string{}
	p.cluster()
	p.source()
	p.here()
	if p.Nothing = f.streams() && p.Checks.count(levelError) == 0; p.Nothing {
		p.Checks.add("standby", p.Node, true, levelError, "streams from "+p.Primary, "", "")
		if p.premises.Unfinished {
			p.Checks.add("directory", "", false, levelWarning, "left over: "+p.premises.Work, "nothing of that name: PostgreSQL is not started beside it", "rm -r "+p.premises.Work)
		}
		return p.rejoinPlan
	}
	if p.Checks.count(levelError) == 0 { // else the comparison means nothing
		p.ailment()
	}
	if p.Checks.count(levelError) == 0 && p.Way != waySweep {
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

	diverged *pg.Divergence
	damaged  bool // the data cannot be compared: gone, or not to be believed
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
	p.must("quorum", p.state.Quorum && p.state.DC != "", fmt.Sprintf("quorum %s, coordinator %s", yesNo(&p.state.Quorum, "yes", "no"), orUnknown(p.state.DC, true)),
		"a quorum and a coordinator", "corosync-quorumtool")
	p.must("maintenance", !p.state.Maintenance, "maintenance mode "+yesNo(&p.state.Maintenance, "on", "off"), "off: Pacemaker would not start it again",
		"crm_attribute -n maintenance-mode -v false")
	p.must("promotable", p.resource.Promotable(), p.resource.Name+" in "+orUnknown(p.resource.Clone, true), "a promotable clone", "README.md, Quick start")
	member, known := p.state.Node(p.node)
	p.must("node", known && member.Online && !member.Standby && !member.Maintenance && !member.Unclean && !member.Shutdown, orUnknown(p.node, true)+nodeText(member),
		"online, neither in standby nor in maintenance mode", "pgsqlms status")
	p.resourceChecks()
}

// resourceChecks are of the resource, as far as Pacemaker has to stop and start it here.
func (p *rejoinPlanner) resourceChecks() {
	var busy []string
	for _, i := range p.state.Instances {
		if i.Resource == p.resource.Name && i.Pending != "" && i.Pending != "Monitoring" {
			busy = append(busy, i.Node+": "+i.Pending)
		}
	}
	p.must("transition", len(busy) == 0, orNone(busy), "nothing under way", "crm_resource --wait")
	placed, runs := p.state.On(p.resource.Name, p.node)
	p.must("managed", !runs || placed.Managed && !placed.Blocked, p.node+instanceText(placed), "managed: Pacemaker has to stop and start it", "pgsqlms status")
	for _, l := range p.cib.LocationsOf(p.resource) {
		if l.Node == p.node && l.Score <= -crm.Infinity && l.Role != crm.RolePromoted && !crm.IsRejoin(l.ID) {
			p.must("constraints", false, l.ID+" "+constraintText(l), "no ban of this node: Pacemaker would not start it again", "crm_resource --clear -r "+p.resource.Clone+" --node "+p.node)
		}
	}
}

// source is the primary, from which the data come.
func (p *rejoinPlanner) source() {
	promoted := p.state.Promoted(p.resource.Name)
	p.must("primary", len(promoted) == 1, "promoted: "+orNone(promoted), "one node, whose data are the cluster's", "pgsqlms status")
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
	removed := s.Removed() || pg.Source{Refusal: p.asked.Refusal}.Removed()
	p.diverged = s.Divergence
	if p.diverged == nil {
		p.diverged = p.asked.Divergence
	}
	p.damaged = !p.local.ok() && (p.diskErr != nil || p.dataErr != nil || !p.premises.Exists)
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
	case removed:
		p.Ailment = fmt.Sprintf("lost: the primary does not keep the WAL any more that it would go on with (%s)", firstNonEmpty(s.Refusal, p.asked.Refusal))
		p.Lost = "nothing: the primary has all that is here"
		p.WhyClone = "nothing is here that the primary does not have: it lacks what the primary has not got any more"
	case p.clone:
		p.Ailment = "nothing that a new copy would be needed for was found"
		p.Lost = "nothing that the primary does not have was found"
	default:
		p.follows(firstNonEmpty(s.Refusal, p.asked.Refusal))
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

// follows is for a standby that is neither diverged nor lost: what is wrong with it, new
// data would not mend.
func (p *rejoinPlanner) follows(refusal string) {
	if p.premises.Unfinished && p.stopped() && refusal == "" {
		p.Way, p.Ailment, p.Lost = waySweep, "whole, and not started: beside them is what a rejoin that was killed has left", "nothing"
		return
	}
	found := "neither diverged nor lost: it could go on from where it is"
	if refusal != "" {
		found = "not known to have diverged or to be lost; the primary says: " + refusal
	}
	if p.local.ok() && p.askedErr != nil {
		found = "cannot be compared with the primary: " + first(p.askedErr)
	}
	if !p.local.ok() && !p.stopped() {
		found = "runs and does not answer, and cannot be compared with the primary: " + first(p.local.err)
	}
	p.Checks.add("standby", p.Node, false, levelError, found, "a standby that only new data can mend",
		"pgsqlms status; "+cleanupOf(p.resource.Name, p.node)+" tries it again; --clone copies all the same")
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
	case p.sqlErr != nil:
		return "the primary does not let this node in for SQL: " + first(p.sqlErr)
	case !p.upSQL.Allowed:
		return "the role in primary_conninfo may not read the primary's files: pg_rewind needs a superuser, or four functions granted (docs/commands.md)"
	case !p.upSQL.FullPageWrites:
		return "full_page_writes is off on the primary"
	}
	return ""
}

// room looks whether there is place for what is made, and for what is kept.
func (p *rejoinPlanner) room() {
	d := p.premises
	const check = "directory"
	var unreadable *fs.PathError
	if p.premisesErr != nil && !errors.As(p.premisesErr, &unreadable) || d.DataDir == "" {
		p.must(check, false, answered(p.premisesErr), "a data directory that can be looked at", "")
		return
	}
	p.must(check, d.Writable, parentOf(d.DataDir)+" "+map[bool]string{true: "can", false: "cannot"}[d.Writable]+" be written to by "+p.instance.user.Name,
		"to be able to: the new data are made in "+d.Work, "give "+parentOf(d.DataDir)+" to "+p.instance.user.Name+", or rejoin by hand (docs/commands.md)")
	p.must(check, !d.Mounted, d.DataDir+map[bool]string{true: " is a file system of its own", false: " can be renamed"}[d.Mounted],
		"a directory below the mount point: one that is mounted cannot be put aside", "rejoin by hand (docs/commands.md)")
	p.Keep = !p.discard && d.Exists
	p.InPlace = p.Way == wayRewind && p.discard
	p.noClone = p.cloneObstacle()
	switch {
	case p.InPlace:
		p.noRoom = p.premises.Free < p.premises.Size+slack // should it have to be a new copy in the end
	case p.Way == wayRewind && p.elsewhere() != "":
		p.must(check, false, p.elsewhere(), "data that can be copied with one directory", "pgsqlms rejoin --discard-old: pg_rewind then works in place")
	case p.Way == wayClone && p.noClone != "":
		p.must(check, false, p.noClone, "data that are in one directory", "rejoin by hand (docs/commands.md)")
	default:
		p.space()
	}
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

func (p *rejoinPlanner) space() {
	p.Bytes = p.premises.Size
	if p.Way == wayClone && p.sqlErr == nil && p.upSQL.Size > 0 {
		p.Bytes = p.upSQL.Size
	}
	need, free := p.Bytes+slack, p.premises.Free
	if p.noRoom = p.discard && free < need; p.noRoom {
		p.DropFirst, free = p.Way == wayClone, free+p.premises.Size
	}
	todo := "make room"
	if !p.discard {
		todo += ", or: pgsqlms rejoin --discard-old"
	}
	p.must("space", free >= need, bytesText(free)+" are free", "about "+bytesText(need)+" in "+parentOf(p.premises.DataDir), todo)
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
	add("Pacemaker %s: constraint %s, which is removed again, whatever happens", stop, crm.RejoinID(p.resource.Clone, p.node))
	switch p.Way {
	case waySweep:
		add("%s is removed", p.premises.Work)
	case wayRewind:
		p.rewindSteps(add)
	case wayClone:
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
		add("%s is copied (%s), and pg_rewind takes back in the copy what %s does not have; %s", p.premises.DataDir, bytesText(p.Bytes), p.primary, p.old())
	}
	if p.noClone == "" {
		add("should pg_rewind fail: a new copy of %s by pg_basebackup instead", p.primary)
	}
}

func (p *rejoinPlanner) cloneSteps(add func(string, ...any)) {
	if p.DropFirst {
		add("the old data are removed, since there is no room for both")
	}
	add("pg_basebackup copies %s (about %s), because %s; %s", p.primary, bytesText(p.Bytes), p.WhyClone, p.old())
}
