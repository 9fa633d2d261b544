package metadata

import (
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An existing resource keeps its meaning when the file of the agent is swapped, so these values are a promise.
func TestParametersAreThoseOfPAF(t *testing.T) {
	type row struct {
		name, def string
		kind      Type
		unique    bool
	}
	var got []row
	for _, p := range Parameters() {
		require.False(t, p.Required, p.Name)
		got = append(got, row{p.Name, p.Default, p.Type, p.Unique})
	}
	require.ElementsMatch(t, []row{
		{"system_user", "postgres", TypeString, false},
		{"bindir", "/usr/bin", TypeString, false},
		{"pgdata", "/var/lib/pgsql/data", TypeString, true},
		{"datadir", "", TypeString, true},
		{"pghost", "/tmp", TypeString, false},
		{"pgport", "5432", TypeInteger, false},
		{"recovery_template", "", TypeString, true},
		{"start_opts", "", TypeString, false},
		{"maxlag", "0", TypeInteger, false},
		{"sync_guard", "true", TypeBoolean, false}, // not PAF's
	}, got)
}

func TestActionsAreThoseOfPAF(t *testing.T) {
	type row struct {
		name              string
		role              Role
		timeout, interval time.Duration
	}
	var got []row
	for _, a := range Actions() {
		got = append(got, row{a.Name, a.Role, a.Timeout / time.Second, a.Interval / time.Second})
	}
	require.ElementsMatch(t, []row{
		{"start", RoleAny, 60, 0},
		{"stop", RoleAny, 60, 0},
		{"reload", RoleAny, 20, 0},
		{"promote", RoleAny, 30, 0},
		{"demote", RoleAny, 120, 0},
		{"monitor", RolePromoted, 10, 1},
		{"monitor", RoleUnpromoted, 10, 2},
		{"notify", RoleAny, 60, 0},
		{"meta-data", RoleAny, 5, 0},
		{"validate-all", RoleAny, 5, 0},
		{"methods", RoleAny, 5, 0},
	}, got)
}

func TestMethodNamesNameEachActionOnce(t *testing.T) {
	names := MethodNames()
	require.Len(t, names, 10)
	require.Equal(t, names, slices.Compact(slices.Clone(names)))
	require.Contains(t, names, Monitor)
}

func TestDefault(t *testing.T) {
	require.Equal(t, "5432", Default(PGPort))
	require.Empty(t, Default(DataDir))
	require.Empty(t, Default("no_such_parameter"))
	_, ok := ParameterNamed("no_such_parameter")
	require.False(t, ok)
}

// The tables are handed out as copies: a caller that sorts or edits one does not change what the next one sees.
func TestTablesCannotBeChangedFromOutside(t *testing.T) {
	Parameters()[0].Default = "changed"
	Actions()[0].Timeout = 0
	Outcomes()[0].Code = 99
	ExitCodes()[0].Code = 99
	require.Equal(t, "postgres", Default(SystemUser))
	require.Equal(t, 60*time.Second, Actions()[0].Timeout)
	require.Zero(t, Outcomes()[0].Code)
	require.Zero(t, ExitCodes()[0].Code)
}

// pcs and crmsh show the short text in one line, after the name and the type.
func TestTextsAreFitToBeShown(t *testing.T) {
	oneLine := regexp.MustCompile(`^[A-Z][^\n]{5,70}[^.\n]$`)
	require.Regexp(t, oneLine, shortDescription)
	for _, p := range Parameters() {
		require.Regexp(t, oneLine, p.Short, p.Name)
		require.NotEmpty(t, p.Long, p.Name)
		require.False(t, p.Default != "" && p.DefaultFrom != "", "%s has two defaults", p.Name)
	}
	for _, a := range Actions() {
		require.NotEmpty(t, a.Short, a.Name)
	}
}

func TestEveryActionAndCodeOfAnOutcomeExists(t *testing.T) {
	known := map[int]bool{}
	for _, c := range ExitCodes() {
		known[c.Code] = true
	}
	succeeds := map[string]bool{}
	for _, o := range Outcomes() {
		require.True(t, known[o.Code], "%s %d", o.Action, o.Code)
		require.Contains(t, MethodNames(), o.Action)
		succeeds[o.Action] = succeeds[o.Action] || o.Code == 0
	}
	for _, name := range MethodNames() {
		require.True(t, succeeds[name], "%s has no outcome 0", name)
	}
}
