package pg

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// sharedMemory names a System V segment. Every server has a small one, from
// which PostgreSQL itself tells whether backends of a dead server are left.
type sharedMemory struct {
	Key uint32
	ID  int // -1 for none; 0 is a valid one
}

// parseSharedLine reads the key and the ID of postmaster.pid's seventh line.
func parseSharedLine(line string) sharedMemory {
	none := sharedMemory{ID: -1}
	fields := strings.Fields(line)
	if len(fields) != 2 {
		return none
	}
	key, err := parseKey(fields[0])
	if err != nil {
		return none
	}
	id, err := strconv.ParseInt(fields[1], 10, 32)
	if err != nil || id < 0 {
		return none
	}
	return sharedMemory{Key: key, ID: int(id)}
}

// parseKey reads a segment's key. PostgreSQL prints it without a sign and as a
// long, the kernel as a signed number; they mean the same 32 bits.
func parseKey(s string) (uint32, error) {
	if signed, err := strconv.ParseInt(s, 10, 64); err == nil {
		return uint32(signed), nil
	}
	unsigned, err := strconv.ParseUint(s, 10, 64)
	return uint32(unsigned), err
}

// attached counts the processes that have the segment attached, by the table
// the kernel shows in /proc/sysvipc/shm. Columns are found by their names in
// the first line. A segment whose key, owner or creator is another is not the one.
//
// Key and ID are not enough: the key is the data directory's inode number since
// PostgreSQL 12 (PGSharedMemoryCreate in sysv_shmem.c), which a
// directory on another file system may have too, and the kernel counts IDs anew
// after a reboot. The creator is the server whose number is in postmaster.pid.
func attached(table string, segment sharedMemory, uid uint32, creator int) (int, error) {
	head, rows, _ := strings.Cut(table, "\n")
	columns := strings.Fields(head)
	for row := range strings.Lines(rows) {
		fields := strings.Fields(row)
		if len(fields) < len(columns) {
			continue
		}
		value := func(name string) string { return column(columns, fields, name) }
		key, err := parseKey(value("key"))
		if err != nil || key != segment.Key || value("shmid") != strconv.Itoa(segment.ID) {
			continue
		}
		if value("uid") != strconv.FormatUint(uint64(uid), 10) || !mayBeBy(value("cpid"), creator) {
			continue
		}
		count, err := strconv.Atoi(value("nattch"))
		if err != nil {
			return 0, fmt.Errorf("no column nattch in the table of shared memory segments: %q", clip(head))
		}
		return count, nil
	}
	return 0, nil
}

// mayBeBy says whether that process may have made a segment. The kernel shows 0 for
// one of a process namespace that is not ours, as of a container that was started
// anew; and postmaster.pid may be too damaged to tell. What is in doubt counts as made
// by it: a backend that is overlooked costs more than a stop that fails.
func mayBeBy(cpid string, creator int) bool {
	found, err := strconv.Atoi(cpid)
	return err != nil || found == 0 || creator == 0 || found == creator
}

func column(columns, fields []string, name string) string {
	for n, c := range columns {
		if c == name {
			return fields[n]
		}
	}
	return ""
}

// sharedMemoryInUse says whether any process has the segment of postmaster.pid attached.
// A kernel without System V shared memory has no such table, and no segments.
func (i *Instance) sharedMemoryInUse(file pidFile) (bool, error) {
	if file.Shared.ID < 0 {
		return false, nil
	}
	table, err := os.ReadFile(i.proc + "/sysvipc/shm")
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	count, err := attached(string(table), file.Shared, i.runner().UID, file.PID)
	return count > 0, err
}
