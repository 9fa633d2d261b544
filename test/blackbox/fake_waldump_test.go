package blackbox

import (
	"fmt"
	"os"
)

// fakePgWaldump is pg_waldump --path --timeline --start: it prints records up to the end of the log, which is the fact
// last-record, a resource manager and a description, and ends with an error as the real one does there. It can be told
// to hang, to fail, or to answer with garbage.
func fakePgWaldump() {
	p := ownPlace()
	p.noteCall()
	p.behave("pg_waldump")
	record("Standby", "RUNNING_XACTS nextXid 725 latestCompletedXid 724 oldestRunningXid 725")
	var manager, description string
	if _, err := fmt.Sscan(p.read("last-record"), &manager, &description); err == nil {
		record(manager, description+" redo 0/5000028; tli 1; prev tli 1; fpw true; xid 0:725; oid 13572; shutdown")
	}
	fmt.Fprintf(os.Stderr, "pg_waldump: error: error in WAL record at %[1]s: invalid record length at %[1]s: wanted 24, got 0\n", p.read("lsn"))
	os.Exit(1)
}

func record(manager, description string) {
	fmt.Printf("rmgr: %-11s len (rec/tot):    114/   114, tx:          0, lsn: 0/05000028, prev 0/05000000, desc: %s\n", manager, description)
}
