package agent

// The names of private node attributes, each followed by a dash and the resource's
// name. Those PAF has too keep its name and form, as both agents run in one cluster
// during a migration.
const (
	attrVote     = "lsn_location" // PAF's: <timeline>#<lsn in decimal>
	attrShutdown = "shutdown_lsn" // where the WAL of a demoted primary ended, same form
	attrMisses   = "misses"       // monitors in a row without an answer, and when: <number>@<milliseconds>; see misses.go
	attrBallot   = "ballot"       // what a vote says of its node's timelines; election.Vote's Ballot
)

func (a *agent) attribute(name string) string { return name + "-" + a.req.Instance }
