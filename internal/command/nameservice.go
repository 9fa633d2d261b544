package command

import (
	"context"
	"fmt"
	"strings"
)

// nameService asks the system's own programs, which are linked to load the
// name services configured in nsswitch.conf(5).
type nameService struct {
	getent, id string
}

// getentUnknown is what getent(1) exits with when a key was not found.
const getentUnknown = 2

func (s nameService) lookup(ctx context.Context, name string) (User, error) {
	out, err := Run(ctx, Cmd{Path: s.getent, Args: []string{"passwd", name}})
	if err != nil {
		return User{}, fmt.Errorf("user %q: %w", name, err)
	}
	if out.Code == getentUnknown {
		return User{}, fmt.Errorf("%w: %q is in no user database", ErrUnknownUser, name)
	}
	if out.Code != 0 {
		return User{}, fmt.Errorf("user %q: %s exited with %d: %s", name, s.getent, out.Code, FirstLine(out.Stderr))
	}
	u, err := parsePasswd(strings.TrimRight(out.Stdout, "\n"))
	if err != nil {
		return User{}, fmt.Errorf("user %q from %s: %w", name, s.getent, err)
	}
	if u.Name != name { // getent also takes a number, for the user who has it
		return User{}, fmt.Errorf("%w: %q is not a name, it is the ID of %q", ErrUnknownUser, name, u.Name)
	}
	u.Groups, err = s.groupsOf(ctx, u)
	return u, err
}

func (s nameService) groupsOf(ctx context.Context, u User) ([]uint32, error) {
	out, err := Run(ctx, Cmd{Path: s.id, Args: []string{"-G", "--", u.Name}})
	if err != nil {
		return nil, fmt.Errorf("groups of user %q: %w", u.Name, err)
	}
	if out.Code != 0 {
		return nil, fmt.Errorf("groups of user %q: %s exited with %d: %s", u.Name, s.id, out.Code, FirstLine(out.Stderr))
	}
	var groups []uint32
	for word := range strings.FieldsSeq(out.Stdout) {
		gid, err := parseID(word)
		if err != nil {
			return nil, fmt.Errorf("groups of user %q from %s: %w", u.Name, s.id, err)
		}
		groups = append(groups, gid)
	}
	return groups, nil
}
