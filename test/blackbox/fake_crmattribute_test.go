package blackbox

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

// Exit codes of crm_attribute 2.1.5.
const crmNoSuch = 105

// Where the scripts find what crm_attribute keeps: cluster properties as attributes of a node of this name, and a node's
// lasting attributes under their name with this prefix.
const (
	clusterAttributes = "cluster"
	lastingPrefix     = "lasting-"
)

// fakeCrmAttribute is crm_attribute, for cluster properties (-t crm_config), the lasting attributes of nodes (-t nodes) and
// the ones in the CIB's status (-t status): -G -q asks, -v sets, -D deletes. It can be told to hang, to fail, to answer with
// garbage, or to hang-first TIMES, at the first calls of an action; or to refuse-changes CODE TEXT.
func fakeCrmAttribute() {
	p := ownPlace()
	p.noteCall()
	var kind, set, node, name, value string
	var get, quiet, remove bool
	f := flag.NewFlagSet("crm_attribute", flag.ContinueOnError)
	f.StringVar(&kind, "t", "", "")
	f.StringVar(&set, "s", "", "")
	f.StringVar(&node, "N", "", "")
	f.StringVar(&name, "n", "", "")
	f.StringVar(&value, "v", "", "")
	f.BoolVar(&get, "G", false, "")
	f.BoolVar(&quiet, "q", false, "")
	f.BoolVar(&remove, "D", false, "")
	if f.Parse(os.Args[1:]) != nil || f.NArg() > 0 || name == "" {
		os.Exit(crmUsage)
	}
	p.behave("crm_attribute")
	if times, ok := p.toldOf("crm_attribute", "hang-first"); ok && p.callsOf("crm_attribute") <= number(times) {
		hang()
	}
	if words, refused := p.toldOf("crm_attribute", "refuse-changes"); refused && !get {
		code, text, _ := strings.Cut(words, " ")
		fmt.Fprintln(os.Stderr, text)
		os.Exit(number(code))
	}
	switch {
	case kind == "crm_config" && set != "" && node == "":
		node = clusterAttributes
	case kind == "nodes" && set == "" && node != "":
		name = lastingPrefix + name
	case kind == "status" && set == "" && node != "" && get:
	default:
		os.Exit(crmUsage)
	}
	old, ok, err := p.getAttribute(node, name)
	switch {
	case err != nil:
		die("%v", err)
	case get && quiet && (!ok || old == ""):
		fmt.Fprintln(os.Stderr, "crm_attribute: Error performing operation: No such device or address")
		os.Exit(crmNoSuch)
	case get && quiet:
		fmt.Println(old)
	case remove:
		value = ""
		fallthrough
	case value != "":
		if err := p.setAttribute(node, name, value, time.Now()); err != nil {
			die("%v", err)
		}
	default:
		os.Exit(crmUsage)
	}
	os.Exit(0)
}
