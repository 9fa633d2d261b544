// Package ocf is the protocol between Pacemaker and a resource agent: it reads
// the environment of one action once into a [Request], and answers with an
// [ExitCode], an exit reason on standard error and lines in the log.
//
// It knows nothing of PostgreSQL. The rules are those of the OCF resource agent
// API 1.1 and of Pacemaker 2.0 to 3.0, which pass a few things differently; where
// they do, the code says so.
package ocf
