// Package scenario plays one fault on a lab that is up, under a client that writes, and tells what it cost: who was
// primary before and after, how long nobody could write, whether an acknowledged row is gone, who was fenced, and how
// long it took until every node streamed again. The demo, the benchmarks and the tests share it.
//
//	result, err := scenario.Run(ctx, l, scenario.KillPostgres())
//
// An error means that the scenario could not be played to its end within its bounds. What the cluster did wrong although
// it came to an end is in the result: see Result.Complaints.
//
//   - scenario.go: the scenarios themselves
//   - run.go: the course of one: ready, steady, fault, settled, judged
//   - start.go: the first start, which brings the lab up under a writer
//   - result.go, table.go: what is told afterwards
package scenario
