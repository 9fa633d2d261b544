package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"pgsqlms/test/lab"
)

// configOf is the lab that an agent is measured in.
func (o options) configOf(a agent) lab.Config {
	c := lab.Config{Name: o.name, Suite: o.suite, Agent: a.Path, Sync: o.sync, ExactToken: true,
		ReadyTimeout: 3 * time.Minute} // how long it takes is no figure
	if a.Settings != equal {
		return c
	}
	// Corosync forms a membership without a dead node after its token and a consensus of 1.2 times that.
	c.Token = time.Duration(float64(o.detection) / 2.2).Truncate(time.Millisecond)
	c.Ops = everySecond(lab.RecommendedOps(a.Path))
	// Patroni wants loop_wait + 2 * retry_timeout to be at most the ttl.
	c.Patroni = lab.PatroniConfig{TTL: o.detection, LoopWait: time.Second,
		RetryTimeout: ((o.detection - time.Second) / 2).Truncate(time.Second)}
	return c
}

// everySecond has the monitors run every second, and leaves the rest of an agent's own operations as it is. Pacemaker wants the intervals of the two roles to differ.
func everySecond(ops []lab.Op) []lab.Op {
	for i := range ops {
		switch {
		case ops[i].Name != "monitor":
		case ops[i].Role == "Promoted":
			ops[i].Interval = time.Second
		default:
			ops[i].Interval = 1100 * time.Millisecond
		}
	}
	return ops
}

// heavyConf lets so many MB of buffers become dirty and stay so: nothing but the agents makes a checkpoint.
func heavyConf(mb int) map[string]string {
	return map[string]string{
		"shared_buffers":        fmt.Sprintf("%dMB", sharedBuffers(mb)),
		"checkpoint_timeout":    "1d",
		"max_wal_size":          "64GB",
		"bgwriter_lru_maxpages": "0",
	}
}

func sharedBuffers(mb int) int { return mb + mb/4 + 512 }

// largest is the most that one of the heavy things makes dirty.
func (o options) largest() int { return max(o.dirtyMB, o.loadMB, o.backlogMB) }

// enoughMemory refuses what would have the kernel kill somebody: three nodes' buffers, and as much again for the files.
func enoughMemory(mb int, meminfo string) error {
	var available int
	for line := range strings.Lines(meminfo) {
		if _, err := fmt.Sscanf(line, "MemAvailable: %d kB", &available); err == nil {
			break
		}
	}
	want := 3 * sharedBuffers(mb) * 3 / 2
	if available/1024 < want {
		return fmt.Errorf("%d MB of memory are available, and %d MB of dirty buffers on three nodes want %d MB: give a smaller -dirty-mb",
			available/1024, mb, want)
	}
	return nil
}

func meminfo() string {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return ""
	}
	return string(text)
}
