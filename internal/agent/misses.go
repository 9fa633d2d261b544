package agent

import (
	"context"
	"fmt"
	"time"
)

// One monitor that PostgreSQL does not answer says nothing: it may be the machine that
// is slow. It takes some in a row (hangs), and so a count from one monitor to the next. It
// stands in the memory. Where that cannot be written, because its file system is full or
// read-only, it stands in a private attribute of this node, which needs no disk. Where
// neither is to be had each of them counts as the first: a primary that may be healthy
// is not restarted because the agent cannot count, and one that hangs shows as a warning
// at each monitor.

// missWait bounds what that asks of the cluster, two processes that take milliseconds.
// Of the recommended 10 s, PostgreSQL has had 7.2 by then (lookPart of Deadline's 9), and
// pg_controldata 0.8 at most.
const missWait = 500 * time.Millisecond

// answered forgets the monitors that had no answer. A count in an attribute needs no
// forgetting, see counted.
func (a *agent) answered() {
	if m := a.store.load(); m.Misses > 0 {
		m.Misses = 0
		a.remember(m)
	}
}

// missed counts one more monitor without an answer, and returns how many there were in
// a row. A memory that cannot be written is not believed: an answer since could not have
// been noted there either.
func (a *agent) missed() int {
	m := a.store.load()
	m.Misses++
	unwritten := a.store.save(m)
	if unwritten == nil {
		return m.Misses
	}
	ctx, cancel := context.WithTimeout(context.Background(), missWait)
	defer cancel()
	misses, err := a.missedByAttribute(ctx)
	if err != nil {
		a.log.Warnf("monitors without an answer cannot be counted, this one is taken for the first: %v; %v", unwritten, err)
		return 1
	}
	return misses
}

func (a *agent) missedByAttribute(ctx context.Context) (int, error) {
	self, err := a.nodeName(ctx)
	if err != nil {
		return 0, err
	}
	text, _, err := a.crm.Private(ctx, self, a.attribute(attrMisses))
	if err != nil {
		return 0, err
	}
	misses := a.countedBefore(text) + 1
	return misses, a.crm.SetPrivate(ctx, self, a.attribute(attrMisses), fmt.Sprintf("%d@%d", misses, time.Now().UnixMilli()))
}

// countedBefore reads a count and its time, in milliseconds of Unix. Each is made at the end
// of a monitor, and the next one begins an interval later; with an answer in between, it
// is two. A count is believed for one and a half, and no monitor that has an answer needs
// to delete it. By hand there is no interval, and it is the time that one monitor waits.
func (a *agent) countedBefore(text string) int {
	var misses int
	var at int64
	if _, err := fmt.Sscanf(text, "%d@%d", &misses, &at); err != nil {
		return 0
	}
	limit := a.req.Interval * 3 / 2
	if limit <= 0 {
		limit = a.lookTime()
	}
	if age := a.req.Started.Sub(time.UnixMilli(at)); age > limit || age < -a.req.Timeout {
		return 0
	}
	return misses
}
