// Package election holds the agent's decisions, without clock, files or network:
// what kind of transition the lists of a notification describe, who votes in it,
// whether the candidate may be promoted, and which promotion score each node gets.
//
// A promotion is safe when the candidate holds every byte of WAL that any other
// node which could be asked holds. Pacemaker chooses the candidate by scores that
// are as old as the last monitor; the vote, taken just before the promotion, is what
// decides.
package election
