// Package agent carries out one action of the resource agent, one file an action.
// It is the only place where the cluster, the database and the decisions meet.
//
// An action returns an exit code and an error. For a monitor, 7 (stopped) and 8
// (running, promoted) are results and not errors; everything else that is not
// success comes with an error, whose text becomes the exit reason.
package agent
