package blackbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A call is one line of the log that all fakes write to: who called, the name of the program, its arguments. What a
// fake server saw is there too, under the name "server".

const serverName = "server"

// note adds a line to the log. Each line is one write to a file opened for appending, so that lines do not mix.
func (p place) note(text string) {
	f, err := os.OpenFile(p.calls(), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		die("cannot write the log of calls: %v", err)
	}
	defer f.Close()
	fmt.Fprintf(f, "%d %s\n", os.Geteuid(), text)
}

// noteCall logs the call of the program that runs, and leaves its environment in a fact of its name.
func (p place) noteCall() {
	environment := strings.Join(os.Environ(), "\n") + "\n"
	_ = os.WriteFile(p.fact("environment-"+filepath.Base(os.Args[0])), []byte(environment), 0o644)
	p.note(filepath.Base(os.Args[0]) + " " + strings.Join(quoteAll(os.Args[1:]), " "))
}

// event logs what happens to the fake server.
func (p place) event(text string) { p.note(serverName + " " + text) }

// quoteAll makes one word of each argument.
func quoteAll(args []string) []string {
	quoted := make([]string, len(args))
	for i, arg := range args {
		quoted[i] = arg
		if arg == "" || strings.ContainsAny(arg, " \t\r\n\"'\\") {
			quoted[i] = strconv.Quote(arg)
		}
	}
	return quoted
}

type call struct {
	uid  int
	name string
	text string // name and arguments
}

// callsOf counts the calls of one program, that of the program that asks included.
func (p place) callsOf(name string) int {
	calls, err := p.readCalls()
	if err != nil {
		die("%v", err)
	}
	n := 0
	for _, c := range calls {
		if c.name == name {
			n++
		}
	}
	return n
}

// readCalls reads what was called since the last forgetCalls.
func (p place) readCalls() ([]call, error) {
	text, err := os.ReadFile(p.calls())
	if err != nil {
		return nil, err
	}
	var calls []call
	for line := range strings.Lines(string(text)) {
		uid, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, _, _ := strings.Cut(rest, " ")
		calls = append(calls, call{uid: number(uid), name: name, text: strings.TrimSpace(rest)})
	}
	return calls, nil
}

func (p place) forgetCalls() error { return os.Truncate(p.calls(), 0) }
