package pg

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestSplitOptions(t *testing.T) {
	for text, want := range map[string][]string{
		"":                             nil,
		"  \t ":                        nil,
		"-c a=b":                       {"-c", "a=b"},
		" -c  a ":                      {"-c", "a"},
		`''`:                           {""},
		`"" ''`:                        {"", ""},
		`a''b`:                         {"ab"},
		`'a b'c`:                       {"a bc"},
		`a\ b`:                         {"a b"},
		`"a\"b\\"`:                     {`a"b\`},
		`"a\b"`:                        {`a\b`},
		`'a\b'`:                        {`a\b`},
		`'$(x)'`:                       {"$(x)"},
		`"\$x\` + "`" + `"`:            {"$x`"},
		`\$x\;\|`:                      {"$x;|"},
		"-c listen_addresses=*":        {"-c", "listen_addresses=*"},
		"a~ a#b a=~/x [a-z] ? {1,2} !": {"a~", "a#b", "a=~/x", "[a-z]", "?", "{1,2}", "!"},
		"'a\nb'":                       {"a\nb"},
		`-c config_file=/etc/postgresql/15/main/postgresql.conf`: {"-c", "config_file=/etc/postgresql/15/main/postgresql.conf"},
	} {
		got, err := SplitOptions(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{
		`'`, `a'b`, `"`, `"a\"`, `\`, `a\`, "a\\\nb", "$x", "a$(x)", "`x`", "a;b", "a&b", "a|b", "a<b", "a>b", "(a)", "a\nb", "a\rb",
		"~", "~/x", "a ~root", "#a", "a #b", `"$x"`, "\"`x`\"", "a\x00b", "'a\x00b'", "\"a\x00b\"",
	} {
		_, err := SplitOptions(text)
		require.Error(t, err, "%q", text)
		require.NotContains(t, err.Error(), "\n")
	}
	_, err := SplitOptions("-c a=$b")
	require.EqualError(t, err, `start_opts: at character 6: '$' has a meaning for a shell, and none is used here; put it in single quotes`)
}

// Where the splitter accepts a text, a shell makes the same words of it.
func TestSplitOptionsAgreesWithTheShell(t *testing.T) {
	pieces := []string{"a", "-c", "=", " ", "  ", "\t", "'", "\"", "\\", "*", "?", "~", "#", "!", "{a,b}", "é", "\\$", "[", "]", "%s", "\\\\", "''", "\"\""}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 8).Draw(t, "text"), "")
		words, err := SplitOptions(text)
		if err != nil {
			return
		}
		require.Equal(t, words, inShell(t, text))
	})
}

func inShell(t require.TestingT, text string) (words []string) {
	out, err := exec.Command("/bin/sh", "-c", "set -f; for word in "+text+"\ndo printf '%s\\0' \"$word\"; done").Output()
	require.NoError(t, err, "%q", text)
	for word := range strings.SplitSeq(string(out), "\x00") {
		words = append(words, word)
	}
	if words = words[:len(words)-1]; len(words) == 0 {
		return nil
	}
	return words
}

// Whatever words there are, quoting them gets them through.
func TestSplitOptionsGivesQuotedWordsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOf(rapid.StringMatching(`[^\x00]*`)).Draw(t, "words")
		var quoted []string
		for _, word := range words {
			quoted = append(quoted, "'"+strings.ReplaceAll(word, "'", `'\''`)+"'")
		}
		got, err := SplitOptions(strings.Join(quoted, " "))
		require.NoError(t, err)
		require.Equal(t, len(words), len(got))
		for n := range words {
			require.Equal(t, words[n], got[n])
		}
	})
}

func FuzzSplitOptions(f *testing.F) {
	for _, seed := range []string{"-c a='b c' \"d\\\"e\" f\\ g", "'", "$x", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		words, err := SplitOptions(s)
		if err != nil {
			return
		}
		for _, word := range words {
			if strings.ContainsRune(word, 0) || len(word) > len(s) {
				t.Fatalf("%q gave the word %q", s, word)
			}
		}
	})
}
