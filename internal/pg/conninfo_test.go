package pg

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParseConninfo(t *testing.T) {
	for text, want := range map[string]map[string]string{
		"":                             {},
		" \n":                          {},
		"host=db1 application_name=n1": {"host": "db1", "application_name": "n1"},
		"application_name = 'n1'":      {"application_name": "n1"},
		"application_name='n 1'password = 'a''b=c'":            nil, // two quotes are no quote here
		`application_name='n\'1\\' x=y`:                        {"application_name": `n'1\`, "x": "y"},
		`application_name=n\ 1`:                                {"application_name": "n 1"},
		`application_name=`:                                    {"application_name": ""},
		`application_name= host=x`:                             {"application_name": "host=x"}, // as libpq reads it
		"application_name=a application_name=b":                {"application_name": "b"},
		"host=/run\tport=5432\nuser=u":                         {"host": "/run", "port": "5432", "user": "u"},
		`a=b\`:                                                 {"a": "b"},
		"a='b'c=d":                                             {"a": "b", "c": "d"},
		"options='-c application_name=other'":                  {"options": "-c application_name=other"},
		"postgresql://":                                        {},
		"postgres://h":                                         {"host": "h"},
		"postgresql://u:p@h:1/db?application_name=n":           {"user": "u", "password": "p", "host": "h", "port": "1", "dbname": "db", "application_name": "n"},
		"postgresql://u@":                                      {"user": "u"},
		"postgresql://:p@h":                                    {"password": "p", "host": "h"},
		"postgresql://u:a?b@h":                                 {"user": "u", "password": "a?b", "host": "h"},
		"postgresql://u:p@h/db@x":                              {"user": "u", "password": "p", "host": "h", "dbname": "db@x"},
		"postgresql:///db?host=/run&application_name=n%201%2F": {"dbname": "db", "host": "/run", "application_name": "n 1/"},
		"postgresql://%2Frun/db":                               {"host": "/run", "dbname": "db"},
		"postgresql://a:1,b,c:3/?x=y&":                         {"host": "a,b,c", "port": "1,,3", "x": "y"},
		"postgresql://[2001:db8::1]:5432,[::1]":                {"host": "2001:db8::1,::1", "port": "5432,"},
		"postgresql://h?application_name=a+b":                  {"host": "h", "application_name": "a+b"},
		"postgresql://h?ssl=true":                              {"host": "h", "sslmode": "require"},
		"postgresql://h?application_name=a&application_name=b": {"host": "h", "application_name": "b"},
		"postgresql://h?":                                      {"host": "h"},
	} {
		got, err := ParseConninfo(text)
		if want == nil {
			require.Error(t, err, text)
			continue
		}
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
}

// A password in the string must not get out with the error.
func TestParseConninfoRefusesWithoutQuoting(t *testing.T) {
	const secret = "S3CRET"
	for _, text := range []string{
		secret, "password", "=" + secret, "password " + secret, "password='" + secret, "password=a " + secret, "a=b 'x'=" + secret,
		"postgresql://u:" + secret + "%zz@h", "postgresql://u:" + secret + "%00@h", "postgresql://u:" + secret + "%4@h",
		"postgresql://u:" + secret + "@[::1", "postgresql://u:" + secret + "@[::1]x", "postgresql://u:" + secret + "@[]",
		"postgresql://h?password", "postgresql://h?" + secret, "postgresql://h?password=" + secret + "=x", "postgresql://h?a=b&&password=" + secret,
	} {
		_, err := ParseConninfo(text)
		require.Error(t, err, text)
		require.NotContains(t, err.Error(), secret, text)
	}
}

// Any value can be written so that it is read back, in both forms.
func TestParseConninfoRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.MapOf(rapid.StringMatching(`[a-z_]{1,8}`), rapid.StringMatching(`[^\x00]*`)).Draw(t, "values")
		delete(values, "ssl") // which is read as sslmode in a URI
		var pairs, query []string
		for keyword, value := range values {
			escaped := strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value)
			pairs = append(pairs, keyword+" = '"+escaped+"'")
			query = append(query, keyword+"="+percentEncode(value))
		}
		got, err := ParseConninfo(strings.Join(pairs, " "))
		require.NoError(t, err)
		require.Equal(t, values, got)
		got, err = ParseConninfo("postgresql://?" + strings.Join(query, "&"))
		require.NoError(t, err)
		require.Equal(t, values, got)
	})
}

func percentEncode(s string) string {
	var b strings.Builder
	for n := range len(s) {
		b.WriteString("%" + string("0123456789ABCDEF"[s[n]>>4]) + string("0123456789abcdef"[s[n]&15]))
	}
	return b.String()
}

func FuzzParseConninfo(f *testing.F) {
	for _, seed := range []string{
		"host=db1 application_name='n 1'", `a='\'`, "postgresql://u:p@h:1,g/db?x=y&z=%20", "postgres://[::1]:5/", "a=b\\",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		values, err := ParseConninfo(s)
		if err != nil {
			return
		}
		for _, value := range values {
			if len(value) > len(s) && value != "require" {
				t.Fatalf("%q gave a value longer than itself: %q", s, value)
			}
		}
	})
}
