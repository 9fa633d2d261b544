package pg

import (
	"errors"
	"strings"
)

// ParseConninfo reads a libpq connection string in either of its forms,
// keyword = value or postgresql:// URI, by the rules of section "Connection
// Strings" of PostgreSQL's manual. A keyword given twice has the last value.
// No environment, service file or default is looked at. Its errors never quote
// the string, which may hold a password.
func ParseConninfo(s string) (map[string]string, error) {
	for _, scheme := range []string{"postgresql://", "postgres://"} {
		if rest, found := strings.CutPrefix(s, scheme); found {
			return parseURI(rest)
		}
	}
	return parseKeywords(s)
}

// parseKeywords reads "keyword = 'value' ...".
func parseKeywords(s string) (map[string]string, error) {
	values := map[string]string{}
	for s = trimSpace(s); s != ""; s = trimSpace(s) {
		keyword, rest := cutKeyword(s)
		rest = trimSpace(rest)
		if !isKeyword(keyword) || !strings.HasPrefix(rest, "=") {
			return nil, errors.New("connection string: expected a keyword followed by =")
		}
		value, rest, err := cutValue(trimSpace(rest[1:]))
		if err != nil {
			return nil, err
		}
		values[keyword] = value
		s = rest
	}
	return values, nil
}

// isKeyword knows the form of libpq's keywords, though not the list of them,
// which grows with every version.
func isKeyword(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// conninfoSpace is what isspace(3) knows in the C locale.
const conninfoSpace = " \t\n\v\f\r"

func trimSpace(s string) string { return strings.TrimLeft(s, conninfoSpace) }

func cutKeyword(s string) (keyword, rest string) {
	if n := strings.IndexAny(s, "="+conninfoSpace); n >= 0 {
		return s[:n], s[n:]
	}
	return s, ""
}

// cutValue takes one value off s: in single quotes, or up to white space. In
// both a backslash takes the next character as it is.
func cutValue(s string) (value, rest string, err error) {
	var b strings.Builder
	quoted := strings.HasPrefix(s, "'")
	if quoted {
		s = s[1:]
	}
	for n := 0; n < len(s); n++ {
		switch c := s[n]; {
		case c == '\\':
			if n++; n < len(s) {
				b.WriteByte(s[n])
			}
		case quoted && c == '\'':
			return b.String(), s[n+1:], nil
		case !quoted && strings.IndexByte(conninfoSpace, c) >= 0:
			return b.String(), s[n:], nil
		default:
			b.WriteByte(c)
		}
	}
	if quoted {
		return "", "", errors.New("connection string: a quoted value is never closed")
	}
	return b.String(), "", nil
}
