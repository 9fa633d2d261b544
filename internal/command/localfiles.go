package command

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// localFiles reads users from files in the formats of passwd(5) and group(5).
type localFiles struct {
	passwd, group string
}

func (f localFiles) lookup(name string) (User, error) {
	line, err := findLine(f.passwd, func(line string) bool { return strings.HasPrefix(line, name+":") })
	if err != nil {
		return User{}, err
	}
	if line == "" {
		return User{}, fmt.Errorf("%w: %q is not in %s", ErrUnknownUser, name, f.passwd)
	}
	u, err := parsePasswd(line)
	if err != nil {
		return User{}, fmt.Errorf("user %q in %s: %w", name, f.passwd, err)
	}
	u.Groups, err = f.groupsOf(u)
	return u, err
}

// groupsOf collects the groups that name u as a member, its primary group
// first, as initgroups(3) does.
func (f localFiles) groupsOf(u User) ([]uint32, error) {
	groups := []uint32{u.GID}
	_, err := findLine(f.group, func(line string) bool {
		if gid, member := memberOf(line, u.Name); member && gid != u.GID {
			groups = append(groups, gid)
		}
		return false
	})
	return groups, err
}

// findLine returns the first line that matches, or "". A file that does not
// exist has no lines.
func findLine(path string, matches func(string) bool) (string, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20) // a group may have thousands of members
	for lines.Scan() {
		if matches(lines.Text()) {
			return lines.Text(), nil
		}
	}
	return "", lines.Err()
}

// parsePasswd reads name:password:uid:gid:comment:home:shell, see passwd(5).
func parsePasswd(line string) (User, error) {
	fields := strings.Split(line, ":")
	if len(fields) < 6 {
		return User{}, fmt.Errorf("the entry has %d fields, expected 7", len(fields))
	}
	uid, err := parseID(fields[2])
	if err != nil {
		return User{}, fmt.Errorf("user ID: %w", err)
	}
	gid, err := parseID(fields[3])
	if err != nil {
		return User{}, fmt.Errorf("group ID: %w", err)
	}
	return User{Name: fields[0], UID: uid, GID: gid, Home: fields[5]}, nil
}

// memberOf reads name:password:gid:member,member, see group(5). A line that
// cannot be read makes nobody a member.
func memberOf(line, user string) (uint32, bool) {
	fields := strings.Split(line, ":")
	if len(fields) < 4 {
		return 0, false
	}
	gid, err := parseID(fields[2])
	if err != nil {
		return 0, false
	}
	for member := range strings.SplitSeq(fields[3], ",") {
		if strings.TrimSpace(member) == user {
			return gid, true
		}
	}
	return 0, false
}

// parseID reads a user or group ID. The highest number is no ID: the system
// calls that set IDs take it for "leave as it is".
func parseID(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 1<<32-1 {
		return 0, fmt.Errorf("%q is not an ID, expected 0 to 4294967294", s)
	}
	return uint32(n), nil
}
