package pg

import (
	"errors"
	"strings"
)

// parseURI reads what follows the scheme:
// [user[:password]@][host[:port],...][/dbname][?keyword=value&...]. An @ ends
// the user's part wherever it stands before the first slash, so that a
// password may hold a question mark.
func parseURI(s string) (map[string]string, error) {
	values := map[string]string{}
	if n := strings.IndexAny(s, "@/"); n >= 0 && s[n] == '@' {
		if err := readUserinfo(values, s[:n]); err != nil {
			return nil, err
		}
		s = s[n+1:]
	}
	s, query, _ := strings.Cut(s, "?")
	hosts, dbname, _ := strings.Cut(s, "/")
	if err := readHosts(values, hosts); err != nil {
		return nil, err
	}
	if dbname != "" {
		if err := decodeInto(values, "dbname", dbname); err != nil {
			return nil, err
		}
	}
	return values, readQuery(values, query)
}

func readUserinfo(values map[string]string, s string) error {
	user, password, hasPassword := strings.Cut(s, ":")
	if user != "" {
		if err := decodeInto(values, "user", user); err != nil {
			return err
		}
	}
	if hasPassword {
		return decodeInto(values, "password", password)
	}
	return nil
}

// readHosts keeps several hosts, and their ports, as comma-separated lists, as
// libpq does.
func readHosts(values map[string]string, s string) error {
	var hosts, ports []string
	for part := range strings.SplitSeq(s, ",") {
		host, port, err := cutPort(part)
		if err != nil {
			return err
		}
		hosts, ports = append(hosts, host), append(ports, port)
	}
	for keyword, list := range map[string][]string{"host": hosts, "port": ports} {
		if joined := strings.Join(list, ","); strings.Trim(joined, ",") != "" {
			if err := decodeInto(values, keyword, joined); err != nil {
				return err
			}
		}
	}
	return nil
}

// cutPort takes host and port apart. An IPv6 address stands in brackets.
func cutPort(s string) (host, port string, err error) {
	if !strings.HasPrefix(s, "[") {
		host, port, _ = strings.Cut(s, ":")
		return host, port, nil
	}
	host, rest, closed := strings.Cut(s[1:], "]")
	if !closed || host == "" || (rest != "" && rest[0] != ':') {
		return "", "", errors.New("connection URI: an address in brackets is not closed, or followed by something else than a port")
	}
	return host, strings.TrimPrefix(rest, ":"), nil
}

func readQuery(values map[string]string, s string) error {
	s = strings.TrimSuffix(s, "&")
	if s == "" {
		return nil
	}
	for part := range strings.SplitSeq(s, "&") {
		keyword, value, found := strings.Cut(part, "=")
		if !found || strings.Contains(value, "=") {
			return errors.New("connection URI: expected keyword=value between the ampersands")
		}
		keyword, err := percentDecode(keyword)
		if err != nil {
			return err
		}
		if !isKeyword(keyword) {
			return errors.New("connection URI: expected a keyword of small letters after ? and &")
		}
		if keyword == "ssl" && value == "true" { // for JDBC's URIs
			keyword, value = "sslmode", "require"
		}
		if err := decodeInto(values, keyword, value); err != nil {
			return err
		}
	}
	return nil
}

func decodeInto(values map[string]string, keyword, encoded string) error {
	value, err := percentDecode(encoded)
	if err == nil {
		values[keyword] = value
	}
	return err
}

// percentDecode replaces %XX. A plus sign is a plus sign here, and %00 would
// end the string, which libpq refuses.
func percentDecode(s string) (string, error) {
	var b strings.Builder
	for n := 0; n < len(s); n++ {
		if s[n] != '%' {
			b.WriteByte(s[n])
			continue
		}
		if n+2 >= len(s) {
			return "", errPercent
		}
		high, low := hexValue(s[n+1]), hexValue(s[n+2])
		if high < 0 || low < 0 || high+low == 0 {
			return "", errPercent
		}
		b.WriteByte(byte(high<<4 | low))
		n += 2
	}
	return b.String(), nil
}

var errPercent = errors.New("connection URI: expected two hexadecimal digits, not 00, after a percent sign")

func hexValue(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
