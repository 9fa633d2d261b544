package lab

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Names in PostgreSQL.
const (
	pgPort      = "5432"
	replUser    = "replicator"
	pgLogInNode = "/var/log/postgresql/postgresql.log"
	// conninfoPatience makes a standby notice soon that its connection is broken.
	conninfoPatience = "connect_timeout=3 keepalives_idle=2 keepalives_interval=1 keepalives_count=3"
)

// pgConf renders a node's postgresql.conf: replication over the VIP under the
// node's own name, as PAF's documentation asks for, and short time-outs, so
// that a broken connection is noticed soon.
func pgConf(c Config, f treeFacts, nodes []Node, n Node) string {
	conninfo := fmt.Sprintf("host=%s port=%s user=%s application_name=%s %s", vipAddr, pgPort, replUser, n.Name, conninfoPatience)
	s := map[string]string{
		"data_directory":               f.pgdata(),
		"hba_file":                     f.pgconf() + "/pg_hba.conf",
		"ident_file":                   f.pgconf() + "/pg_ident.conf",
		"listen_addresses":             "*",
		"port":                         pgPort,
		"lab.node":                     n.Name, // for a client to tell who answers, whatever the system does with the rest
		"unix_socket_directories":      "/var/run/postgresql",
		"max_connections":              "100",
		"shared_buffers":               "64MB",
		"wal_level":                    "replica",
		"wal_log_hints":                "on", // lets pg_rewind work
		"max_wal_senders":              "10",
		"max_replication_slots":        "10",
		"hot_standby":                  "on",
		"wal_keep_size":                "256MB",
		"wal_sender_timeout":           "5s",
		"wal_receiver_timeout":         "5s",
		"wal_receiver_status_interval": "1s",
		"wal_retrieve_retry_interval":  "200ms",
		"recovery_target_timeline":     "latest",
		"primary_conninfo":             conninfo,
		"logging_collector":            "on",
		"log_directory":                "/var/log/postgresql",
		"log_filename":                 "postgresql.log",
		"log_rotation_age":             "0",
		"log_rotation_size":            "0",
		"log_line_prefix":              "%m [%p] %q%u@%d/%a ",
		"log_replication_commands":     "on",
		"log_checkpoints":              "on",
		"timezone":                     "UTC",
		"log_timezone":                 "UTC",
	}
	if f.PostgreSQL < 13 {
		delete(s, "wal_keep_size")
		s["wal_keep_segments"] = "16"
	}
	ownSync := c.Agent == AgentShell || c.Agent == AgentPatroni // they name the synchronous standby themselves
	if c.Sync && !ownSync {
		s["synchronous_standby_names"] = syncNames(nodes)
	}
	if c.SyncNames != "" {
		s["synchronous_standby_names"] = c.SyncNames
	}
	if c.NoSync {
		s["fsync"] = "off"
	}
	s = merged(s, c.PGConf)
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(s)) {
		fmt.Fprintf(&b, "%s = '%s'\n", k, strings.ReplaceAll(s[k], "'", "''"))
	}
	return b.String()
}

// syncNames lists all nodes: whichever is the primary, it does not count itself.
func syncNames(nodes []Node) string {
	var names []string
	for _, n := range nodes {
		names = append(names, n.Name)
	}
	return fmt.Sprintf("ANY 1 (%s)", strings.Join(names, ","))
}

// pgHBA renders a node's pg_hba.conf. Rejecting replication from the node's own
// address and from the VIP keeps a node that has the VIP from replicating from itself.
func pgHBA(c Config, n Node) string {
	own := ""
	if c.Agent == AgentPatroni { // asks its own instance over a replication connection how far it is
		own = "host  replication " + replUser + " localhost trust\n"
	}
	return own + fmt.Sprintf(`local all         all        peer
local replication all        peer
host  replication all        %s/32 reject
host  replication all        %s/32 reject
host  replication %s %s0/%d trust
host  all         all        %s0/%d trust
`, vipAddr, n.Addr, replUser, netPrefix, netBits, netPrefix, netBits)
}
