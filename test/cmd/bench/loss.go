package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"pgsqlms/test/lab"
	"pgsqlms/test/scenario"
)

// corosyncFigures are time-outs in effect, in seconds. Corosync adds to the configured token for every node above two,
// and forms a membership without the dead node only after token and consensus.
type corosyncFigures struct {
	Token     float64 `json:"token"`
	Consensus float64 `json:"consensus"`
}

func corosyncOf(ctx context.Context, l *lab.Lab) (c corosyncFigures, err error) {
	for key, field := range map[string]*float64{"token": &c.Token, "consensus": &c.Consensus} {
		text, err := l.Run(ctx, l.Nodes()[0].Name, "corosync-cmapctl", "-g", "runtime.config.totem."+key)
		if err != nil {
			return c, err
		}
		if *field, err = parseCmap(text); err != nil {
			return c, err
		}
	}
	return c, nil
}

// parseCmap reads the milliseconds in "runtime.config.totem.token (u32) = 1650".
func parseCmap(text string) (float64, error) {
	_, value, ok := strings.Cut(text, "=")
	ms, err := strconv.Atoi(strings.TrimSpace(value))
	if !ok || err != nil {
		return 0, fmt.Errorf("corosync-cmapctl: want \"key (u32) = number\", found %q", text)
	}
	return float64(ms) / 1000, nil
}

// lossText sets each loss of a node against what it may cost.
func (r *report) lossText() string {
	var cells [][]string
	for _, f := range r.Faults {
		if f.Loss != nil && f.Measured {
			cells = append(cells, append([]string{f.What, f.Agent, r.turn(f.Run, f.Turn)}, f.lossCells()...))
		}
	}
	if len(cells) == 0 {
		return ""
	}
	header := []string{"figure", "system", "turn", "DC lost", "write gap", "token", "consensus", "out of membership", "fencing asked", "confirmed",
		"promoted", "VIP", "rest", fmt.Sprintf("rest <= %.1f s", slack), fmt.Sprintf("token + fencing + %.1f s", slack), "kept"}
	return "\nLoss of the primary's node, seconds after it. The token and the consensus are corosync's, in effect.\n" +
		"The rest is what the gap has beside the time until the node is out of the membership, and the fencing.\n\n" +
		scenario.Table(header, cells)
}

func (f faultFigures) lossCells() []string {
	cells := []string{yes(f.coordinatorLost()), seconds(f.Gap)}
	c := corosyncFigures{Token: -1, Consensus: -1}
	if f.Corosync != nil {
		c = *f.Corosync
	}
	for _, s := range []float64{c.Token, c.Consensus,
		f.Loss.OutOfMembership, f.Loss.FenceAsked, f.Loss.FenceConfirmed, f.Loss.Promoted, f.Loss.VIP} {
		cells = append(cells, seconds(s))
	}
	if !f.Loss.complete() {
		return append(cells, "-", "-", "-", "-")
	}
	return append(cells, seconds(f.rest()), yes(f.rest() <= slack), seconds(f.budget(c)), yes(f.Gap <= f.budget(c)))
}

// coordinatorText parts the losses of a node by whether the coordinator was lost with it: the others elect one first then.
func (r *report) coordinatorText() string {
	var cells [][]string
	for _, what := range everything {
		for _, a := range r.Agents {
			for _, lost := range []bool{true, false} {
				var gaps []float64
				for _, f := range r.Faults {
					if losesNode(what) && f.What == what && f.Agent == a.Name && f.Measured && f.coordinatorLost() == lost {
						gaps = append(gaps, f.Gap)
					}
				}
				if s := summarize(gaps); s.N > 0 {
					cells = append(cells, []string{what, a.Name, yes(lost), fmt.Sprint(s.N), seconds(s.Median), seconds(s.Min), seconds(s.Max)})
				}
			}
		}
	}
	if len(cells) == 0 {
		return ""
	}
	return "\nThe same by whether the coordinator, Pacemaker's DC or etcd's leader, was lost with the primary's node.\n\n" +
		scenario.Table([]string{"figure", "system", "coordinator lost", "n", "write gap, median", "min", "max"}, cells)
}

// rest is what is left of the gap without corosync and the fencing.
func (f faultFigures) rest() float64 { return f.Gap - f.Loss.OutOfMembership - f.Loss.fencing() }

func (f faultFigures) budget(c corosyncFigures) float64 { return c.Token + f.Loss.fencing() + slack }

func seconds(s float64) string {
	if s < 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f s", s)
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}
