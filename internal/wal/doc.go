// Package wal holds the values with which places in PostgreSQL's write-ahead
// log are named and compared: a log sequence number, a timeline, the pair of
// both, and the history that says how timelines descend from each other.
//
// The package is pure: it opens nothing and knows no clock. Every parser is
// strict, and what a parser accepts its String method prints again.
package wal
