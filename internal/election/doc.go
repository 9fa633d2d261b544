// Package election holds the agent's decisions, without clock, files or network:
// what kind of transition the lists of a notification describe, who votes in it,
// whether the candidate may be promoted, and which promotion score each node gets.
//
// A promotion is safe when the candidate holds every commit that was acknowledged.
// Pacemaker chooses the candidate by scores that are as old as the last monitor; the
// vote, taken just before the promotion, is what decides: Decide, held against the
// cluster's Record, and Nominate where there is no score yet. docs/election.md argues
// why the rules are right, case by case; testdata/scenarios plays the cases.
package election
