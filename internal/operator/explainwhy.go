package operator

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"pgsqlms/internal/crm"
	"pgsqlms/internal/election"
	"pgsqlms/metadata"
)

// verdicts says who is promoted and why, or why nobody is, and the same of each node.
func (e *explainer) verdicts(v *explainView) {
	a := assessor{survey: e.survey, v: e.v}
	v.Primary = e.promoted()
	for _, n := range e.v.Nodes {
		if v.Primary == "" && e.stateErr != nil && n.Role == rolePrimary {
			v.Primary = n.Name // PostgreSQL's own word
		}
	}
	for _, n := range e.v.Nodes {
		if v.Asked == "" || v.Asked == n.Name {
			v.Nodes = append(v.Nodes, e.verdict(&a, n, v.Primary))
		}
	}
	if v.Primary != "" {
		v.dead = e.dead(v.Primary)
		v.Verdict, v.Since = e.since(v.Primary, v.Changes)
		v.Because = append(v.Because, e.beside(v.Primary)...)
		return
	}
	v.Because = append(v.Because, e.causes(&a)...)
	v.Verdict = "nobody is promoted"
	if len(v.Because) > 0 {
		v.Verdict += ": " + v.Because[0].Text
	}
	v.Verdict = e.doubt(v.Verdict)
}

// doubt is for a node without Pacemaker, where only PostgreSQL was asked.
func (e *explainer) doubt(verdict string) string {
	if e.stateErr != nil {
		return "who is promoted cannot be told on this node: " + first(e.stateErr)
	}
	return verdict
}

// since is the sentence about a primary.
func (e *explainer) since(primary string, changes []changeView) (string, *time.Time) {
	text := primary + " is the primary"
	if e.dead(primary) {
		text += " by Pacemaker's word, and its instance does not answer"
	}
	if e.stateErr != nil {
		text += ", by PostgreSQL's own word"
	}
	at := e.promotedAt(primary)
	if at != nil {
		text += fmt.Sprintf(" since %s (%s ago)", timeText(*at), durationText(e.taken.Sub(*at)))
	}
	reason := ""
	if p := e.lastOf(primary); p != nil {
		reason = p.Reason
	}
	if len(changes) > 0 && changes[0].To == primary && changes[0].Reason != "" {
		reason = changes[0].Reason
	}
	if reason != "" {
		text += ", because: " + reason
	}
	return text, at
}

// dead says of a primary by Pacemaker's word that its instance does not answer: it has died, or
// hangs, and Pacemaker has yet to notice. One that only refuses to let this node ask is there.
func (e *explainer) dead(primary string) bool {
	a := assessor{survey: e.survey, v: e.v}
	here := primary == e.node && !e.local.ok() && !errors.Is(e.local.err, errNotAsked)
	return e.stateErr == nil && (here || a.reportOf(primary) == nil && a.unreachable(primary))
}

// promotedAt is when a primary was promoted, by the CIB, else by history; nil where
// neither can tell.
func (e *explainer) promotedAt(primary string) *time.Time {
	if op, found := e.cib.Last(e.resource.Name, primary, "promote"); found && op.Done && op.Code == 0 {
		return known(op.At)
	}
	if p := e.lastOf(primary); p != nil && !p.AtMost {
		return p.At
	}
	return nil
}

// lastOf is the last promotion of a node; nil where history knows none.
func (e *explainer) lastOf(node string) *promotionView {
	for n := range slices.Backward(e.past.Promotions) {
		if p := &e.past.Promotions[n]; p.To == node && p.At != nil && !p.Skipped {
			return p
		}
	}
	return nil
}

// beside is what is wrong with the cluster although somebody is promoted.
func (e *explainer) beside(primary string) (said []remark) {
	if e.stateErr != nil {
		return []remark{{Text: "Pacemaker does not answer on this node: " + first(e.stateErr), ToDo: pacemakerToDo(e.stateErr)}}
	}
	for _, n := range e.v.Nodes {
		if n.Name == primary && n.Role == roleStandby {
			said = append(said, remark{primary, "Pacemaker holds it for promoted, and PostgreSQL there is a standby: a transition is under way, or it was changed by hand", "pgsqlms status"})
		}
	}
	if e.dead(primary) {
		said = append(said, remark{primary, "its instance does not answer: Pacemaker notices at its next monitor, or when Corosync has lost the node, and acts then", "pgsqlms status, on " + primary})
	}
	for _, l := range e.around() {
		if name, of := e.about(l); name != l.ID && l.Score >= crm.Infinity { // the role's own are in the last change
			said = append(said, remark{l.Node, fmt.Sprintf("constraint %s %s: it draws the primary to that node whenever it can run there", name, constraintText(l)), removal(l, of)})
		}
	}
	return append(said, e.fencings()...)
}

