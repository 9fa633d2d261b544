package pg

import (
	"strconv"
	"strings"
)

// PostmasterStatus is the status word in postmaster.pid.
type PostmasterStatus string

// The status words the postmaster writes (pidfile.h, since PostgreSQL 10).
const (
	StatusNone     PostmasterStatus = ""
	StatusStarting PostmasterStatus = "starting"
	StatusStopping PostmasterStatus = "stopping"
	StatusReady    PostmasterStatus = "ready"
	StatusStandby  PostmasterStatus = "standby" // up, but takes no connections: hot_standby is off
)

// pidFile is what postmaster.pid says. Lines that are missing, as in a file
// the postmaster has only begun to write, leave zero values.
type pidFile struct {
	PID     int    // of the postmaster, or of a single-user server
	DataDir string // its data directory, as it was started with it, made absolute
	Shared  sharedMemory
	Status  PostmasterStatus
}

// The lines of postmaster.pid, counted from zero (pidfile.h).
const (
	pidFileLinePID     = 0
	pidFileLineDataDir = 1
	pidFileLineShared  = 6
	pidFileLineStatus  = 7
)

// parsePidFile reads postmaster.pid. It never fails: what cannot be read says
// nothing, and everything it says is checked against the processes.
func parsePidFile(text string) pidFile {
	lines := strings.Split(text, "\n")
	line := func(n int) string {
		if n < len(lines) {
			return strings.TrimSpace(lines[n])
		}
		return ""
	}
	return pidFile{
		PID:     parsePid(line(pidFileLinePID)),
		DataDir: line(pidFileLineDataDir),
		Shared:  parseSharedLine(line(pidFileLineShared)),
		Status:  parseStatus(line(pidFileLineStatus)),
	}
}

// parsePid reads a process ID. A single-user server writes its own negated.
func parsePid(s string) int {
	pid, err := strconv.ParseInt(strings.TrimPrefix(s, "-"), 10, 32)
	if err != nil || pid < 1 {
		return 0
	}
	return int(pid)
}

func parseStatus(s string) PostmasterStatus {
	switch word := PostmasterStatus(s); word {
	case StatusStarting, StatusStopping, StatusReady, StatusStandby:
		return word
	}
	return StatusNone
}

// readPidFile reads postmaster.pid as the system user.
func (i *Instance) readPidFile() (pidFile, error) {
	text, err := i.readFile("postmaster.pid", maxSmallFile)
	return parsePidFile(string(text)), err
}

// PostmasterStatus is the status word in postmaster.pid, of a postmaster that
// is there: a file left over from a crash still says "ready", and gives
// StatusNone here, as does one that cannot be read. It starts no process, and
// so is what to wait on in short steps.
func (i *Instance) PostmasterStatus() PostmasterStatus {
	file, err := i.readPidFile()
	if err != nil || file.PID == 0 {
		return StatusNone
	}
	if ours, err := i.isOurs(file.PID); err != nil || !ours {
		return StatusNone
	}
	return file.Status
}
