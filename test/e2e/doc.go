// Package e2e holds the agent against a real cluster: Corosync, Pacemaker, fencing and PostgreSQL on the nodes of
// test/lab (build tag lab, root needed).
//
// The tests share one cluster. Each begins and ends with the cluster ready: one primary, every node streaming, every
// score positive. What a test does not say at its end (cluster.end) must not have happened: no fencing, no failed action,
// no restart of PostgreSQL, no promotion. A test that fails collects the logs of all nodes and takes the cluster down, so
// that the next one begins with a new one.
//
//   - main_test.go: the life of the shared cluster, the agent under test
//   - cluster_test.go: how a test begins and ends
//   - outcome_test.go: what is asserted at the end of every test
//   - admin_test.go, faults_test.go, logs_test.go, await_test.go: what tests do and look at
//   - the others: the tests, one topic a file
//
// docs/testing.md tells what each test shows, and which one fails when which guard of the agent is taken out.
package e2e
