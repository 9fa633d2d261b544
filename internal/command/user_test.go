package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func files(t *testing.T, passwd, group string) localFiles {
	t.Helper()
	dir := t.TempDir()
	f := localFiles{passwd: filepath.Join(dir, "passwd"), group: filepath.Join(dir, "group")}
	require.NoError(t, os.WriteFile(f.passwd, []byte(passwd), 0o600))
	require.NoError(t, os.WriteFile(f.group, []byte(group), 0o600))
	return f
}

const (
	somePasswd = "root:x:0:0:root:/root:/bin/bash\n# comment\n\npostgres2:x:1:1::/two:\n" +
		"postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash\nlast:x:5:5::/last:/bin/sh"
	someGroup = "root:x:0:\npostgres:x:104:postgres\nssl-cert:x:103:other,postgres\npostgresql:x:9:xpostgres,postgres2\nbroken:x\nwide:x:77:postgres"
)

func TestLocalUser(t *testing.T) {
	f := files(t, somePasswd, someGroup)
	u, err := f.lookup("postgres")
	require.NoError(t, err)
	require.Equal(t, User{Name: "postgres", UID: 101, GID: 104, Groups: []uint32{104, 103, 77}, Home: "/var/lib/postgresql"}, u)
	u, err = f.lookup("last")
	require.NoError(t, err)
	require.Equal(t, User{Name: "last", UID: 5, GID: 5, Groups: []uint32{5}, Home: "/last"}, u)
	for _, name := range []string{"postgre", "postgresq", "x", "#", "Root", "."} {
		_, err = f.lookup(name)
		require.ErrorIs(t, err, ErrUnknownUser, name)
	}
}

func TestLocalUserWithBrokenEntry(t *testing.T) {
	for what, line := range map[string]string{
		"short": "u:x:1", "no number": "u:x:one:1::/:", "negative": "u:x:-1:1::/:", "not an ID": "u:x:4294967295:1::/:",
		"too large": "u:x:4294967296:1::/:", "no group": "u:x:1:::/:", "empty": "u:",
	} {
		_, err := files(t, line+"\n", "").lookup("u")
		require.Error(t, err, what)
		require.NotErrorIs(t, err, ErrUnknownUser, what)
	}
	_, err := localFiles{passwd: "/nowhere/passwd", group: "/nowhere/group"}.lookup("u")
	require.ErrorIs(t, err, ErrUnknownUser)
	long := "g:x:7:" + strings.Repeat("member,", 50000) + "last\n"
	u, err := files(t, somePasswd, long).lookup("last")
	require.NoError(t, err)
	require.Equal(t, []uint32{5, 7}, u.Groups)
}

// fakes are stand-ins for getent and id.
func fakes(t *testing.T, getent, id string) nameService {
	t.Helper()
	dir := t.TempDir()
	s := nameService{getent: filepath.Join(dir, "getent"), id: filepath.Join(dir, "id")}
	require.NoError(t, os.WriteFile(s.getent, []byte("#!/bin/sh\n"+getent), 0o700))
	require.NoError(t, os.WriteFile(s.id, []byte("#!/bin/sh\n"+id), 0o700))
	return s
}

func TestUserFromNameService(t *testing.T) {
	s := fakes(t, `[ "$*" = "passwd pg" ] && echo "pg:*:70001:70002:Post Gres:/home/ldap/pg:/bin/bash"`,
		`[ "$*" = "-G -- pg" ] && echo "70002 70003 5"`)
	u, err := s.lookup(t.Context(), "pg")
	require.NoError(t, err)
	require.Equal(t, User{Name: "pg", UID: 70001, GID: 70002, Groups: []uint32{70002, 70003, 5}, Home: "/home/ldap/pg"}, u)

	_, err = fakes(t, "exit 2", "").lookup(t.Context(), "pg")
	require.ErrorIs(t, err, ErrUnknownUser)
	// asked for a number, getent finds the user who has it
	_, err = fakes(t, `echo "root:x:0:0:root:/root:/bin/sh"`, "echo 0").lookup(t.Context(), "0")
	require.ErrorIs(t, err, ErrUnknownUser)
	for what, broken := range map[string]nameService{
		"failing":           fakes(t, "echo no server >&2; exit 1", ""),
		"garbage":           fakes(t, "echo hello", ""),
		"nothing":           fakes(t, "", ""),
		"no groups":         fakes(t, `echo "pg:*:70001:70002:::"`, "exit 1"),
		"groups of garbage": fakes(t, `echo "pg:*:70001:70002:::"`, "echo a b"),
		"missing":           {getent: "/nowhere/getent", id: "/nowhere/id"},
	} {
		_, err := broken.lookup(t.Context(), "pg")
		require.Error(t, err, what)
		require.NotErrorIs(t, err, ErrUnknownUser, what)
	}
}

func TestLookupUser(t *testing.T) {
	u, err := LookupUser(t.Context(), "root")
	require.NoError(t, err)
	require.Zero(t, u.UID)
	require.Contains(t, u.Groups, uint32(0))
	for _, name := range []string{
		"", "-h", "--help", "+", "a:b", "a\nb", "root\n", "a b", "../root", "a\x00", strings.Repeat("x", 300), "no_such_user_here", "0",
	} {
		_, err := LookupUser(t.Context(), name)
		require.ErrorIs(t, err, ErrUnknownUser, "%q", name)
	}
}

func FuzzParsePasswd(f *testing.F) {
	for _, line := range strings.Split(somePasswd, "\n") {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		u, err := parsePasswd(line)
		if err == nil && (u.UID == 1<<32-1 || u.GID == 1<<32-1 || !strings.HasPrefix(line, u.Name+":")) {
			t.Fatalf("%q gave %+v", line, u)
		}
		memberOf(line, "postgres")
	})
}
