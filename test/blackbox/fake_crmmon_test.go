package blackbox

import (
	"fmt"
	"os"
)

// fakeCrmMon is crm_mon --output-as=xml, with no more than the resource on the node that the fact "promoted" names, if
// any. It can be told to hang, to fail, or to answer with garbage.
func fakeCrmMon() {
	p := ownPlace()
	p.noteCall()
	p.behave("crm_mon")
	if len(os.Args) != 2 || os.Args[1] != "--output-as=xml" {
		os.Exit(crmUsage)
	}
	instance := ""
	if node := p.read("promoted"); node != "" {
		instance = fmt.Sprintf(`<clone id="pgsqld-clone"><resource id="pgsqld" role="Promoted" active="true" failed="false">`+
			`<node name="%s" id="1" cached="true"/></resource></clone>`, node)
	}
	fmt.Printf(`<pacemaker-result api-version="2.25"><resources>%s</resources></pacemaker-result>`, instance)
	os.Exit(0)
}
