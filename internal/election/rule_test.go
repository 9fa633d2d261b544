package election

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParseSynchronousStandbyNames(t *testing.T) {
	for setting, want := range map[string]StandbyNames{
		"":                           {},
		"n1":                         {1, true, names("n1")},
		"n1, n2":                     {1, true, names("n1", "n2")},
		" n1\t,\n\r\f\v n2 ":         {1, true, names("n1", "n2")},
		"2 (n1, n2,n3)":              {2, true, names("n1", "n2", "n3")},
		"2(n1,n2,n3)":                {2, true, names("n1", "n2", "n3")},
		"FIRST 2 (n1, n2, n3)":       {2, true, names("n1", "n2", "n3")},
		"first 1(n1)":                {1, true, names("n1")},
		"ANY 2 (n1, n2, n3)":         {2, false, names("n1", "n2", "n3")},
		"aNy 1 (n1)":                 {1, false, names("n1")},
		"ANY 2 (*)":                  {2, false, names("*")},
		"*":                          {1, true, names("*")},
		`"*"`:                        {1, true, names("*")}, // syncrep.c compares the text, not how it was written
		"ANY 1 (n1, *)":              {1, false, names("n1", "*")},
		`"b c", "d""e", "(", ""`:     {1, true, names("b c", `d"e`, "(", "")},
		`"any", "FIRST"`:             {1, true, names("any", "FIRST")},
		"anyone, firstly":            {1, true, names("anyone", "firstly")},
		"1, 2":                       {1, true, names("1", "2")}, // digits are a name where no list follows
		"2":                          {1, true, names("2")},
		"3 (1, 2)":                   {3, true, names("1", "2")},
		"007 (a)":                    {7, true, names("a")},
		"_a$1, Ä, \xff":              {1, true, names("_a$1", "Ä", "\xff")},
		"ANY 9 (n1)":                 {9, false, names("n1")}, // PostgreSQL warns, and every commit waits
		"ANY 1 (n1, N1)":             {1, false, names("n1", "N1")},
		"FIRST 2147483647 (n1)":      {2147483647, true, names("n1")},
		"ANY 1 (" + long(200) + " )": {1, false, names(long(200))},
	} {
		got, err := ParseSynchronousStandbyNames(setting)
		require.NoError(t, err, setting)
		assert.Equal(t, want, got, setting)
	}
	for _, setting := range []string{
		" ", ",", "n1,", ",n1", "n1 n2", "n1,,n2", "n-1", "n.1", "n1;", "'n1'", "(n1)", "2 n1", "2 (n1", "2 n1)", "2 ()", "2 (n1))",
		"2 (n1),", "2 (n1) n2", "any", "first", "ANY (n1)", "ANY 0 (n1)", "0 (n1)", "ANY -1 (n1)", "ANY n (n1)", `ANY "1" (n1)`, "ANY 2 n1",
		"ANY 1 (ANY)", "n1, first", "2a", "2a (n1)", "$a", `"n1`, `"n1""`, `n1"`, "ANY 99999999999 (n1)", "\x00", "ANY 1 (n1, 2 (n2))",
		"FIRST ANY 1 (n1)", strings.Repeat("(", 10000),
	} {
		_, err := ParseSynchronousStandbyNames(setting)
		require.Error(t, err, setting)
		require.Less(t, len(err.Error()), 300, setting)
	}
}

func long(n int) string { return strings.Repeat("n", n) }

