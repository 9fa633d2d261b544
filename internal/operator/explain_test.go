package operator

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/crm"
	"pgsqlms/internal/election"
	"pgsqlms/internal/pg"
	"pgsqlms/internal/wal"
)

// explained is a survey of the lab with the log of the node on which it was made.
func explained(t *testing.T, name, node, log string) pastSurvey {
	t.Helper()
	f := pastSurvey{survey: captured(t, name, node), filesErr: errors.New("pg_wal was not captured")}
	f.taken = f.state.LastChange.Add(30 * time.Second)
	if log != "" {
		f.taken = time.Date(2026, 11, 21, 23, 0, 0, 0, time.UTC)
		logged(t, &f, log+".log")
		f.taken = f.happenings[len(f.happenings)-1].at.Add(5 * time.Second)
	}
	return f
}

// cibWith is a captured CIB with another text in the place of one.
func cibWith(t *testing.T, name, old, text string) crm.CIB {
	t.Helper()
	was, err := os.ReadFile("../crm/testdata/" + name + ".cib.xml")
	require.NoError(t, err)
	require.Contains(t, string(was), old)
	cib, err := crm.ParseCIB(strings.ReplaceAll(string(was), old, text))
	require.NoError(t, err)
	return cib
}

// explanations are situations in which somebody asks why.
func explanations(t *testing.T) map[string]pastSurvey {
	t.Helper()
	switchover := explained(t, "switchover", "n2", "switchover-n2")
	failover := explained(t, "failover", "n1", "failover-n1")
	elsewhere := explained(t, "failover", "n3", "failover-n3")
	fencing := explained(t, "fencefail", "n1", "fencefail-n1")
	guard := explained(t, "guard", "n3", "guard-n3")
	guardElsewhere := explained(t, "guard", "n2", "guard-n2")
	// As Pacemaker shows it between the failed promotion and the demotion that follows.
	refused := explained(t, "guard", "n3", "guard-n3")
	for n := range refused.state.Instances {
		if i := &refused.state.Instances[n]; i.Resource == "pgsqld" && i.Node == "n3" {
			i.Role = crm.RolePromoted
		}
	}
	limit := explained(t, "guard", "n3", "guard-n3")
	limit.cib = cibWith(t, "guard", "waits for n1 or n2; for a commit n1 needs 1 of n2, n3, and only n3 votes; the furthest is n3 at 0/1774488 on timeline 4",
		"no standby is within maxlag: n3 could be promoted, but has a promotion score of -1000 from when there was a primary")
	recovered := explained(t, "killpg2", "n1", "killpg-n1")
	banned := explained(t, "roleban", "n1", "")
	diverged := explained(t, "diverged", "n1", "n1-diverged")

	down := pastSurvey{survey: onDisk(t, "n3"), logErr: os.ErrNotExist}
	down.local, down.control.State = silent(errNobody), pg.StateShutDownRecovery
	down.others["n2"] = primaryAt(at(4, 0x175EB40), streamingAt("n1", 0x175EB40))
	down.others["n1"] = standbyAt(at(4, 0x175EB40))

	quorum := explained(t, "lost", "n2", "")
	quorum.state.Quorum = false
	for n := range quorum.state.Instances {
		quorum.state.Instances[n].Role = crm.RoleUnpromoted
	}
	stopped := explained(t, "healthy", "n1", "")
	stopped.resource.Meta["target-role"] = "Unpromoted"
	for n := range stopped.state.Instances {
		if stopped.state.Instances[n].Role == crm.RolePromoted {
			stopped.state.Instances[n].Role = crm.RoleUnpromoted
		}
	}
	return map[string]pastSurvey{
		"switchover": switchover, "failover": failover, "failover-elsewhere": elsewhere, "fencing-fails": fencing,
		"guard": guard, "beyond-maxlag": limit, "promotion-failed": refused, "guard-elsewhere": guardElsewhere, "recovered": recovered, "role-banned": banned, "diverged": diverged,
		"no-pacemaker": down, "no-quorum": quorum, "target-role": stopped,
	}
}

func TestExplainEachSituation(t *testing.T) {
	for name, f := range explanations(t) {
		t.Run(name, func(t *testing.T) {
			text := explainAll(f, "", 3).text(style{columns: leastColumns})
			golden(t, "explain/"+name+".txt", text)
			for line := range strings.Lines(text) {
				require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimRight(line, "\n")), mostColumns, line)
			}
			require.NotContains(t, text, "\x1b")
		})
	}
}

func TestExplainAsJSON(t *testing.T) {
	var out bytes.Buffer
	v := explainAll(explanations(t)["failover"], "", 1)
	require.NoError(t, writeJSON(&call{Process: Process{Stdout: &out}}, v))
	golden(t, "explain/failover.json", out.String())
	require.True(t, json.Valid(out.Bytes()))
	for _, list := range []string{"because", "nodes", "changes", "spent", "steps", "why_there", "unknown", "notes"} {
		require.NotContains(t, out.String(), `"`+list+`": null`)
	}
}

