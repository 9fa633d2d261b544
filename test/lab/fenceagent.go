package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// fenceMetadata describes the agent to Pacemaker, pcs and crmsh.
const fenceMetadata = `<?xml version="1.0" ?>
<resource-agent name="fence_lab" shortdesc="Fence agent of the lab">
<longdesc>Asks the lab's power switch, outside of the nodes, to kill or start a node. It answers only when the node is dead.</longdesc>
<vendor-url></vendor-url>
<parameters>
<parameter name="action" unique="0" required="0"><getopt mixed="-o, --action=[action]"/><content type="string" default="reboot"/><shortdesc lang="en">Fencing action</shortdesc></parameter>
<parameter name="port" unique="0" required="0"><getopt mixed="-n, --plug=[name]"/><content type="string"/><shortdesc lang="en">Name of the node</shortdesc></parameter>
</parameters>
<actions>
<action name="on" automatic="0"/>
<action name="off"/>
<action name="reboot"/>
<action name="status"/>
<action name="list"/>
<action name="monitor"/>
<action name="metadata"/>
</actions>
</resource-agent>
`

// Answers of a fence agent to "status".
const (
	fenceOK  = 0
	fenceErr = 1
	fenceOff = 2 // status: the node has no power
)

// fenceAgentMain is the fence agent, in a node: its options come on stdin, one
// "name=value" per line, or as "-o action" for a person.
func fenceAgentMain(args []string, in io.Reader, out, errw io.Writer) int {
	o, err := fenceOptions(args, in)
	if err != nil {
		fmt.Fprintln(errw, "fence_lab:", err)
		return fenceErr
	}
	if o.action == "metadata" || o.action == "meta-data" {
		fmt.Fprint(out, fenceMetadata)
		return fenceOK
	}
	code, err := o.run(out)
	if err != nil {
		fmt.Fprintf(errw, "fence_lab: %s %s: %v\n", o.action, o.port, err)
		return fenceErr
	}
	return code
}

type fenceRequest struct{ action, port string }

func fenceOptions(args []string, in io.Reader) (fenceRequest, error) {
	o := fenceRequest{action: "reboot"}
	if len(args) > 0 {
		return fenceArguments(o, args)
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		name, value, _ := strings.Cut(strings.TrimSpace(lines.Text()), "=")
		switch name {
		case "action", "option":
			o.action = value
		case "port", "plug":
			o.port = value
		case "nodename":
			if o.port == "" {
				o.port = value
			}
		}
	}
	return o, nil
}

func fenceArguments(o fenceRequest, args []string) (fenceRequest, error) {
	for i := 0; i+1 < len(args); i += 2 {
		switch args[i] {
		case "-o", "--action":
			o.action = args[i+1]
		case "-n", "--plug":
			o.port = args[i+1]
		}
	}
	if len(args)%2 != 0 {
		return o, errors.New("usage: fence_lab -o metadata|on|off|reboot|status|list|monitor [-n node]")
	}
	return o, nil
}

func (o fenceRequest) run(out io.Writer) (int, error) {
	// Pacemaker has a timeout of its own, which is shorter.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	by, err := os.Hostname()
	if err != nil {
		return fenceErr, err
	}
	socket := powerDirInNode + "/switch"
	switch o.action {
	case "on", "off", "reboot":
		_, err := powerCall(ctx, socket, powerRequest{Op: o.action, Node: o.port, By: by})
		return fenceOK, err
	case "status", "list", "monitor":
		rep, err := powerCall(ctx, socket, powerRequest{Op: "status"})
		if err != nil {
			return fenceErr, err
		}
		return o.tell(rep, out)
	}
	return fenceErr, fmt.Errorf("unknown action %q", o.action)
}

func (o fenceRequest) tell(rep powerReply, out io.Writer) (int, error) {
	if o.action == "monitor" {
		return fenceOK, nil
	}
	if o.action == "list" {
		var names []string
		for name := range rep.Nodes {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			fmt.Fprintf(out, "%s,\n", name)
		}
		return fenceOK, nil
	}
	n, ok := rep.Nodes[o.port]
	switch {
	case !ok:
		return fenceErr, fmt.Errorf("no such node")
	case !n.Powered:
		return fenceOff, nil
	}
	return fenceOK, nil
}
