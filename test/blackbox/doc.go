// Package blackbox tests the built agent from outside: scripts under testdata give it an environment as Pacemaker
// would, and look at what Pacemaker and the administrator get to see of it, the exit code, the exit reason, the log,
// and which programs it ran.
//
// Everything around the agent is fake and made of the test binary itself: the cluster's tools, PostgreSQL's programs,
// and a PostgreSQL server that speaks just enough of the protocol. They can be told what the real ones cannot be made to
// do on demand: to hang, to answer with garbage, to be out of connections. See README.md for the commands of the scripts.
package blackbox
