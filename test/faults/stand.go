package faults

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"pgsqlms/test/lab"
	"pgsqlms/test/scenario"
)

// stand is the cluster that scenarios share. It comes up when it is needed, and is thrown away after a failure.
type stand struct {
	config lab.Config
	say    func(string)
	lab    *lab.Lab
	mode   Mode
	make   func(context.Context, lab.Config, func(string)) (*lab.Lab, error) // lab.Up
}

// upAttempts is how often a cluster is brought up at most: on a busy machine one may not be ready in time, and a run of hours is
// not to end for that.
const upAttempts = 3

// readyBound is for a cluster that is up and was healthy a moment ago.
const readyBound = 90 * time.Second

// ready gives a cluster that is whole, with commits acknowledged as the mode has it.
func (s *stand) ready(ctx context.Context, mode Mode) (*lab.Lab, error) {
	if s.lab == nil {
		if err := s.up(ctx, mode); err != nil {
			return nil, err
		}
	}
	if err := s.whole(ctx); err != nil {
		return nil, err
	}
	if s.mode != mode {
		if err := s.setMode(ctx, mode); err != nil {
			return nil, err
		}
	}
	return s.lab, nil
}

// up brings a cluster up, again if need be. What a failed attempt has made is gone by then; what is there all the same may be
// somebody else's.
func (s *stand) up(ctx context.Context, mode Mode) error {
	config := s.config
	config.Sync = mode == Sync
	var errs []error
	for attempt := range upAttempts {
		s.say("bringing a cluster up")
		l, err := s.make(ctx, config, nil)
		if err == nil {
			s.lab, s.mode = l, mode
			return nil
		}
		s.say(fmt.Sprintf("attempt %d of %d: %v", attempt+1, upAttempts, err))
		errs = append(errs, fmt.Errorf("bring the cluster up: %w", err))
		if ctx.Err() != nil || errors.Is(err, lab.ErrExists) {
			break
		}
	}
	return errors.Join(errs...)
}

func (s *stand) whole(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyBound)
	defer cancel()
	return s.lab.WaitWhole(ctx)
}

// setMode changes how commits are acknowledged, and lets the primary's monitor see it.
func (s *stand) setMode(ctx context.Context, mode Mode) error {
	s.say("replication is " + string(mode) + " from now on")
	if err := s.lab.ConfigurePostgres(ctx, settings(s.lab, mode, nil)); err != nil {
		return err
	}
	primary, err := s.lab.Primary(ctx)
	if err != nil {
		return err
	}
	want := map[Mode]string{Sync: "quorum", Async: "async"}[mode]
	err = await(ctx, 20*time.Second, 100*time.Millisecond, func(ctx context.Context) string {
		others, err := s.lab.SQL(ctx, primary, "select count(*) from pg_stat_replication where sync_state <> '"+want+"'")
		if err != nil || others != "0" {
			return fmt.Sprintf("%s standbys whose state is not %s (%v)", others, want, err)
		}
		return ""
	})
	if err != nil {
		return err
	}
	s.mode = mode
	return scenario.Pause(ctx, s.monitor()+time.Second)
}

// settings are those of PostgreSQL in a mode, with others that a scenario wants.
func settings(l *lab.Lab, mode Mode, more map[string]string) map[string]string {
	var names []string
	for _, n := range l.Nodes() {
		names = append(names, n.Name)
	}
	s := map[string]string{"synchronous_standby_names": ""}
	if mode == Sync {
		s["synchronous_standby_names"] = fmt.Sprintf("ANY 1 (%s)", strings.Join(names, ","))
	}
	for name, value := range more {
		s[name] = value
	}
	return s
}

// monitor is the interval of the promoted role's.
func (s *stand) monitor() time.Duration {
	return cmp.Or(lab.MonitorInterval(s.config.Ops, "Promoted"), 15*time.Second)
}

// tidy takes back what a scenario may have left, whether it was played to its end or not.
func (s *stand) tidy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	l := s.lab
	errs := []error{l.SetFencing(ctx, lab.FencingMode{Reboot: s.reboot()})}
	power, err := l.Power(ctx)
	errs = append(errs, err)
	for name, state := range power {
		if state.Frozen {
			errs = append(errs, l.Thaw(ctx, name))
		}
		if state.Cut != "" {
			errs = append(errs, l.Heal(ctx, name))
		}
		if state.Powered {
			errs = append(errs, l.Unblock(ctx, name))
			continue
		}
		errs = append(errs, l.Boot(ctx, name))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := s.whole(ctx); err != nil {
		return err
	}
	node := l.Nodes()[0].Name
	if _, err := l.Run(ctx, node, "crm_resource", "--cleanup", "--resource", lab.Resource); err != nil {
		return err
	}
	return s.whole(ctx)
}

func (s *stand) reboot() time.Duration {
	if s.config.FenceReboot == 0 {
		return 3 * time.Second
	}
	return s.config.FenceReboot
}

// discard takes the cluster away.
func (s *stand) discard(ctx context.Context) error {
	if s.lab == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	err := s.lab.Down(ctx)
	s.lab = nil
	return err
}
