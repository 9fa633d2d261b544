package agent

import "context"

// tellVersion tells the other nodes which version of this program runs here, once after a
// start and after an upgrade: `pgsqlms check` on any of them compares. The attribute is
// private, so that no transition comes of it, and goes with the node's Pacemaker. It is the
// monitors' business, as nothing waits for those. A probe follows each start of Pacemaker,
// also while PostgreSQL runs on under maintenance mode: after one it is told again.
func (a *agent) tellVersion(ctx context.Context) {
	m := a.store.load()
	if !a.req.Recurring() {
		if m.Version != "" {
			m.Version = ""
			a.remember(m)
		}
		return
	}
	if m.Version == a.program {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, attributeWait)
	defer cancel()
	self, err := a.nodeName(ctx)
	if err == nil {
		err = a.crm.SetPrivate(ctx, self, a.attribute(attrVersion), a.program)
	}
	if err != nil {
		a.log.Debugf("the other nodes could not be told that this is version %s: %v", a.program, err)
		return // the next monitor does
	}
	m.Version = a.program
	a.remember(m)
}