// causes are why nobody is promoted, the one to look at first first: Pacemaker does not
// come to the later ones before the earlier ones are mended.
func (e *explainer) causes(a *assessor) (causes []remark) {
	if e.stateErr != nil {
		return []remark{{e.node, "Pacemaker does not answer on this node: " + first(e.stateErr), pacemakerToDo(e.stateErr)}}
	}
	causes = append(causes, e.clusterCauses()...)
	causes = append(causes, e.fencings()...)
	causes = append(causes, e.underWay()...)
	causes = append(causes, e.elections()...)
	if len(causes) > 0 {
		return causes
	}
	if slices.ContainsFunc(e.v.Nodes, func(n nodeView) bool { return len(e.against(a, n)) == 0 }) {
		return []remark{{Text: "no reason is known; a transition may be about to begin", ToDo: "crm_resource --wait; then pgsqlms explain"}}
	}
	return []remark{{Text: "every node has a reason against it, see below", ToDo: "mend the one whose data count: pgsqlms status"}}
}

func (e *explainer) clusterCauses() (causes []remark) {
	add := func(found bool, text, todo string) {
		if found {
			causes = append(causes, remark{Text: text, ToDo: todo})
		}
	}
	add(e.state.DC == "", "no node coordinates the cluster", "corosync-quorumtool")
	idle := !e.state.Quorum && e.cib.NoQuorumPolicy() != crm.NoQuorumIgnore
	add(e.state.DC != "" && idle, e.noQuorum(), e.quorumToDo())
	add(*e.v.Pacemaker.Maintenance, "maintenance mode is on: Pacemaker does nothing", "crm_attribute -n maintenance-mode -v false")
	return append(causes, e.toldSo()...)
}

// fencings are the nodes that wait to be fenced: nothing that ran there goes on elsewhere
// before.
func (e *explainer) fencings() (causes []remark) {
	for _, node := range e.state.Nodes {
		if !node.Unclean {
			continue
		}
		failed, last, pending := 0, crm.Fencing{}, false
		for _, f := range e.state.Fencings {
			switch {
			case f.Target != node.Name:
			case f.Status == "pending":
				pending = true
			case f.Status == "failed":
				failed++
				if f.Completed.After(last.Completed) {
					last = f
				}
			}
		}
		text := node.Name + " is lost and not fenced yet: until a fencing has worked, it may still write, and nobody is promoted in its place"
		todo := "crm_mon -1 -m 3"
		switch {
		case !e.cib.Fencing():
			text = node.Name + " is lost, and fencing is off: Pacemaker cannot know whether it still writes"
			todo = "configure a fence device"
		case failed > 0:
			text += fmt.Sprintf("; fencing of it has failed, the last time at %s", timeText(last.Completed))
			if last.Reason != "" {
				text += " (" + last.Reason + ")"
			}
			todo = "mend the fence device; or, only if you have seen that it is off: stonith_admin --confirm " + node.Name
		}
		if pending {
			text += "; an attempt is under way"
		}
		causes = append(causes, remark{node.Name, text, todo})
	}
	return causes
}

// underWay is what Pacemaker does at this moment.
func (e *explainer) underWay() (causes []remark) {
	for _, i := range e.state.Instances {
		if i.Resource == e.resource.Name && i.UnderWay() {
			causes = append(causes, remark{i.Node, "Pacemaker is at work there: " + i.Pending, "wait: crm_resource --wait"})
		}
	}
	return causes
}

// elections are those that wait for somebody, by the nodes' status, else by the votes
// that stand.
func (e *explainer) elections() (causes []remark) {
	for _, n := range e.v.Nodes {
		text := e.cib.Status(n.Name, e.resource.Name)
		if strings.HasPrefix(text, "waits for ") {
			causes = append(causes, remark{n.Name, "the election on " + n.Name + " " + text,
				"start the instance of one that it waits for, with the data it had; the promotion goes on by itself"})
		}
		if strings.HasPrefix(text, election.NoneWithinLimit) {
			return append([]remark{{n.Name, text, "bring the old primary back, with the data it had"}},
				e.only("only if what that node lacks may be lost", metadata.MaxLag, "0")...)
		}
	}
	if len(causes) > 0 {
		return append(causes, e.only("only if these are lost for good, and with them what they alone held", metadata.SyncGuard, "false")...)
	}
	if reason := e.nomination(); reason != "" {
		return []remark{{Text: reason, ToDo: "bring the node back that it names; without a record of a primary, give the node whose data count a score: attrd_updater -n " +
			crm.ScoreAttribute(e.resource.Name) + " -N NODE -U 1"}}
	}
	return nil
}

