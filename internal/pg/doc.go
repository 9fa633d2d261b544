// Package pg knows one PostgreSQL instance: its data directory, its processes,
// what it answers over SQL, and how it is started, stopped and promoted. It
// judges nothing: what a state means for the cluster is the caller's.
//
// Whatever lies below the data directory belongs to the system user, who may
// have put a link, a FIFO or a huge file there. It is opened as that user,
// never as root, and read only when it is a regular file of a sensible size.
package pg
