// Package command runs programs, and work of this process, as a given user. It
// is the only place from which the agent starts a program.
//
// Whatever runs through it gets an environment of its own, no input, bounded
// output and a bounded life. Whatever belongs to the PostgreSQL system user is
// done with that user's credentials, never with root's.
package command
