package blackbox

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

// crmUsage is CRM_EX_USAGE of Pacemaker's tools.
const crmUsage = 64

// attrdCall is the command line of attrd_updater, as far as the agent has a use for it.
type attrdCall struct {
	node, name, value   string
	query, remove, set  bool
	private, everywhere bool
}

// fakeAttrdUpdater is attrd_updater. It can be told:
//
//	hang             at every call
//	hang-about NODE  only at calls about that node
//	fail CODE TEXT   at every call
//	garbage          answers nonsense, and with success
//	late DURATION    an update can be seen only after that time
func fakeAttrdUpdater() {
	p := ownPlace()
	p.noteCall()
	c := readAttrdCall(os.Args[1:])
	p.behave("attrd_updater")
	if node, ok := p.toldOf("attrd_updater", "hang-about"); ok && node == c.node {
		hang()
	}
	c.obey(p)
	os.Exit(0)
}

func readAttrdCall(args []string) (c attrdCall) {
	f := flag.NewFlagSet("attrd_updater", flag.ContinueOnError)
	f.StringVar(&c.name, "n", "", "")
	f.StringVar(&c.node, "N", "", "")
	f.BoolVar(&c.query, "Q", false, "")
	f.BoolVar(&c.everywhere, "A", false, "")
	f.BoolVar(&c.remove, "D", false, "")
	f.BoolVar(&c.private, "p", false, "")
	update := func(value string) error {
		c.value, c.set = value, true
		return nil
	}
	f.Func("U", "", update)
	f.Func("update", "", update)
	if f.Parse(args) != nil || f.NArg() > 0 || c.name == "" || (c.node == "") != c.everywhere || c.everywhere && !c.query {
		os.Exit(crmUsage)
	}
	return c
}

func (c attrdCall) obey(p place) {
	switch {
	case c.query:
		c.answer(p)
	case c.set:
		c.store(p, c.value)
	case c.remove:
		c.store(p, "")
	default:
		os.Exit(crmUsage)
	}
}

// answer prints what attrd_updater 2.1.5 prints. Like that version, it takes a question about any node for one about the
// node whose action runs it, when the action's environment was passed on.
func (c attrdCall) answer(p place) {
	nodes := []string{c.node}
	if c.everywhere {
		nodes = p.nodesWith(c.name)
	}
	if own := os.Getenv("OCF_RESKEY_CRM_meta_on_node"); own != "" {
		nodes = []string{own}
	}
	known := false
	for _, node := range nodes {
		value, ok, err := p.getAttribute(node, c.name)
		if err != nil {
			die("%v", err)
		}
		if ok {
			known = true
			fmt.Printf("name=\"%s\" host=\"%s\" value=\"%s\"\n", c.name, node, value)
		}
	}
	if !known {
		fmt.Fprintf(os.Stderr, "Could not query value of %s: attribute does not exist\n", c.name)
		os.Exit(number(p.read("nosuch")))
	}
}

func (c attrdCall) store(p place, value string) {
	from := time.Now()
	if late, ok := p.toldOf("attrd_updater", "late"); ok {
		from = from.Add(duration(late))
	}
	if strings.ContainsRune(value, '\n') {
		die("a value with a line end")
	}
	if err := p.setAttribute(c.node, c.name, value, from); err != nil {
		die("%v", err)
	}
}
