package blackbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// fakePgControldata is pg_controldata -D DIR. It can be told to hang, to fail, to answer with garbage, or to be killed; or
// with torn TIMES, to find the file half written at the first calls of an action.
func fakePgControldata() {
	p := ownPlace()
	p.noteCall()
	p.behave("pg_controldata")
	if len(os.Args) != 3 || os.Args[1] != "-D" {
		os.Exit(1)
	}
	file := os.Args[2] + "/" + controlName
	text, err := os.ReadFile(file)
	if err != nil {
		fmt.Fprintf(os.Stderr, "pg_controldata: error: could not open file %q for reading: %v\n", file, reasonOf(err))
		os.Exit(1)
	}
	if len(text) == 0 {
		fmt.Fprintf(os.Stderr, "pg_controldata: error: could not read file %q: read 0 of 296\n", file)
		os.Exit(1)
	}
	c := parseControlFile(string(text))
	times, torn := p.toldOf("pg_controldata", "torn")
	if c.Damaged || torn && p.callsOf("pg_controldata") <= number(times) {
		warnOfChecksum(p)
	}
	fmt.Print(c.print())
	os.Exit(0)
}

// warnOfChecksum warns and goes on, as pg_controldata does: on standard output up to version 16, on standard error and
// in other words since 17.
func warnOfChecksum(p place) {
	if number(p.read("version")) >= 17 {
		fmt.Fprintln(os.Stderr, "pg_controldata: warning: calculated CRC checksum does not match value stored in control file")
		fmt.Fprintln(os.Stderr, "pg_controldata: detail: Either the control file is corrupt, or it has a different layout than this program is expecting.  The results below are untrustworthy.")
		return
	}
	fmt.Print("WARNING: Calculated CRC checksum does not match value stored in file.\n" +
		"Either the file is corrupt, or it has a different layout than this program\n" +
		"is expecting.  The results below are untrustworthy.\n\n")
}

// reasonOf is the system's own text for an error about a file.
func reasonOf(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
