package faults

import (
	"fmt"
	"net"
	"time"

	"pgsqlms/test/lab"
	"pgsqlms/test/scenario"
	"pgsqlms/test/writer"
)

const (
	table  = "pgsqlms_writes"
	pgPort = 5432
)

// Load is how hard the clients write.
type Load struct {
	Writers int           // besides the one at the virtual IP and those pinned to the nodes
	Every   time.Duration // between two rows of each
	Payload int           // bytes a row
}

// light is the load of a scenario that says nothing about it.
var light = Load{}

// peak is what this kind of machine can take: some hundred rows a second from eight sessions.
var peak = Load{Writers: 5, Every: time.Millisecond, Payload: 2000}

// clients are the writers of one play, all with the same clock and ids.
type clients struct {
	config  writer.Config // of the one at the virtual IP
	firstID int64         // no id of this play is lower or equal
	vip     *writer.Writer
	others  []*writer.Writer
}

// startClients begins to write: one writer at the virtual IP; to each node's own address two, one from the client's
// machine, and one from within the node, whose session a cut cable does not reach and who waits a minute for an answer;
// and the load.
func startClients(l *lab.Lab, load Load) (*clients, error) {
	// Ids count up from the clock's microseconds: far more than there are rows, so plays never share one.
	epoch := time.Now()
	c := &clients{firstID: epoch.UnixMicro()}
	c.config = writer.Config{
		Name: "vip", Address: net.JoinHostPort("vip", fmt.Sprint(pgPort)), Dial: l.Dialer(lab.Client),
		NodeSQL: scenario.NodeSQL, Table: table, IDs: writer.IDsAfter(c.firstID), Epoch: epoch,
	}
	configs := []writer.Config{}
	for _, n := range l.Nodes() {
		pinned := c.config
		pinned.Name, pinned.Address = n.Name, net.JoinHostPort(n.Addr, fmt.Sprint(pgPort))
		pinned.Pinned, pinned.Quiet = true, true
		pinned.Every, pinned.Retry = 20*time.Millisecond, 50*time.Millisecond
		inside := pinned
		inside.Name, inside.Dial, inside.StatementTimeout = n.Name+"-inside", l.Dialer(n.Name), time.Minute
		configs = append(configs, pinned, inside)
	}
	for i := range load.Writers {
		config := c.config
		config.Name, config.Every, config.Payload = fmt.Sprintf("load%d", i+1), load.Every, load.Payload
		configs = append(configs, config)
	}
	var err error
	if c.vip, err = writer.Start(c.config); err != nil {
		return nil, err
	}
	for _, config := range configs {
		w, err := writer.Start(config)
		if err != nil {
			c.stop()
			return nil, err
		}
		c.others = append(c.others, w)
	}
	return c, nil
}

// stop ends all writing. The history of all includes the virtual IP's.
func (c *clients) stop() (vip, all writer.History) {
	vip = c.vip.Stop()
	histories := []writer.History{vip}
	for _, w := range c.others {
		histories = append(histories, w.Stop())
	}
	return vip, writer.Merge(histories...)
}