func TestRuleFor(t *testing.T) {
	nodes := names("n1", "n2", "n3")
	cases := map[string]struct {
		setting   string
		connected []string
		want      Rule
	}{
		"asynchronous":                   {"", nil, Rule{"n1", 0, nil}},
		"the primary's own name":         {"ANY 1 (n1, n2, n3)", names("n2", "n3"), Rule{"n1", 1, names("n2", "n3")}},
		"FIRST counts like ANY":          {"FIRST 1 (n3, n2)", nil, Rule{"n1", 1, names("n3", "n2")}},
		"a plain list is FIRST 1":        {"n2, n3", nil, Rule{"n1", 1, names("n2", "n3")}},
		"without regard to case":         {"ANY 1 (N1, N2, n3, N3)", nil, Rule{"n1", 1, names("n2", "n3")}},
		"not a node of the cluster":      {"ANY 1 (n2, dr)", nil, Rule{"n1", 1, names("n2", "dr")}},
		"any":                            {"ANY 1 (*)", names("n2"), Rule{"n1", 1, names("n2", "n3")}},
		"any, and a stranger streams":    {"ANY 1 (*)", names("n2", "pg_receivewal"), Rule{"n1", 1, names("n2", "n3", "pg_receivewal")}},
		"any beside a name":              {"FIRST 2 (dr, *)", names("n3"), Rule{"n1", 2, names("n2", "n3", "dr")}},
		"a list is not for strangers":    {"ANY 1 (n2, n3)", names("pg_receivewal"), Rule{"n1", 1, names("n2", "n3")}},
		"somebody uses the primary's":    {"ANY 1 (n1, n2)", names("n1", "n2"), Rule{"n1", 1, names("n1", "n2")}},
		"more than there are":            {"ANY 3 (n2, n3)", nil, Rule{"n1", 3, names("n2", "n3")}},
		"only itself: no commit returns": {"ANY 1 (n1)", nil, Rule{"n1", 1, nil}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := RuleFor(c.setting, "n1", nodes, c.connected)
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
		})
	}
	_, err := RuleFor("ANY", "n1", nodes, nil)
	require.Error(t, err)
}

func TestNamesAreComparedAsPostgreSQLDoes(t *testing.T) {
	assert.True(t, sameName("db-A", "DB-a"))
	assert.False(t, sameName("\xfe", "\xff"), "bytes that are no UTF-8 are still themselves")
	assert.False(t, sameName("db1", "db10"))
}

func TestNamesAreShownOnOneLine(t *testing.T) {
	r := Rule{"n1", 1, names("db-2.example.org", "a\nb", "", "\x1b[2J", "é")}
	assert.Equal(t, `n1 needs 1 of db-2.example.org, "a\nb", "", "\x1b[2J", "\u00e9"`, r.String())
	w := Wait{Primary: "n\n1", Of: names("a b"), Short: 1}
	assert.Equal(t, `"a b" or "n\n1"`, w.String())
}

func TestRuleSettled(t *testing.T) {
	cases := map[string]struct {
		rule   Rule
		voters []string
		want   bool
	}{
		"asynchronous":                         {Rule{"n1", 0, nil}, nil, true},
		"ANY 1 of two, one votes":              {Rule{"n1", 1, names("n2", "n3")}, names("n3"), false},
		"ANY 1 of two, both vote":              {Rule{"n1", 1, names("n2", "n3")}, names("n3", "n2"), true},
		"ANY 1 of two, the primary votes":      {Rule{"n1", 1, names("n2", "n3")}, names("n1"), true},
		"ANY 2 of two, one votes":              {Rule{"n1", 2, names("n2", "n3")}, names("n3"), true},
		"ANY 2 of two, a stranger votes":       {Rule{"n1", 2, names("n2", "n3")}, names("n4"), false},
		"ANY 2 of four, two vote":              {Rule{"n1", 2, names("n2", "n3", "n4", "n5")}, names("n2", "n3"), false},
		"ANY 2 of four, three vote":            {Rule{"n1", 2, names("n2", "n3", "n4", "n5")}, names("n2", "n3", "n5"), true},
		"a pair, the other votes":              {Rule{"n1", 1, names("n2")}, names("n2"), true},
		"more than there are, nothing returns": {Rule{"n1", 3, names("n2", "n3")}, nil, true},
		"only itself, nothing returns":         {Rule{"n1", 1, nil}, nil, true},
		"names in another case":                {Rule{"N1", 1, names("N2", "n3")}, names("N3", "n2"), true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { assert.Equal(t, c.want, c.rule.settledBy(c.voters)) })
	}
}

// subsets are all subsets of a handful of names.
func subsets(of []string) (all [][]string) {
	for bits := range 1 << len(of) {
		var set []string
		for i, name := range of {
			if bits&(1<<i) != 0 {
				set = append(set, name)
			}
		}
		all = append(all, set)
	}
	return all
}

