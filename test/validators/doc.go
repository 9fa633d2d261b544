// Package validators has the agent's meta-data judged by the programs and schemas that judge it in a real cluster.
//
// They come from the packages of the lab's Debian tree and run in a throw-away root of it (build tag lab, root needed).
// Package metadata has tests of its own that hold the same rules without any of them, and that also cover the OCF 1.1
// schema, which no package ships.
package validators
