package main

import (
	"strings"
	"time"

	"pgsqlms/test/scenario"
	"pgsqlms/test/writer"
)

// slack is what may come on top of corosync and the fencing when a node is lost.
const slack = 1.5

// faultFigures is one fault under a writer. Times are seconds.
type faultFigures struct {
	Run          int                `json:"run"` // that measured it, of report.Runs, from 1
	What         string             `json:"what"`
	Agent        string             `json:"agent"`
	Turn         int                `json:"turn"`
	Interval     float64            `json:"interval"`           // between two looks at the primary
	Corosync     *corosyncFigures   `json:"corosync,omitempty"` // in effect
	Nodes        int                `json:"nodes,omitempty"`    // where that is what differs
	Measured     bool               `json:"measured"`           // the gap is a figure, whatever went wrong besides
	Gap          float64            `json:"gap"`
	Before       string             `json:"before"`
	After        string             `json:"after"`
	Acknowledged int                `json:"acknowledged"`
	InDoubt      int                `json:"in_doubt"`
	Lost         int                `json:"lost"`
	Fencings     int                `json:"fencings"`
	Loss         *lossFigure        `json:"loss,omitempty"`  // of the primary's node
	Split        map[string]float64 `json:"split,omitempty"` // of the gap, by scenario.Parts
	Transitions  int                `json:"transitions"`     // that Pacemaker calculated until the gap's end
	Coordinator  string             `json:"coordinator"`     // before the fault: Pacemaker's DC, or etcd's leader
	Dirty        map[string]float64 `json:"dirty_mb,omitempty"`
	Backlog      map[string]float64 `json:"backlog_mb,omitempty"`
	Streaming    float64            `json:"streaming"`         // from the fault until all nodes streamed; 0: they did not
	Rebuilt      []string           `json:"rebuilt,omitempty"` // nodes that died with WAL that nobody had
	Complaints   []string           `json:"complaints,omitempty"`
	Error        string             `json:"error,omitempty"`
	Story        []string           `json:"story,omitempty"` // what the client saw in the gap
}

// lossFigure is when, after the fault, Pacemaker logged the steps of a node's loss. Negative: it did not.
type lossFigure struct {
	OutOfMembership float64 `json:"out_of_membership"`
	FenceAsked      float64 `json:"fence_asked"`
	FenceConfirmed  float64 `json:"fence_confirmed"`
	Promoted        float64 `json:"promoted"`
	VIP             float64 `json:"vip"`
}

func (l lossFigure) fencing() float64 { return l.FenceConfirmed - l.FenceAsked }

func (l lossFigure) complete() bool {
	return min(l.OutOfMembership, l.FenceAsked, l.FenceConfirmed) >= 0
}

func faultSample(what string, r scenario.Result, err error) faultFigures {
	f := faultFigures{
		What: what, Measured: r.Measured(), Gap: r.Gap.Length().Seconds(), Before: r.Before, After: r.After,
		Acknowledged: r.Verdict.Acknowledged, InDoubt: r.Verdict.InDoubt, Lost: len(r.Verdict.Lost),
		Fencings: len(r.Fencings), Rebuilt: r.Repaired, Streaming: r.Streaming.Seconds(), Story: writer.Story(r.History, r.Gap),
	}
	if losesNode(what) && r.Fenced() {
		f.Loss = lossOf(r)
	}
	f.Dirty, f.Backlog = r.Dirty, r.Backlog
	f.Transitions, f.Coordinator = r.Transitions, r.Coordinator
	if r.Split != nil {
		f.Split = map[string]float64{}
		for part, d := range r.Split {
			f.Split[part] = d.Seconds()
		}
	}
	if err != nil {
		f.Error = err.Error()
	}
	if f.Measured {
		f.Complaints = r.Complaints()
	}
	return f
}

// losesNode says whether a fault takes the primary's node.
func losesNode(what string) bool { return strings.HasPrefix(what, whatKillNode) }

// coordinatorLost says whether the node that coordinates the others was lost with the primary.
func (f faultFigures) coordinatorLost() bool { return f.Before != "" && f.Coordinator == f.Before }

func lossOf(r scenario.Result) *lossFigure {
	after := func(t time.Time) float64 {
		if t.IsZero() {
			return -1
		}
		return t.Sub(r.Fault).Seconds()
	}
	p := r.Phases
	return &lossFigure{OutOfMembership: after(p.Lost), FenceAsked: after(p.FenceAsked), FenceConfirmed: after(p.FenceTaken),
		Promoted: after(p.PromoteDone), VIP: after(p.VIPDone)}
}

// monitorFigures is one healthy monitor. Times are seconds.
type monitorFigures struct {
	Run   int     `json:"run"`
	Agent string  `json:"agent"`
	Turn  int     `json:"turn"`
	Role  string  `json:"role"` // primary or standby
	CPU   float64 `json:"cpu"`  // user and system, with all children
	Wall  float64 `json:"wall"`
	// PeakMB is the largest resident size of any one of its processes.
	PeakMB   float64 `json:"peak_mb"`
	Forks    int     `json:"forks"`    // processes made, beside its own
	Programs int     `json:"programs"` // programs executed, beside its own
}
