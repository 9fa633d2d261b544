//go:build lab

package validators

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// How each schema is applied by xmllint, which reads the document from its standard input.
var schemas = []struct{ name, option string }{
	{"the DTD of the OCF resource agent API", "--dtdvalid /usr/share/resource-agents/ra-api-1.dtd"},
	{"the schema of resource-agents", "--relaxng /usr/share/resource-agents/metadata.rng"},
	{"OCF 1.0 as pcs takes it", "--relaxng /usr/share/pcs/data/ocf-1.0.rng"},
	{"OCF 1.1 as pcs takes it", "--relaxng /usr/share/pcs/data/ocf-1.1.rng"},
}

func TestEverySchemaAcceptsTheMetaData(t *testing.T) {
	for _, s := range schemas {
		t.Run(s.name, func(t *testing.T) {
			sandbox(t, installed+" meta-data >m.xml\nxmllint --noout --nonet "+s.option+" m.xml")
		})
	}
}

// A schema that accepts everything proves nothing: each has to refuse a document in which one element is misspelled.
func TestEverySchemaRefusesOtherMetaData(t *testing.T) {
	for _, s := range schemas {
		t.Run(s.name, func(t *testing.T) {
			out, code := try(t, installed+" meta-data >m.xml\nsed -i s/longdesc/longdescription/g m.xml\n"+
				"xmllint --noout --nonet "+s.option+" m.xml")
			require.Contains(t, []int{3, 4}, code, "expected xmllint's code for a document that is not valid\n%s", out)
		})
	}
}

// ocf-tester reads the meta-data as nobody.
func TestEverybodyMayReadTheMetaData(t *testing.T) {
	require.Equal(t, sandbox(t, installed+" meta-data"),
		sandbox(t, "su nobody -s /bin/sh -c '"+installed+" meta-data'"))
}
