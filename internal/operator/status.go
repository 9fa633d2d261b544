package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

func statusCommand() verb {
	return verb{
		name:    "status",
		purpose: "who is the primary, who streams from whom, and what is not well",
		args:    " [--watch SECONDS]",
		example: "pgsqlms status                     # once\n" +
			"pgsqlms status --watch 5           # anew every 5 seconds, until Ctrl-C\n" +
			"pgsqlms status --output json | jq '.nodes[] | {node, role, state, lag_bytes}'\n",
		setup: func(c *call) {
			c.flags.Var(&c.watch, "watch", "show it anew after so many `seconds`, 2 unless said otherwise")
		},
		run: status,
	}
}

// watchFlag is --watch: alone, with =SECONDS, or with SECONDS after it.
type watchFlag struct {
	on    bool
	every time.Duration
}

const defaultWatch = 2 * time.Second

// String, Set and IsBoolFlag make it a flag.Value that may stand alone.
func (w *watchFlag) String() string { return "" }

// IsBoolFlag lets the flag stand without a value.
func (w *watchFlag) IsBoolFlag() bool { return true }

// Set takes a number of seconds, or what package flag gives a flag that stands alone.
func (w *watchFlag) Set(s string) error {
	switch s {
	case "true":
		*w = watchFlag{true, defaultWatch}
		return nil
	case "false":
		*w = watchFlag{}
		return nil
	}
	seconds, err := strconv.ParseFloat(s, 64)
	if err != nil || !(seconds >= 0.5 && seconds <= 86400) {
		return fmt.Errorf("expected a number of seconds from 0.5 to 86400")
	}
	*w = watchFlag{true, time.Duration(seconds * float64(time.Second))}
	return nil
}

func status(ctx context.Context, c *call) (ExitCode, error) {
	if len(c.args) > 1 || len(c.args) == 1 && !c.watch.on {
		return ExitUsage, usagef("takes no argument, found %q", c.args[0])
	}
	if len(c.args) == 1 {
		if err := c.watch.Set(c.args[0]); err != nil {
			return ExitUsage, usagef("--watch %q: %w", c.args[0], err)
		}
	}
	return watch(ctx, c, newSurveyor(c))
}

// watch looks once, or with --watch until it is interrupted. A look that is broken off says
// nothing: the one before counts then.
func watch(ctx context.Context, c *call, s surveyor) (ExitCode, error) {
	last, err := ExitUnknown, errInterrupted
	for {
		code, wrong := statusOnce(ctx, c, s)
		var usage usageError
		switch {
		case !c.watch.on || errors.As(wrong, &usage):
			return code, wrong
		case errors.Is(wrong, errInterrupted):
			return last, err
		case wrong != nil: // the next look may find more
			fmt.Fprintf(c.Stderr, "pgsqlms status: %s\n", clean(wrong.Error()))
		}
		last, err = code, nil
		select {
		case <-ctx.Done():
			return last, nil
		case <-time.After(c.watch.every):
		}
	}
}

func statusOnce(ctx context.Context, c *call, s surveyor) (ExitCode, error) {
	found, err := s.survey(ctx, c.now())
	if ctx.Err() != nil {
		return ExitUnknown, errInterrupted
	}
	if err != nil {
		return ExitUnknown, err
	}
	v := assess(found)
	text := v.text
	if c.watch.on {
		text = func(s style) string { return s.anew(v.text(s), c.Rows) }
	}
	if err := c.print(v, text); err != nil {
		return ExitUnknown, err
	}
	if !v.Well {
		return ExitWrong, nil
	}
	return ExitWell, nil
}

// anew is a text at the top of a terminal, cut where its rows end: what scrolls away at the
// top is the table.
func (s style) anew(text string, rows int) string {
	if !s.moves {
		return text
	}
	lines := strings.SplitAfter(text, "\n")
	if n := len(lines) - 1; rows > 2 && n >= rows {
		text = strings.Join(lines[:rows-2], "") + fmt.Sprintf("... %d lines more: pgsqlms status", n-(rows-2))
	}
	const home, clearDown = "\x1b[H", "\x1b[J"
	return home + clearDown + text
}

// print writes what a command has found in the form that was asked for.
func (c *call) print(v any, text func(style) string) error {
	if c.output == outputJSON {
		return writeJSON(c, v)
	}
	_, err := fmt.Fprint(c.Stdout, text(newStyle(c.Process)))
	return err
}

// writeJSON writes one document: for people to read, or with --watch one a line.
func writeJSON(c *call, v any) error {
	e := json.NewEncoder(c.Stdout)
	e.SetEscapeHTML(false)
	if !c.watch.on {
		e.SetIndent("", "  ")
	}
	return e.Encode(v)
}
