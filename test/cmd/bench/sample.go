package main

import (
	"pgsqlms/test/scenario"
	"pgsqlms/test/writer"
)

// slack is what an agent may add to corosync's token and the fencing when a node is lost.
const slack = 2.0

// faultFigures is one fault under a writer. Times are seconds.
type faultFigures struct {
	What         string   `json:"what"`
	Agent        string   `json:"agent"`
	Turn         int      `json:"turn"`
	Measured     bool     `json:"measured"` // the gap is a figure, whatever went wrong besides
	Gap          float64  `json:"gap"`
	Before       string   `json:"before"`
	After        string   `json:"after"`
	Acknowledged int      `json:"acknowledged"`
	InDoubt      int      `json:"in_doubt"`
	Lost         int      `json:"lost"`
	Fencings     int      `json:"fencings"`
	FencingTime  float64  `json:"fencing_time"` // of the longest, from the request to the power switch to its answer
	Streaming    float64  `json:"streaming"`    // from the fault until all nodes streamed; 0: they did not
	Complaints   []string `json:"complaints,omitempty"`
	Error        string   `json:"error,omitempty"`
	Story        []string `json:"story,omitempty"` // what the client saw in the gap
}

func faultSample(what string, r scenario.Result, err error) faultFigures {
	f := faultFigures{
		What: what, Measured: r.Measured(), Gap: r.Gap.Length().Seconds(), Before: r.Before, After: r.After,
		Acknowledged: r.Verdict.Acknowledged, InDoubt: r.Verdict.InDoubt, Lost: len(r.Verdict.Lost),
		Fencings: len(r.Fencings), FencingTime: r.FencingTime().Seconds(), Streaming: r.Streaming.Seconds(),
		Story: writer.Story(r.History, r.Gap),
	}
	if err != nil {
		f.Error = err.Error()
	}
	if f.Measured {
		f.Complaints = r.Complaints()
	}
	return f
}

// withinBudget says whether a node's loss cost no more than token, fencing and slack.
func (f faultFigures) withinBudget(token float64) bool {
	return f.Measured && f.Gap <= token+f.FencingTime+slack
}

// monitorFigures is one healthy monitor. Times are seconds.
type monitorFigures struct {
	Agent string  `json:"agent"`
	Turn  int     `json:"turn"`
	Role  string  `json:"role"` // primary or standby
	CPU   float64 `json:"cpu"`  // user and system, with all children
	Wall  float64 `json:"wall"`
}
