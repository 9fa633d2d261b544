package pg

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// password looks the role's password up in the system user's ~/.pgpass, as
// that user. No file, no entry, or a file that libpq would ignore because the
// group or others may read it: no password, which peer authentication and a
// trusted address do not need.
func (i *Instance) password() (string, error) {
	if !filepath.IsAbs(i.runner().Home) {
		return "", nil
	}
	var text string
	err := i.asRunner(func() error {
		text = readPrivate(filepath.Join(i.runner().Home, ".pgpass"))
		return nil
	})
	return findPassword(text, i.passwordHost(), strconv.Itoa(i.cfg.Port), database, i.runner().Name), err
}

// passwordHost is what the entries for a Unix socket are found under.
func (i *Instance) passwordHost() string {
	if i.overSocket() {
		return "localhost"
	}
	return i.cfg.Host
}

// readPrivate reads a file only its owner may access, by libpq's rule. Any
// other is as good as empty.
func readPrivate(path string) string {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		return ""
	}
	text, err := readRegular(path, maxLargeFile)
	if err != nil {
		return ""
	}
	return string(text)
}

// findPassword looks through the lines of a password file,
// host:port:database:user:password, see "The Password File" in PostgreSQL's
// manual. The first line that fits counts; a field of * fits everything.
func findPassword(text string, wanted ...string) string {
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if password, fits := passwordIn(line, wanted); fits {
			return password
		}
	}
	return ""
}

func passwordIn(line string, wanted []string) (string, bool) {
	if strings.HasPrefix(line, "#") {
		return "", false
	}
	for _, want := range wanted {
		field, rest, found := cutField(line)
		if !found || (field != "*" && unescape(field) != want) {
			return "", false
		}
		line = rest
	}
	password, _, _ := cutField(line)
	return unescape(password), true
}

// cutField splits at the first colon that no backslash goes before.
func cutField(s string) (field, rest string, found bool) {
	for n := 0; n < len(s); n++ {
		switch s[n] {
		case '\\':
			n++
		case ':':
			return s[:n], s[n+1:], true
		}
	}
	return s, "", false
}

// unescape drops the backslash before each character that has one.
func unescape(s string) string {
	var b strings.Builder
	for n := 0; n < len(s); n++ {
		if s[n] == '\\' && n+1 < len(s) {
			n++
		}
		b.WriteByte(s[n])
	}
	return b.String()
}
