package blackbox

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// controlFile is global/pg_control of the fakes: lines of text, where PostgreSQL has a binary format.
type controlFile struct {
	State    string
	Timeline int
	LSN      string // where the last checkpoint lies
	Damaged  bool   // its checksum is wrong
}

const controlName = "global/pg_control"

func (c controlFile) String() string {
	return fmt.Sprintf("state: %s\ntimeline: %d\nlsn: %s\ndamaged: %v\n", c.State, c.Timeline, c.LSN, c.Damaged)
}

func parseControlFile(text string) (c controlFile) {
	for line := range strings.Lines(text) {
		label, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch label {
		case "state":
			c.State = value
		case "timeline":
			c.Timeline = number(value)
		case "lsn":
			c.LSN = value
		case "damaged":
			c.Damaged = value == "true"
		}
	}
	return c
}

// print writes what pg_controldata of PostgreSQL 15 prints under LC_ALL=C.
func (c controlFile) print() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, `pg_control version number:            1300
Catalog version number:               202209061
Database system identifier:           %d
Database cluster state:               %s
pg_control last modified:             Sat Nov 21 07:54:11 2026
Latest checkpoint location:           %s
Latest checkpoint's REDO location:    %s
Latest checkpoint's REDO WAL file:    000000010000000000000001
Latest checkpoint's TimeLineID:       %d
Latest checkpoint's PrevTimeLineID:   %d
Latest checkpoint's full_page_writes: on
Latest checkpoint's NextXID:          0:724
Time of latest checkpoint:            Sat Nov 21 07:54:11 2026
Fake LSN counter for unlogged rels:   0/3E8
Minimum recovery ending location:     0/0
Min recovery ending loc's timeline:   0
Backup start location:                0/0
Backup end location:                  0/0
End-of-backup record required:        no
wal_level setting:                    replica
wal_log_hints setting:                off
Bytes per WAL segment:                16777216
Data page checksum version:           0
`, systemIdentifier, c.State, c.LSN, c.LSN, c.Timeline, c.Timeline)
	return b.String()
}

const systemIdentifier = 7710529944724332588

func readControlFile(dir string) (controlFile, error) {
	text, err := os.ReadFile(dir + "/" + controlName)
	return parseControlFile(string(text)), err
}

func (c controlFile) write(dir string) error {
	return os.WriteFile(dir+"/"+controlName, []byte(c.String()), 0o600)
}
