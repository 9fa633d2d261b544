package lab

import (
	"fmt"
	"strings"
)

// corosyncConf renders /etc/corosync/corosync.conf.
func corosyncConf(c Config, nodes []Node) string {
	var b strings.Builder
	fmt.Fprintf(&b, `totem {
	version: 2
	cluster_name: %s
	transport: knet
	crypto_cipher: none
	crypto_hash: none
	token: %d
%s}

logging {
	to_stderr: no
	to_syslog: no
	to_logfile: yes
	logfile: /var/log/corosync/corosync.log
	timestamp: hires
}

quorum {
	provider: corosync_votequorum
`, c.Name, c.Token.Milliseconds(), tokenCoefficient(c))
	if len(nodes) == 2 {
		b.WriteString("\ttwo_node: 1\n")
	}
	b.WriteString("}\n\nnodelist {\n")
	for _, n := range nodes {
		fmt.Fprintf(&b, "\tnode {\n\t\tring0_addr: %s\n\t\tname: %s\n\t\tnodeid: %d\n\t}\n", n.Addr, n.Name, n.ID)
	}
	b.WriteString("}\n")
	return b.String()
}

// tokenCoefficient is what corosync adds to the token for every node above two (corosync.conf(5)).
func tokenCoefficient(c Config) string {
	if c.ExactToken {
		return "\ttoken_coefficient: 0\n"
	}
	return ""
}

// hostsFile renders /etc/hosts of a node.
func hostsFile(nodes []Node) string {
	var b strings.Builder
	b.WriteString("127.0.0.1 localhost\n::1 localhost\n")
	for _, n := range nodes {
		fmt.Fprintf(&b, "%s %s\n", n.Addr, n.Name)
	}
	fmt.Fprintf(&b, "%s vip\n%s %s\n", vipAddr, clientAddr, Client)
	return b.String()
}
