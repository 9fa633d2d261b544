// Package writer is the client that measures: it writes one row after another to one address of a PostgreSQL cluster,
// remembers every attempt with the time it was sent and the time and kind of the answer, and draws from that history
// what a fault cost: the write gap, the acknowledged rows that are lost, and acknowledgements from two nodes at once.
//
// The writing (Writer) and the judging (functions over a History) are apart: the judging is pure.
package writer
