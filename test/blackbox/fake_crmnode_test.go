package blackbox

import (
	"fmt"
	"os"
)

// fakeCrmNode is crm_node: -n prints this node's name, -p the members of the partition. It can be told to hang, to
// fail, or to answer with garbage.
func fakeCrmNode() {
	p := ownPlace()
	p.noteCall()
	p.behave("crm_node")
	if len(os.Args) != 2 {
		os.Exit(crmUsage)
	}
	switch os.Args[1] {
	case "-n":
		fmt.Println(p.read("node"))
	case "-p":
		fmt.Println(p.read("members"), "") // the real one leaves a space behind each name
	default:
		os.Exit(crmUsage)
	}
	os.Exit(0)
}
