package operator

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"pgsqlms/metadata"
)

// Process is what a command is given by its process.
type Process struct {
	Args     []string // without the program's name; the first is the command
	Environ  []string
	Stdin    io.Reader
	Asks     bool // standard input is a terminal, so that a question can be answered
	Stdout   io.Writer
	Stderr   io.Writer
	Terminal bool // standard output is a terminal
	Columns  int  // of that terminal; 0 if unknown
	Rows     int  // the same
	Version  string

	// Again is closed when the process is asked a second time to end; nil where nobody
	// asks twice. The first time ends the context of Run.
	Again <-chan struct{}
}

// ExitCode is how a command ends, for scripts.
type ExitCode int

// The exit codes of all commands.
const (
	ExitWell    ExitCode = 0 // done; of a question: all is well
	ExitWrong   ExitCode = 1 // something is wrong in the cluster, and the output says what
	ExitUsage   ExitCode = 2 // the command line is not understood; nothing was done
	ExitUnknown ExitCode = 3 // it cannot be told, or could not be done: standard error says why
)

// exitMeanings are what the exit codes say, for --help and the manual page.
var exitMeanings = []metadata.CommandExit{
	{Code: int(ExitWell), Meaning: "all is well, or it is done"},
	{Code: int(ExitWrong), Meaning: "something is wrong, and the output says what"},
	{Code: int(ExitUsage), Meaning: "the command line is not understood, and nothing was done"},
	{Code: int(ExitUnknown), Meaning: "it cannot be told or done, and standard error says why"},
}

// verb is one word of the command line.
type verb struct {
	name    string
	purpose string // one line, for the list and for the command's own help
	args    string // what may follow the flags, for the usage line
	example string // lines of a shell, each with what it is for
	setup   func(c *call)
	run     func(ctx context.Context, c *call) (ExitCode, error)
}

// call is one command under way.
type call struct {
	Process
	flags    *flag.FlagSet
	args     []string // what is left beside the flags
	resource string   // --resource
	output   output   // --output
	now      func() time.Time
	uid      func() int
	held     atomic.Pointer[held]

	watch  watchFlag // status
	yes    bool      // switchover, rejoin
	dryRun bool      // switchover, rejoin
	last   int       // explain

	discard, clone, checkpoint bool // rejoin
}

// commands are in the order in which they are listed.
func commands() []verb {
	return []verb{
		statusCommand(), historyCommand(), explainCommand(), switchoverCommand(), rejoinCommand(), checkCommand(), alertCommand(),
	}
}

// The words that ask what there is.
var helpWords = []string{"help", "--help", "-help", "-h"}

// The words that ask which version this is.
var versionWords = []string{"version", "--version", "-version", "-V"}

// Knows says whether the arguments are for this package, and not an action of Pacemaker's.
func Knows(args []string) bool {
	if len(args) == 0 {
		return false
	}
	_, known := find(args[0])
	return known || slices.Contains(helpWords, args[0]) || slices.Contains(versionWords, args[0])
}

// Mistyped says whether a person has given what is neither a command nor an action, or
// nothing: whoever calls a resource agent has set a variable of OCF.
func Mistyped(args, env []string) bool {
	if slices.ContainsFunc(env, func(kv string) bool { return strings.HasPrefix(kv, "OCF_") }) {
		return false
	}
	return len(args) == 0 || !Knows(args) && !slices.Contains(metadata.MethodNames(), args[0])
}

func find(name string) (verb, bool) {
	all := commands()
	n := slices.IndexFunc(all, func(c verb) bool { return c.name == name })
	if n < 0 {
		return verb{}, false
	}
	return all[n], true
}

// Run carries out the command that p asks for and returns the process's exit code. It
// ends soon after ctx does, and some seconds after p.Again in any case.
func Run(ctx context.Context, p Process) ExitCode {
	if !Knows(p.Args) {
		found := "none"
		if len(p.Args) > 0 {
			found = fmt.Sprintf("%q", clean(p.Args[0]))
		}
		fmt.Fprintf(p.Stderr, "pgsqlms: found %s for a command, expected one of %s; to do: pgsqlms --help\n", found, names())
		return ExitUsage
	}
	if slices.Contains(helpWords, p.Args[0]) {
		return help(p)
	}
	if slices.Contains(versionWords, p.Args[0]) {
		fmt.Fprintf(p.Stdout, "pgsqlms %s\n", p.Version)
		return ExitWell
	}
	cmd, _ := find(p.Args[0])
	c, err := parse(cmd, p)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(p.Stdout, cmd.help(c.flags))
		return ExitWell
	case err != nil:
		return c.usage(err)
	}
	return c.carryOut(ctx, cmd)
}

// carryOut runs the command until its end, or until somebody will not wait for that.
func (c *call) carryOut(ctx context.Context, cmd verb) ExitCode {
	type outcome struct {
		code ExitCode
		err  error
	}
	done := make(chan outcome, 1)
	go func() {
		defer func() { c.liftInPanic(cmd.name, recover()) }()
		code, err := cmd.run(ctx, c)
		done <- outcome{code, err}
	}()
	var o outcome
	select {
	case o = <-done:
	case <-c.Again:
		c.leave(context.WithoutCancel(ctx), cmd.name)
		return ExitUnknown
	}
	var usage usageError
	switch {
	case errors.As(o.err, &usage):
		return c.usage(o.err)
	case o.err != nil:
		fmt.Fprintf(c.Stderr, "pgsqlms %s: %s\n", cmd.name, clean(o.err.Error()))
	}
	return o.code
}

// errInterrupted is for a question that was interrupted: half an answer is none.
var errInterrupted = errors.New("interrupted")

// usageError is a mistake in the command line that shows late.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func (c *call) usage(err error) ExitCode {
	fmt.Fprintf(c.Stderr, "pgsqlms %s: %s; to do: pgsqlms %[1]s --help\n", c.Args[0], clean(err.Error()))
	return ExitUsage
}

// help lists the commands, or shows the help of the one that is named.
func help(p Process) ExitCode {
	if len(p.Args) > 1 && p.Args[0] == "help" {
		cmd, known := find(p.Args[1])
		if !known {
			fmt.Fprintf(p.Stderr, "pgsqlms help: there is no command %q, expected one of %s\n", p.Args[1], names())
			return ExitUsage
		}
		c, _ := parse(cmd, Process{Args: []string{cmd.name}})
		fmt.Fprint(p.Stdout, cmd.help(c.flags))
		return ExitWell
	}
	fmt.Fprintf(p.Stdout, "pgsqlms %s: PostgreSQL streaming replication under Pacemaker\n\n", p.Version)
	for _, cmd := range commands() {
		fmt.Fprintf(p.Stdout, "  pgsqlms %-12s %s\n", cmd.name, cmd.purpose)
	}
	fmt.Fprint(p.Stdout, "\nRun them as root, on any node of the cluster; each takes --help. pgsqlms --version says which one this is.\n"+
		"Pacemaker runs the same program as resource agent ocf:heartbeat:pgsqlms, with an action for an argument.\n")
	return ExitWell
}

func names() string {
	var list []string
	for _, c := range commands() {
		list = append(list, c.name)
	}
	return strings.Join(list, ", ")
}