// History files that came with new data, or while this node was away, have the time at which they came, and nobody's name:
// no change of the role is made of one.
func TestExplainWithHistoryFiles(t *testing.T) {
	f := explained(t, "guard", "n2", "guard-n2")
	f.cib.Properties[crm.PropertyName("pgsqld")] = "serial=7 timeline=6 node=n1 from=5@0/1784488,4@0/1774488,3@0/1742430,2@0/1742318,1@0/1742110 sync=n1:1:n2,n3"
	came := f.taken.Add(-20 * time.Second).Format(time.DateTime)
	f.filesErr = nil
	f.files = files(t, 6, "1\t0/1742110\tx\n2\t0/1742318\tx\n3\t0/1742430\tx\n4\t0/1774488\tx\n5\t0/1784488\tx\n", came, came, came, came, came)
	for _, c := range explainAll(f, "", 9).Changes[1:] {
		require.NotEmpty(t, c.To, "%+v", c)
	}
}

// A standby that has just died has the score of the time when it lived.
func TestExplainOfADeadStandby(t *testing.T) {
	for name, c := range map[string]struct {
		answer answer
		could  bool
	}{"alive": {standbyAt(at(2, 0x1760000)), true}, "dead": {silent(errNobody), false}} {
		f := explained(t, "healthy", "n1", "")
		f.local = primaryAt(at(2, 0x1760000), streamingAt("n2", 0x1760000))
		if c.could {
			f.local.report.Standbys = append(f.local.report.Standbys, streamingAt("n3", 0x1760000))
		}
		f.others["n2"], f.others["n3"] = standbyAt(at(2, 0x1760000)), c.answer
		v := explainAll(f, "n3", 0)
		require.Equal(t, c.could, v.Nodes[0].Could, name)
		require.Equal(t, c.could, v.exitCode(true) == ExitWell, name)
	}
}

// The votes that stand while nobody is promoted are counted; one from before the last
// promotion is not.
func TestExplainCountsVotes(t *testing.T) {
	f := explained(t, "guard", "n3", "")
	record, err := election.ParseRecord(f.cib.Record(f.resource.Name))
	require.NoError(t, err)
	vote := election.Vote{Node: "n3", Position: at(4, 0x1774488), History: record.History, Serial: record.Serial}
	f.votes = map[string]string{"n3": vote.Ballot()}
	verdictOf := func() nodeVerdict { return explainAll(f, "n3", 0).Nodes[0] }
	require.Equal(t, "0/1774488 on timeline 4", verdictOf().Vote)

	e := explainer{pastSurvey: f, v: assess(f.survey)}
	require.Contains(t, e.nomination(), "by the votes that are there now: waits for n1 or n2")

	vote.Serial--
	f.votes["n3"] = vote.Ballot()
	require.Empty(t, verdictOf().Vote)
	f.votes["n3"] = "no ballot"
	require.Empty(t, verdictOf().Vote)
}

// A rule of a network check, as pcs and crmsh have them in their manuals, is a reason only where it holds.
func TestExplainRules(t *testing.T) {
	const rule = `<rsc_location id="net" rsc="pgsqld-clone"><rule id="net-rule" score="-INFINITY" role="Promoted" boolean-op="or">` +
		`<expression id="net-1" attribute="pingd" operation="lt" value="1"/><expression id="net-2" attribute="pingd" operation="not_defined"/></rule></rsc_location>`
	f := pastSurvey{survey: situations(t)["healthy"], filesErr: errNotAsked}
	f.cib = cibWith(t, "healthy", "</constraints>", rule+"</constraints>")
	v := explainAll(f, "n3", 0)
	require.Empty(t, v.Nodes[0].Because)
	require.Equal(t, ExitWell, v.exitCode(true))
	require.Contains(t, assess(f.survey).Constraints[0].Text, "by a rule that holds for no node now")
	require.Empty(t, assess(f.survey).Notices)
	require.False(t, planSwitchover(f.survey, "n3").Refused)

	f.state.Bans = []crm.Ban{{ID: "net", Resource: "pgsqld-clone", Node: "n3", Score: -crm.Infinity, Promoted: true}}
	v = explainAll(f, "n3", 0)
	require.Contains(t, v.Nodes[0].Because[0].Text, "constraint net keeps the role Promoted from n3")
	require.Equal(t, ExitWrong, v.exitCode(true))
	require.Equal(t, ExitWell, explainAll(f, "n2", 0).exitCode(true))
	require.True(t, planSwitchover(f.survey, "n3").Refused)
}

// What draws the primary's address draws the primary.
func TestExplainWhatDrawsThePrimary(t *testing.T) {
	f := pastSurvey{survey: situations(t)["healthy"], filesErr: errNotAsked}
	require.Empty(t, explainAll(f, "", 0).Because)
	f.cib.Locations = []crm.Location{{ID: "cli-prefer-pgsql-vip", Resource: "pgsql-vip", Node: "n2", Score: crm.Infinity}}
	because := explainAll(f, "", 0).Because
	require.Len(t, because, 1)
	require.Contains(t, because[0].Text, "constraint cli-prefer-pgsql-vip of pgsql-vip, which runs with the primary, wants it on n2 (INFINITY): it draws the primary")
	require.Equal(t, "crm_resource --clear -r pgsql-vip --node n2", because[0].ToDo)
}

