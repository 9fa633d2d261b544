package agent

import (
	"context"

	"pgsqlms/internal/crm"
)

// tellVersion tells the other nodes which version of this program runs here, once after a
// start and after an upgrade: `pgsqlms check` on any of them compares. The attribute is
// private, so that no transition comes of it. It is the monitors' business, as nothing waits
// for those; told is what they remember.
func (a *agent) tellVersion(ctx context.Context, told string) {
	if !a.req.Recurring() || told == a.program {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, attributeWait)
	defer cancel()
	self, err := a.nodeName(ctx)
	if err == nil {
		err = a.crm.SetPrivate(ctx, self, crm.VersionAttribute(a.req.Instance), a.program)
	}
	if err != nil {
		a.log.Debugf("the other nodes could not be told that this is version %s: %v", a.program, err)
		return // the next monitor does
	}
	a.rememberVersion(a.program)
}

// tellAgain has the next monitor tell the version: the attribute goes with the node's
// Pacemaker, and a probe follows each start of that, also while PostgreSQL runs on under
// maintenance mode.
func (a *agent) tellAgain() {
	if a.store.load().Version != "" {
		a.rememberVersion("")
	}
}

func (a *agent) rememberVersion(told string) {
	m := a.store.load()
	m.Version = told
	a.remember(m)
}
