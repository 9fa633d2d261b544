// Package faults is the proof: it injects faults into a real cluster (test/lab) under clients that write, and checks
// after each the invariants of docs/faults.md, I1 to I8. Scenarios with names, F1 to F21, have one fault each and say
// what must happen and what may; the random mode draws faults, moments and load from a seed and runs for hours.
//
//   - fault.go: what a scenario is; catalogue.go: all of them
//   - crash.go, nodeloss.go, replication.go, election.go, ...: the scenarios by topic
//   - random.go, primitives.go: the random mode
//   - runner.go: from a list of scenarios to a report; stand.go: the cluster they share
//   - play.go: the course of one; clients.go: who writes meanwhile; whole.go: until all is well again
//   - evidence.go, logs.go: what is gathered; invariants.go: what is concluded, without any cluster
//   - report.go: the tables and the JSON file; keep.go: what is kept of a failure
package faults
