package metadata

import (
	"encoding/xml"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// element is any element of the document: enough to compare structure, whatever it is called.
type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Text     string     `xml:",chardata"`
	Children []element  `xml:",any"`
}

func (e element) names() []string {
	var names []string
	for _, c := range e.Children {
		names = append(names, c.XMLName.Local)
	}
	return names
}

func (e element) attr(name string) string {
	for _, a := range e.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func (e element) attrNames() []string {
	var names []string
	for _, a := range e.Attrs {
		names = append(names, a.Name.Local)
	}
	return names
}

func parse(t *testing.T, document string) element {
	t.Helper()
	var root element
	require.NoError(t, xml.Unmarshal([]byte(document), &root))
	return root
}

// The real validators run in the lab (test/validators). This holds, without any of them, the part on which they
// agree; what one of them would refuse is not among the expected names.
func TestXMLKeepsToWhatAllSchemasAllow(t *testing.T) {
	root := parse(t, XML("1.2.3"))
	require.Equal(t, "resource-agent", root.XMLName.Local)
	require.Equal(t, []string{"name", "version"}, root.attrNames())
	require.Equal(t, []string{"version", "longdesc", "shortdesc", "parameters", "actions"}, root.names())
	require.True(t, strings.HasPrefix(XML(""), "<?xml version=\"1.0\"?>\n<!DOCTYPE resource-agent SYSTEM \"ra-api-1.dtd\">\n"))

	for _, p := range root.Children[3].Children {
		require.Equal(t, []string{"name", "unique", "required"}, p.attrNames())
		require.Regexp(t, "^[01]$", p.attr("unique"))
		require.Regexp(t, "^[01]$", p.attr("required"))
		require.Equal(t, []string{"longdesc", "shortdesc", "content"}, p.names())
		require.Equal(t, "en", p.Children[0].attr("lang"))
		require.Equal(t, "en", p.Children[1].attr("lang"))
		require.Regexp(t, "^(string|integer|boolean)$", p.Children[2].attr("type"))
		require.Subset(t, []string{"type", "default"}, p.Children[2].attrNames())
	}
	for _, a := range root.Children[4].Children {
		require.Subset(t, []string{"name", "timeout", "interval", "role"}, a.attrNames())
		require.Regexp(t, "^[0-9]+s$", a.attr("timeout"))
		require.Regexp(t, "^(|Promoted|Unpromoted)$", a.attr("role"))
	}
}

func TestXMLDeclaresAnOCFVersionThatKeepsReload(t *testing.T) {
	root := parse(t, XML("1.2.3"))
	require.Equal(t, "1.0", root.Children[0].Text, "from 1.1 on a changed parameter restarts PostgreSQL")
	require.Equal(t, "1.2.3", root.attr("version"))
}

func TestXMLHoldsTheTables(t *testing.T) {
	root := parse(t, XML("1.2.3"))
	require.Len(t, root.Children[3].Children, len(Parameters()))
	for i, p := range Parameters() {
		got := root.Children[3].Children[i]
		require.Equal(t, p.Name, got.attr("name"))
		require.Equal(t, p.Default, got.Children[2].attr("default"))
		require.Equal(t, p.Unique, got.attr("unique") == "1")
	}
	require.Len(t, root.Children[4].Children, len(Actions()))
	for i, a := range Actions() {
		got := root.Children[4].Children[i]
		require.Equal(t, a.Name, got.attr("name"))
		require.Equal(t, string(a.Role), got.attr("role"))
	}
}

// crmsh and Pacemaker tell recurring operations of one name apart by their interval.
func TestMonitorsDifferInInterval(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range regexp.MustCompile(`name="monitor"[^/]* interval="([^"]*)"`).FindAllStringSubmatch(XML(""), -1) {
		require.NotEqual(t, "0s", m[1])
		require.False(t, seen[m[1]], "%s occurs twice", m[1])
		seen[m[1]] = true
	}
	require.Len(t, seen, 2)
}

func TestXMLEscapes(t *testing.T) {
	hostile := `1 <"&> 2`
	require.Equal(t, hostile, parse(t, XML(hostile)).attr("version"))
}
