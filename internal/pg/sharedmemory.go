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
// the first line. A segment whose key, or owner, is another is not the one.
func attached(table string, segment sharedMemory, uid uint32) (int, error) {
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
		if value("uid") != strconv.FormatUint(uint64(uid), 10) {
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

func column(columns, fields []string, name string) string {
	for n, c := range columns {
		if c == name {
			return fields[n]
		}
	}
	return ""
}

// sharedMemoryInUse says whether any process has the segment attached. A
// kernel without System V shared memory has no such table, and no segments.
func (i *Instance) sharedMemoryInUse(segment sharedMemory) (bool, error) {
	if segment.ID < 0 {
		return false, nil
	}
	table, err := os.ReadFile(i.proc + "/sysvipc/shm")
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	count, err := attached(string(table), segment, i.cfg.User.UID)
	return count > 0, err
}
