package pg

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"pgsqlms/internal/command"
)

// Settings asks `postgres -C` for the values a start would use, with pgdata's
// configuration and start_opts. The server need not run. Each name is a
// program run of some ten milliseconds; they run side by side.
//
// A value may hold a password, as primary_conninfo does: keep it out of logs.
func (i *Instance) Settings(ctx context.Context, names ...string) (map[string]string, error) {
	values, errs := make([]string, len(names)), make([]error, len(names))
	var running sync.WaitGroup
	for n, name := range names {
		running.Go(func() { values[n], errs[n] = i.setting(ctx, name) })
	}
	running.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, first(errs)
	}
	settings := make(map[string]string, len(names))
	for n, name := range names {
		settings[name] = values[n]
	}
	return settings, nil
}

// first is one of the errors: they mostly say the same, that the configuration
// cannot be read.
func first(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (i *Instance) setting(ctx context.Context, name string) (string, error) {
	args, err := i.serverArgs("-C", name)
	if err != nil {
		return "", err
	}
	out, err := command.Run(ctx, command.Cmd{Path: i.tool("postgres"), Args: args, User: &i.cfg.User})
	if err != nil {
		return "", fmt.Errorf("cannot find out setting %s: %w", name, err)
	}
	if out.Code != 0 {
		return "", fmt.Errorf("cannot find out setting %s: %s", name, complaint(out.Stderr))
	}
	// The answer ends with a newline. On a machine so busy that the program was at its end
	// before its output was read, there may be less of it, or nothing.
	value, whole := strings.CutSuffix(out.Stdout, "\n")
	if !whole {
		return "", fmt.Errorf("cannot find out setting %s: the answer was not read to its end: %w", name, context.DeadlineExceeded)
	}
	return value, nil
}

// serverArgs are the arguments a server is started with, and then more.
func (i *Instance) serverArgs(more ...string) ([]string, error) {
	options, err := SplitOptions(i.cfg.StartOpts)
	if err != nil {
		return nil, err
	}
	args := append([]string{"-D", i.cfg.PGData}, options...)
	return append(args, more...), nil
}

// complaint is the line of a server's output that says why it gave up, or else the first
// line. An error in the configuration is named in a line of its own, before the one that
// says that there is one (ProcessConfigFile in PostgreSQL's guc-file.l); so both are told.
func complaint(output string) string {
	logged := ""
	for line := range strings.Lines(output) {
		if _, text, found := strings.Cut(line, "FATAL:"); found {
			text = strings.TrimSpace(text)
			if strings.HasSuffix(text, "contains errors") && logged != "" {
				return text + ": " + logged
			}
			return text
		}
		// The token of a syntax error may be a part of a password; a missing file that may be missing is no error.
		if _, text, found := strings.Cut(line, "LOG:"); found && logged == "" && !strings.Contains(text, "skipping missing") {
			text, _, _ = strings.Cut(text, ", near token")
			logged = strings.TrimSpace(text)
		}
	}
	return command.FirstLine(output)
}
