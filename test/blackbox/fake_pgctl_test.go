package blackbox

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// fakePgCtl is pg_ctl -D DIR -W promote. It can be told to hang, to fail, or to answer with garbage; or, with late, to come
// too late: the promotion is at its end when it looks, as that of an action killed before is.
func fakePgCtl() {
	p := ownPlace()
	p.noteCall()
	p.behave("pg_ctl")
	f := flag.NewFlagSet("pg_ctl", flag.ContinueOnError)
	dir := f.String("D", "", "")
	f.Bool("W", false, "")
	if f.Parse(os.Args[1:]) != nil || f.NArg() != 1 || f.Arg(0) != "promote" {
		os.Exit(1)
	}
	pid, err := os.ReadFile(*dir + "/" + pidFileName)
	if err != nil {
		fmt.Fprintf(os.Stderr, "pg_ctl: PID file %q does not exist\nIs server running?\n", *dir+"/"+pidFileName)
		os.Exit(1)
	}
	if err := os.WriteFile(*dir+"/"+promoteName, nil, 0o600); err != nil {
		fmt.Fprintln(os.Stderr, "pg_ctl:", err)
		os.Exit(1)
	}
	first, _, _ := strings.Cut(string(pid), "\n")
	if err := syscall.Kill(number(first), syscall.SIGUSR1); err != nil {
		fmt.Fprintf(os.Stderr, "pg_ctl: could not send promote signal (PID: %s): %v\n", first, err)
		os.Exit(1)
	}
	if _, late := p.toldOf("pg_ctl", "late"); late {
		for end := time.Now().Add(longestLife); !missing(*dir+"/"+standbySignal) && time.Now().Before(end); {
			time.Sleep(5 * time.Millisecond)
		}
		fmt.Fprintln(os.Stderr, "pg_ctl: cannot promote server; server is not in standby mode")
		os.Exit(1)
	}
	fmt.Println("server promoting")
	os.Exit(0)
}

func missing(path string) bool {
	_, err := os.Lstat(path)
	return err != nil
}