func anyRule(t *rapid.T, label string, nodes []string) Rule {
	primary := rapid.SampledFrom(nodes).Draw(t, label+" primary")
	r := Rule{Primary: primary, Need: rapid.IntRange(0, 4).Draw(t, label+" need")}
	for _, name := range append([]string{"dr"}, nodes...) {
		if name != primary && r.Need > 0 && rapid.Bool().Draw(t, label+" of "+name) {
			r.Of = append(r.Of, name)
		}
	}
	return r
}

// holders are all the sets of nodes that can hold a commit when it is acknowledged.
func holders(r Rule) (all [][]string) {
	for _, acknowledged := range subsets(r.Of) {
		if len(acknowledged) == r.Need {
			all = append(all, append([]string{r.Primary}, acknowledged...))
		}
	}
	return all
}

func meet(a, b []string) bool {
	for _, x := range a {
		if containsName(b, x) {
			return true
		}
	}
	return false
}

// The oracle goes through every way in which a commit can have been acknowledged.
func TestSettledMeansThatEveryAcknowledgedCommitIsOnAVoter(t *testing.T) {
	nodes := names("n1", "n2", "n3", "n4")
	rapid.Check(t, func(t *rapid.T) {
		r := anyRule(t, "rule", nodes)
		voters := rapid.SampledFrom(subsets(nodes)).Draw(t, "voters")
		want := true
		for _, h := range holders(r) {
			want = want && (r.Need == 0 || meet(h, voters))
		}
		assert.Equal(t, want, r.settledBy(voters), "%v by %v", r, voters)
	})
}

// A commit of an older rule, which the newer rule's primary holds besides, must be on a
// voter whenever the newer rule is settled.
func TestCoveringRulesProtectOlderCommits(t *testing.T) {
	nodes := names("n1", "n2", "n3", "n4")
	covered := 0
	rapid.Check(t, func(t *rapid.T) {
		older, newer := anyRule(t, "older", nodes), anyRule(t, "newer", nodes)
		change := rapid.SampledFrom(names("same nodes", "fewer", "more", "others")).Draw(t, "change")
		if change != "others" {
			newer.Of = nil
			for _, n := range append([]string{older.Primary}, older.Of...) {
				left := change == "fewer" && rapid.Bool().Draw(t, "without "+n)
				if n != newer.Primary && !left {
					newer.Of = append(newer.Of, n)
				}
			}
		}
		if change == "more" && !containsName(newer.Of, "dr") {
			newer.Of = append(newer.Of, "dr")
		}
		if newer.Need == 0 || older.Need == 0 || !newer.covers(older) {
			return
		}
		covered++
		for _, voters := range subsets(append(nodes, "dr")) {
			if !newer.settledBy(voters) {
				continue
			}
			for _, h := range holders(older) {
				assert.True(t, meet(append(h, newer.Primary), voters), "%v then %v, voters %v, on %v", older, newer, voters, h)
			}
		}
	})
	assert.NotZero(t, covered)
}

func FuzzParseSynchronousStandbyNames(f *testing.F) {
	for _, seed := range []string{"", "ANY 2 (n1, n2, n3)", `FIRST 1 ("a b", *)`, "n1,n2", "2 (a)", `"x""y"`, "any, first", "1,2", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, setting string) {
		s, err := ParseSynchronousStandbyNames(setting)
		if err != nil {
			if len(err.Error()) > 600 {
				t.Fatalf("%q: an error of %d bytes", setting, len(err.Error()))
			}
			return
		}
		if (s.Need == 0) != (setting == "") || (len(s.Names) == 0) != (setting == "") {
			t.Fatalf("%q gave %+v", setting, s)
		}
		again, err := ParseSynchronousStandbyNames(written(s))
		if err != nil || written(again) != written(s) {
			t.Fatalf("%q gave %+v, which gave %+v, %v", setting, s, again, err)
		}
	})
}

// written is a setting that means s, all names quoted.
func written(s StandbyNames) string {
	if s.Need == 0 {
		return ""
	}
	method := "ANY"
	if s.Priority {
		method = "FIRST"
	}
	quoted := make([]string, len(s.Names))
	for i, name := range s.Names {
		quoted[i] = `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
	}
	return method + " " + strconv.Itoa(s.Need) + " (" + strings.Join(quoted, ",") + ")"
}