// only is the way that costs data: a guard is switched off, and on again before the next
// failover.
func (e *explainer) only(when, parameter, off string) []remark {
	set := "crm_resource -r " + e.resource.Name + " --set-parameter " + parameter + " --parameter-value "
	back := e.resource.Params[parameter]
	if back == "" || back == off {
		back = metadata.Default(parameter)
	}
	said := []remark{{Text: when + ":", ToDo: set + off}}
	if back != off {
		said = append(said, remark{Text: "and as soon as there is a primary:", ToDo: set + back})
	}
	return said
}

// nomination is what the votes come to that stand now; empty where they have a winner, a
// node has a score, or nobody has voted.
func (e *explainer) nomination() string {
	_, off := e.guardOff()
	v := election.Vacancy{Guard: !off}
	for _, node := range e.state.Nodes {
		if score, found := e.cib.Score(node.Name, e.resource.Name); found && score >= 0 {
			return ""
		}
		if node.Online && !node.Remote {
			v.Members = append(v.Members, node.Name)
		}
		if vote, err := election.ParseBallot(node.Name, e.votes[node.Name]); err == nil {
			v.Votes = append(v.Votes, vote)
		}
	}
	if r, err := election.ParseRecord(e.cib.Record(e.resource.Name)); err == nil {
		v.Record = &r
	}
	if len(v.Votes) == 0 {
		return ""
	}
	n := election.Nominate(v)
	if n.Node != "" {
		return ""
	}
	return "by the votes that are there now: " + n.Reason
}

// voteOf is what a node has said it holds. A vote of another serial than the record's was
// left over from before the last promotion, and says nothing.
func (e *explainer) voteOf(node string) (election.Vote, bool) {
	vote, err := election.ParseBallot(node, e.votes[node])
	if err != nil {
		return vote, false
	}
	r, err := election.ParseRecord(e.cib.Record(e.resource.Name))
	return vote, err != nil || r.Serial == vote.Serial
}

// verdict is the one on one node.
func (e *explainer) verdict(a *assessor, n nodeView, primary string) nodeVerdict {
	v := nodeVerdict{Node: n.Name, Promoted: n.Name == primary, Score: n.Score, Because: []remark{}}
	if vote, found := e.voteOf(n.Name); found {
		v.Vote = vote.Position.LSN.String() + " on timeline " + vote.Position.Timeline.String()
	}
	if v.Promoted {
		v.Could, v.Verdict = !e.dead(primary), "is the primary"
		if !v.Could {
			v.Verdict += " by Pacemaker's word, and does not answer"
		}
		if n.Timeline != 0 {
			v.Verdict += " on timeline " + n.Timeline.String()
		}
		return v
	}
	if e.stateErr != nil {
		v.Verdict = "whether it could be promoted cannot be told here: Pacemaker does not answer"
		v.Because = append(v.Because, remark{Text: "its instance, by PostgreSQL: " + string(n.State), ToDo: "pgsqlms explain " + n.Name + ", on another node"})
		return v
	}
	v.Because = append(v.Because, e.against(a, n)...)
	v.Could = len(v.Because) == 0 && primary != ""
	switch {
	case len(v.Because) > 0:
		v.Verdict = "is not promoted, and cannot be"
	case primary == "":
		v.Verdict = "is not promoted, and nothing that is known of this node keeps it from it"
	default:
		v.Verdict = "is not promoted, and could be: " + primary + " has the role"
	}
	if n.Score != nil {
		v.Verdict += "; promotion score " + scoreText(*n.Score)
	}
	if v.Vote != "" {
		v.Verdict += "; it holds WAL up to " + v.Vote
	}
	return v
}

