package blackbox

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// place is a script's directory, $WORK. The agent starts programs with an environment of their own, so a fake is told
// nothing that way: it finds the place from its own path, and everything else in files there.
type place string

// ownPlace is the place of the fake that runs: its binary is in a directory of it.
func ownPlace() place {
	self, err := os.Executable()
	if err != nil {
		die("cannot tell where this fake lies: %v", err)
	}
	return place(filepath.Dir(filepath.Dir(self)))
}

func die(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "fake: "+format+"\n", args...)
	os.Exit(98)
}

func (p place) path(elements ...string) string {
	return filepath.Join(append([]string{string(p)}, elements...)...)
}

// What lies where.
func (p place) sbin() string    { return p.path("sbin") }    // the cluster's tools
func (p place) bin() string     { return p.path("bin") }     // PostgreSQL's programs
func (p place) data() string    { return p.path("data") }    // the data directory
func (p place) sockets() string { return p.path("sock") }    // PostgreSQL's socket
func (p place) run() string     { return p.path("run") }     // HA_RSCTMP
func (p place) log() string     { return p.path("ha.log") }  // HA_LOGFILE
func (p place) calls() string   { return p.path("calls") }   // what the fakes were called with
func (p place) servers() string { return p.path("servers") } // the process IDs of fake servers
func (p place) output() string  { return p.path("output") }  // PGSQLMS_LOG_DIR
func (p place) canary() string  { return p.path("canary") }  // appears when a script's text was run by a shell

// fact is a small file with something a fake has to know.
func (p place) fact(name string) string { return p.path("facts", name) }

func (p place) read(name string) string {
	text, err := os.ReadFile(p.fact(name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// told is how a fake was told to behave, one instruction a line, each split into words.
func (p place) told(fake string) [][]string {
	var instructions [][]string
	for line := range strings.Lines(p.read("told-" + fake)) {
		instructions = append(instructions, strings.Fields(line))
	}
	return instructions
}

// toldOf finds one instruction to a fake, and what follows its first word.
func (p place) toldOf(fake, instruction string) (rest string, ok bool) {
	for _, words := range p.told(fake) {
		if words[0] == instruction {
			return strings.Join(words[1:], " "), true
		}
	}
	return "", false
}

// behave does what a program that was told so does instead of its work, or before it: hang, be slow, or fail, or print garbage, or be killed by
// the kernel that is out of memory.
func (p place) behave(fake string) {
	for _, words := range p.told(fake) {
		switch words[0] {
		case "hang":
			hang()
		case "slow": // by so many milliseconds
			time.Sleep(time.Duration(number(words[1])) * time.Millisecond)
		case "killed":
			killSelf()
		case "fail":
			fmt.Fprintln(os.Stderr, strings.Join(words[2:], " "))
			os.Exit(number(words[1]))
		case "garbage":
			fmt.Printf("name=\"\x00\xff\" host=%s value\n\n=\"\"\"\\\n", strings.Repeat("x", 1<<16))
			os.Exit(0)
		}
	}
}

func killSelf() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // it is on its way
}

const hungChildName = "hung-child"

// hang never ends, and neither does the child it starts, as that of a tool that is a script.
func hang() {
	self, err := os.Executable()
	if err != nil {
		die("%v", err)
	}
	child := exec.Cmd{Path: self, Args: []string{hungChildName}}
	if err := child.Run(); err != nil {
		die("%v", err)
	}
}

func number(s string) int {
	var n int
	if _, err := fmt.Sscan(s, &n); err != nil {
		die("%q is not a number", s)
	}
	return n
}

func duration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		die("%v", err)
	}
	return d
}
