package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// ErrUnknownUser says that no source of users knows the name.
var ErrUnknownUser = errors.New("unknown user")

// User is an account of this machine, with all that a login would give it.
type User struct {
	Name   string
	UID    uint32
	GID    uint32   // primary group
	Groups []uint32 // supplementary groups; the primary one may be among them
	Home   string
}

// LookupUser finds the account called name. The local files /etc/passwd and
// /etc/group come first and cost no process. Only a name they do not have is
// asked of getent(1) and id(1), because a static binary cannot load the name
// services that know LDAP's or SSSD's users.
//
// ErrUnknownUser is returned for a name nobody knows; any other error means
// that it could not be found out.
func LookupUser(ctx context.Context, name string) (User, error) {
	if !plausibleName(name) {
		return User{}, fmt.Errorf("%w: %q is not a user name", ErrUnknownUser, name)
	}
	u, err := localFiles{passwd: "/etc/passwd", group: "/etc/group"}.lookup(name)
	if !errors.Is(err, ErrUnknownUser) {
		return u, err
	}
	return nameService{getent: "/usr/bin/getent", id: "/usr/bin/id"}.lookup(ctx, name)
}

// plausibleName refuses what could not stand in the first field of a passwd
// line, and what a program could take for an option.
func plausibleName(name string) bool {
	return name != "" && len(name) <= 256 && name[0] != '-' && name[0] != '+' &&
		!strings.ContainsAny(name, ":\x00\n\r\t /")
}
