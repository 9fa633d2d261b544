package crm

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMoveArguments(t *testing.T) {
	for version, role := range map[string]string{
		"2.1.5-a3f44794f94": "--promoted", "3.0.2": "--promoted", "": "--promoted", "2": "--promoted", "x.y": "--promoted",
		"2.0.3-4b1f869f0f": "--master", "1.1.24": "--master",
	} {
		require.Equal(t, []string{"--move", "--resource", "c", role, "--node", "n 2", "--lifetime", "PT91S"},
			MoveArguments("c", "n 2", version, 90*time.Second+time.Millisecond), version)
	}
}

// A name that would end the XPath's string is refused before any program is run.
func TestUnmoveRefusesQuotationMarks(t *testing.T) {
	c := New("/nonexistent", nil)
	require.ErrorContains(t, c.Unmove(t.Context(), "c", "n' or 'a'='a"), "quotation mark")
	require.ErrorContains(t, c.Unmove(t.Context(), `c"`, "n"), "quotation mark")
}

func TestIsMove(t *testing.T) {
	for id, want := range map[string]bool{
		MoveID("c"): true, "cli-ban-c-on-n1": true, "cli-standby-n1": false, "mine": false, "": false,
	} {
		require.Equal(t, want, IsMove(id), id)
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"60s": time.Minute, "60": time.Minute, "0": 0, "5000ms": 5 * time.Second, "2min": 2 * time.Minute, "1 h": time.Hour, " 3S ": 3 * time.Second,
	} {
		d, ok := Duration(text)
		require.True(t, ok, text)
		require.Equal(t, want, d, text)
	}
	for _, text := range []string{"", "s", "-1s", "PT1M", "1.5s", "99999999999"} {
		_, ok := Duration(text)
		require.False(t, ok, text)
	}
}

func TestRules(t *testing.T) {
	text, err := os.ReadFile("testdata/healthy.cib.xml")
	require.NoError(t, err)
	c, err := ParseCIB(string(text))
	require.NoError(t, err)
	require.Equal(t, []string{"pgsql-vip"}, c.Followers(c.Resources[0]))
	require.Equal(t, []Order{
		{ID: "promote-then-vip", First: "pgsqld-clone", FirstAction: "promote", Then: "pgsql-vip", ThenAction: "start", Mandatory: true},
		{ID: "demote-then-vip-stop", First: "pgsqld-clone", FirstAction: "demote", Then: "pgsql-vip", ThenAction: "stop", Mandatory: true},
	}, c.Orders)

	c, err = ParseCIB(`<cib><configuration><resources><group id="g"><primitive id="a"/><primitive id="b"/></group></resources><constraints>
<rsc_colocation id="l" rsc="g" with-rsc="c" with-rsc-role="Master" score="INFINITY"/>
<rsc_colocation id="away" rsc="x" with-rsc="c" with-rsc-role="Master" score="-INFINITY"/>
<rsc_colocation id="any" rsc="y" with-rsc="c" score="INFINITY"/>
<rsc_order id="o" first="c" then="g"/><rsc_order id="s"><resource_set/></rsc_order>
</constraints></configuration></cib>`)
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, c.Followers(Resource{Name: "p", Clone: "c"}))
	require.Equal(t, []string{"a", "b"}, c.Group("g"))
	require.Equal(t, []string{"s"}, c.OrderSets)
	require.Equal(t, []Order{{ID: "o", First: "c", FirstAction: "start", Then: "g", ThenAction: "start", Symmetrical: true, Mandatory: true}}, c.Orders)
}
