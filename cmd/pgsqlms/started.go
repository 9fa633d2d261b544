package main

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"time"
)

// userHz is the unit of a process's start time in /proc: hundredths of a second, on every
// architecture that Go knows.
const userHz = 100

// lateAtMost is how late a program may come to its first line to be believed: Pacemaker's
// default timeout. Above it the clocks of /proc are not the same, as in a container that
// has an uptime of its own.
const lateAtMost = 20 * time.Second

// started is when this process came into being, and not when it got to its first line:
// Pacemaker's timeout runs from the one to which, on storage that is slow to bring the
// program, the other may come seconds later.
func started(now time.Time) time.Time {
	age, err := processAge("/proc/self/stat", "/proc/uptime")
	if err != nil || age < 0 || age > lateAtMost {
		return now
	}
	return now.Add(-age)
}

var errStat = errors.New("not as proc(5) has it")

// processAge is the time since a process was made. The fields of these files have no
// labels; a program's name, in parentheses, may have spaces and parentheses of its own.
func processAge(stat, uptime string) (time.Duration, error) {
	const startTime = 22 - 3 // proc(5): the 22nd; the third is the first behind the name
	text, err := os.ReadFile(stat)
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) <= startTime {
		return 0, errStat
	}
	ticks, err := strconv.ParseInt(fields[startTime], 10, 64)
	if err != nil {
		return 0, err
	}
	text, err = os.ReadFile(uptime)
	if err != nil {
		return 0, err
	}
	up, _, _ := strings.Cut(string(text), " ")
	seconds, err := strconv.ParseFloat(up, 64)
	if err != nil {
		return 0, err
	}
	return time.Duration(seconds*float64(time.Second)) - time.Duration(ticks)*time.Second/userHz, nil
}
