// Package operator holds the commands that a person runs, one file a command: the same
// binary that Pacemaker runs answers questions about the cluster.
//
// A command goes three steps. It surveys: asks Pacemaker, the local instance, and over
// PostgreSQL the other ones, everything at once, each within a bound (survey.go). It
// assesses: makes a view of what was found, without clock or input and output. It shows
// the view as text or as JSON. A source that does not answer makes the view poorer, and
// is named in it; it is never an error of the command by itself.
//
// What comes from the cluster and from PostgreSQL is data of other people: it is shown
// with what cannot be printed replaced, and no shell, pattern or SQL text is made of it.
package operator