// A remote node is none that could be promoted, nor one whose vote is missed: by its entry in the CIB, which is all that
// is known without Pacemaker, or by Pacemaker's word.
func TestRemoteNodes(t *testing.T) {
	f := onDisk(t, "n3")
	disk, err := os.ReadFile("../crm/testdata/disk.cib.xml")
	require.NoError(t, err)
	f.cib, err = crm.ParseCIB(strings.Replace(string(disk), "</nodes>", `<node id="far" uname="far" type="remote"/></nodes>`, 1))
	require.NoError(t, err)
	require.Len(t, assess(f).Nodes, 3)
	require.Equal(t, []string{"n1", "n2"}, f.askable())

	guest := explained(t, "guard", "n3", "")
	guest.cib.NodeNames = append(slices.Clone(guest.cib.NodeNames), "far")
	guest.state.Nodes = append(slices.Clone(guest.state.Nodes), crm.Node{Name: "far", Online: true, Remote: true})
	require.Len(t, explainAll(guest, "", 0).Nodes, 3)
	require.NotContains(t, guest.askable(), "far")
	require.True(t, slices.ContainsFunc(planSwitchover(guest.survey, "far").Checks, func(one finding) bool { return one.Expected == "one of n1, n2, n3" }))

	guest.cib.Properties = map[string]string{}
	vote := election.Vote{Node: "n3", Position: at(4, 0x1774488), History: wal.History{Timeline: 4}}
	guest.votes = map[string]string{"n3": vote.Ballot()}
	e := explainer{pastSurvey: guest, v: assess(guest.survey)}
	require.NotContains(t, e.nomination(), "far")
	require.NotEmpty(t, e.nomination())
}

// What is said of a lost quorum is what Pacemaker does by its policy. By ignore it is no reason for that nobody is promoted;
// nothing is moved or stopped then either.
func TestWithoutQuorum(t *testing.T) {
	for policy, says := range map[string]string{
		"stop": "so Pacemaker stops what runs in it", "freeze": "so Pacemaker leaves what runs", "demote": "so Pacemaker demotes the primary", "ignore": "and Pacemaker goes on all the same", "fence": "so Pacemaker fences its nodes", "suicide": "so Pacemaker fences its nodes",
	} {
		f := explanations(t)["no-quorum"]
		f.cib.Properties[crm.NoQuorumProperty] = policy
		var told []string
		for _, one := range assess(f.survey).Problems {
			told = append(told, one.Text)
		}
		text := "this part of the cluster has no quorum, " + says
		require.Contains(t, strings.Join(told, "\n"), text)
		require.Equal(t, policy != "ignore", strings.Contains(explainAll(f, "", 0).Verdict, text), policy)

		refused := func(checks findings) finding {
			n := slices.IndexFunc(checks, func(one finding) bool { return one.Check == "quorum" && one.Level == levelError })
			require.GreaterOrEqual(t, n, 0, policy)
			return checks[n]
		}
		require.Equal(t, policy == "ignore", strings.Contains(refused(planSwitchover(f.survey, "n1").Checks).Found, "no-quorum-policy=ignore"), policy)
		f.state.Nodes = f.state.Nodes[:2]
		rejoin := refused(planRejoin(rejoinFacts{survey: f.survey}, choices{}).Checks)
		require.Equal(t, policy == "ignore", strings.HasPrefix(rejoin.ToDo, "two_node: 1: docs/cookbook.md, Two nodes; then crm_attribute -n no-quorum-policy -v stop"), rejoin)
	}
}

// A primary that has died, or hangs, is not said to be well until Pacemaker notices.
func TestExplainOfAPrimaryThatDoesNotAnswer(t *testing.T) {
	f := pastSurvey{survey: situations(t)["healthy"], filesErr: errNotAsked}
	require.Equal(t, ExitWell, explainAll(f, "", 0).exitCode(true))
	f.others["n1"], f.byAddress = silent(errSlow), silent(errSlow)
	v := explainAll(f, "", 0)
	require.Contains(t, v.Verdict, "n1 is the primary by Pacemaker's word, and its instance does not answer")
	require.Contains(t, v.Because[0].Text, "Pacemaker notices at its next monitor")
	require.Equal(t, ExitWrong, v.exitCode(true))
	require.Equal(t, ExitWrong, explainAll(f, "n1", 0).exitCode(true))
	f.others["n1"] = silent(errPgHba)
	require.Equal(t, ExitWell, explainAll(f, "", 0).exitCode(true), "it is there, and does not let this node ask")

	own := pastSurvey{survey: situations(t)["healthy"], filesErr: errNotAsked}
	own.node, own.local = "n1", silent(errNobody)
	require.Equal(t, ExitWrong, explainAll(own, "", 0).exitCode(true))
}