// against is what keeps a node from being promoted, the most telling first.
func (e *explainer) against(a *assessor, n nodeView) (said []remark) {
	add := func(todo, format string, args ...any) {
		said = append(said, remark{Text: fmt.Sprintf(format, args...), ToDo: todo})
	}
	member, _ := e.state.Node(n.Name)
	switch {
	case member.Unclean:
		add("", "the node is lost, and not fenced yet")
		return said
	case member.Pending:
		add("systemctl start pacemaker, on "+n.Name, "the node is in the membership, and Pacemaker does not run there yet, or no more")
		return said
	case !member.Online:
		add(nodeDown, "the node is not in the cluster: it is down, cut off, or Pacemaker does not run there")
		return said
	}
	if member.Standby {
		add("crm_standby -N "+n.Name+" -D", "the node is in standby mode: it runs nothing")
	}
	if member.Maintenance && !a.maintained() {
		add("crm_attribute -t nodes -N "+n.Name+" -n maintenance -D", "the node is in maintenance mode")
	}
	e.rules(n.Name, add)
	e.failed(n.Name, add)
	e.instanceAgainst(n, add)
	return said
}

type adder func(todo, format string, args ...any)

// rules are the constraints against a node.
func (e *explainer) rules(node string, add adder) {
	for _, l := range e.locations() {
		if l.Score >= 0 || l.Node != node || l.Role == crm.RoleUnpromoted {
			continue
		}
		score, _ := e.cib.Score(node, e.resource.Name)
		if l.Score <= -crm.Infinity || score+l.Score < 0 {
			add(removal(l, e.resource), "constraint %s %s", l.ID, constraintText(l))
		}
	}
}

// failed is what Pacemaker counts against a node.
func (e *explainer) failed(node string, add adder) {
	cleanup := "mend the cause, then " + cleanupOf(e.resource.Name, node)
	reason := ""
	if e.diverged(node) {
		reason = "; the cause is below"
	}
	for _, f := range e.state.Failures {
		if f.Node == node && f.Resource() == e.resource.Name && !e.diverged(node) {
			reason = fmt.Sprintf("; %s ended with %d at %s", f.Task, f.Code, timeText(f.At))
			if f.Reason != "" {
				reason += ": " + f.Reason
			}
		}
	}
	count, threshold := e.cib.FailCount(node, e.resource.Name), e.cib.MigrationThreshold(e.resource)
	switch i, found := e.state.On(e.resource.Name, node); {
	case found && i.Blocked:
		add(cleanup, "Pacemaker has given the instance up (blocked)%s", reason)
	case threshold > 0 && count >= threshold:
		add(cleanup, "it has failed too often: fail count %s, migration-threshold %s%s", countText(count), countText(threshold), reason)
	case count >= crm.Infinity:
		add(cleanup, "a failure bans it: fail count INFINITY%s", reason)
	case found && !i.Managed && !*e.v.Pacemaker.Maintenance:
		add(manageInstances(e.resource), "the instance is unmanaged: Pacemaker does nothing with it")
	}
}

func (e *explainer) diverged(node string) bool {
	return strings.HasPrefix(e.cib.Status(node, e.resource.Name), divergedPrefix)
}

func countText(n int) string {
	if n >= crm.Infinity {
		return "INFINITY"
	}
	return fmt.Sprint(n)
}

// instanceAgainst is what speaks against the instance itself: what it says is the matter
// with it, else its state, and its score.
func (e *explainer) instanceAgainst(n nodeView, add adder) {
	status := e.cib.Status(n.Name, e.resource.Name)
	i, found := e.state.On(e.resource.Name, n.Name)
	switch {
	case e.diverged(n.Name):
		add(repairOf(nodeView{Name: n.Name, State: stateDiverged}), "%s", status)
		return
	case status != "":
		add("", "%s", status)
	case !found || i.Role == crm.RoleStopped:
		if member, _ := e.state.Node(n.Name); member.Standby {
			return // that is why
		}
		add("pgsqlms status, on "+n.Name, "PostgreSQL does not run there, by Pacemaker's word")
		return
	}
	if n.State == stateSilent || n.State == stateCrashed || n.State == stateStarting {
		add("pgsqlms status, on "+n.Name, "its instance does not answer (%s): its score is of the time when it did", n.State)
	}
	if n.Score == nil {
		add("", "it has no promotion score: its instance has not streamed since it was started")
		return
	}
	if status == "" && *n.Score < 0 {
		add("", "promotion score %s: %s", scoreText(*n.Score), scoreMeaning(*n.Score))
	}
}

// scoreMeaning is what a negative score says.
func scoreMeaning(score int) string {
	switch {
	case score <= election.ScoreBanned:
		return "a promotion or a switchover of it was refused, and it has not streamed since"
	case score == election.ScoreHeld:
		return "an election waits for another node's vote"
	case score == election.ScoreNotReady:
		return "it lags more than maxlag, or is being set up"
	}
	return "the primary did not find it streaming"
}
