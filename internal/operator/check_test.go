package operator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"pgsqlms/internal/crm"
	"pgsqlms/internal/election"
	"pgsqlms/internal/pg"
)

// wellSettings are a node's that is set up as README.md says.
func wellSettings() map[string]string {
	return map[string]string{
		"wal_level": "replica", "hot_standby": "on", "fsync": "on", "full_page_writes": "on", "max_wal_senders": "10",
		"wal_log_hints": "on", "wal_keep_size": "1024", "max_slot_wal_keep_size": "-1", "restore_command": "",
		"recovery_target": "", "recovery_target_timeline": "latest", "recovery_target_action": "pause", "recovery_target_inclusive": "on",
		"synchronous_standby_names": "ANY 1 (n1, n2, n3)",
	}
}

// wellSetUp is what a check finds on n2 of a cluster in which all is well.
func wellSetUp(t *testing.T) checkFacts {
	f := checkFacts{
		survey: situations(t)["healthy"], version: "v1", appName: "n2", checkups: map[string]checkup{}, replication: map[string]replicationTest{},
		fencers:  map[string]fencers{"n1": {devices: []string{"fencing"}}, "n3": {devices: []string{"fencing"}}},
		versions: map[string]string{"n1": "v1", "n3": "v1"}, hosts: "10.77.0.100", selfTried: true, selfErr: &pgconn.PgError{Code: "28000"},
		space: []pg.Space{{Path: "/data", Free: 60 << 30, Total: 100 << 30}}, units: map[string]string{"postgresql.service": "disabled", "postgresql@15-main.service": "enabled-runtime"},
	}
	f.others = maps.Clone(f.others)
	f.local.report.Version = "15.6 (Debian)"
	for node, other := range f.others {
		other.report.Version = "15.6 (Debian)"
		f.others[node] = other
		f.replication[node] = replicationTest{system: "7001"}
	}
	for _, node := range []string{"n1", "n2", "n3"} {
		f.checkups[node] = checkup{Checkup: pg.Checkup{Settings: wellSettings(), Doubt: time.Millisecond}}
	}
	return f
}

// badlySetUp has everything wrong that can be found.
func badlySetUp(t *testing.T) checkFacts {
	f := wellSetUp(t)
	f.cib = captured(t, "ban", "n2").cib
	f.cib.Properties["stonith-enabled"] = "false"
	f.resource.Meta = map[string]string{"promotable": "true", "promoted-max": "2", "clone-node-max": "3"}
	f.resource.Ops = []crm.Op{
		{Name: "start", Timeout: "20s"}, {Name: "promote", Timeout: "30s"}, {Name: "demote", Timeout: "2min"}, {Name: "notify", Timeout: "60"},
		{Name: "monitor", Interval: "60s", Timeout: "10s", Role: crm.RolePromoted}, {Name: "monitor", Interval: "60s", Timeout: "5s", Role: crm.RoleUnpromoted},
	}
	for n, o := range f.resource.Ops {
		f.resource.Ops[n].Own = options(o)
	}
	f.cib.Orders = []crm.Order{{ID: "o", First: "pgsqld-clone", FirstAction: "promote", Then: "pgsql-vip", ThenAction: "start", Symmetrical: true, Mandatory: true}}
	f.appName = "standby"
	f.replication["n1"] = replicationTest{err: errPgHba}
	f.replication["n3"] = replicationTest{system: "8"}
	s := wellSettings()
	maps.Copy(s, map[string]string{
		"recovery_target_timeline": "current", "recovery_target_time": "2026-01-01", "fsync": "off", "wal_log_hints": "off", "max_wal_senders": "2",
		"wal_keep_size": "0", "synchronous_standby_names": "*",
	})
	f.checkups["n1"] = checkup{Checkup: pg.Checkup{Settings: s, Ahead: 5 * time.Second, Slots: []pg.Slot{{Name: "old", Retained: 9 << 30}}}}
	f.checkups["n3"] = checkup{err: errPgHba}
	f.space = []pg.Space{{Path: "/data", Free: 1 << 30, Total: 100 << 30}, {Path: "/data/pg_wal", Free: 10 << 30, Total: 100 << 30}}
	f.units = map[string]string{"postgresql.service": "enabled", "postgresql@15-main.service": "enabled-runtime"}
	return f
}

// barelyKnown is a node without Pacemaker, PostgreSQL and systemd.
func barelyKnown(t *testing.T) checkFacts {
	return checkFacts{survey: situations(t)["nothing"], version: "v1", conninfoErr: errNobody, spaceErr: errors.New("/data: permission denied"), unitsErr: errNoSystemd}
}

func TestCheckOfEachSituation(t *testing.T) {
	for name, f := range map[string]checkFacts{"well": wellSetUp(t), "badly": badlySetUp(t), "nothing": barelyKnown(t)} {
		v := viewCheck(f)
		text := v.text(style{columns: leastColumns})
		golden(t, "check/"+name+".txt", text)
		require.Equal(t, name == "well", v.Errors == 0, name)
		for line := range strings.Lines(text) {
			if !strings.Contains(line, "to do: ") { // which is never broken, to be copied
				require.LessOrEqual(t, utf8.RuneCountInString(line), leastColumns+1, line)
			}
		}
		for _, one := range v.Findings {
			require.NotContains(t, one.ToDo, "...", "%v", one)
			require.True(t, one.Level != levelError || one.ToDo != "", "%v says what to do", one)
			require.True(t, one.Level == levelOK || one.Level == levelUnknown || one.Expected != "", "%v says what was expected", one)
		}
	}
	require.Zero(t, viewCheck(wellSetUp(t)).Warnings)
	var out bytes.Buffer
	require.NoError(t, writeJSON(&call{Process: Process{Stdout: &out}}, viewCheck(wellSetUp(t))))
	var back checkView
	require.NoError(t, json.Unmarshal(out.Bytes(), &back))
	require.Equal(t, viewCheck(wellSetUp(t)).Findings, back.Findings)
}

// Each wrong value alone is found, and nothing else.
func TestCheckFindsEach(t *testing.T) {
	for name, c := range map[string]struct {
		check  string
		level  level
		breaks func(*checkFacts)
	}{
		"sync wildcard": {"synchronous", levelWarning, everywhere("synchronous_standby_names", "ANY 1 (*)")},
		"sync stranger": {"synchronous", levelWarning, everywhere("synchronous_standby_names", "ANY 1 (n1, n2, n3, backup)")},
		"sync all":      {"synchronous", levelWarning, everywhere("synchronous_standby_names", "ANY 2 (n1, n2, n3)")},
		"sync more":     {"synchronous", levelError, everywhere("synchronous_standby_names", "ANY 3 (n1, n2, n3)")},
		"wal_level":     {"settings", levelError, func(f *checkFacts) { f.checkups["n3"].Settings["wal_level"] = "minimal" }},
		"clock": {"clock", levelError, func(f *checkFacts) {
			f.checkups["n3"] = checkup{Checkup: pg.Checkup{Settings: wellSettings(), Ahead: -2 * time.Minute}}
		}},
		"minor": {"versions", levelWarning, version("15.7")},
		"major": {"versions", levelError, version("16.1")},
		"lag": {"kept WAL", levelError, func(f *checkFacts) {
			f.checkups["n1"].Settings["wal_keep_size"] = "16"
			f.others["n1"].report.Standbys[1].Flush = lsn(0x100000)
			f.others["n1"].report.Standbys[1].Replay = lsn(0x100000)
		}},
		"slot that is nowhere": {"kept WAL", levelError, func(f *checkFacts) {
			f.checkups["n2"].Settings["primary_slot_name"] = "n2"
			withSlot(f, "n1", pg.Slot{Name: "n2", Active: true, Status: "reserved"})
		}},
		"slot that is lost": {"kept WAL", levelError, func(f *checkFacts) { withSlot(f, "n1", pg.Slot{Name: "n2", Status: "lost"}) }},
		"slot far behind": {"kept WAL", levelWarning, func(f *checkFacts) {
			withSlot(f, "n1", pg.Slot{Name: "n2", Active: true, Status: "extended", Retained: 600 << 20})
		}},
		"slot beyond what is kept": {"kept WAL", levelError, func(f *checkFacts) {
			withSlot(f, "n1", pg.Slot{Name: "n2", Active: true, Status: "unreserved", Retained: 1100 << 20})
		}},
		"lag beside another's slot": {"kept WAL", levelError, func(f *checkFacts) {
			everywhere("wal_keep_size", "16")(f)
			f.others["n1"].report.Standbys[1].Flush = lsn(0x100000)
			f.others["n1"].report.Standbys[1].Replay = lsn(0x100000)
			f.checkups["n2"].Settings["primary_slot_name"] = "n2"
			withSlot(f, "n1", pg.Slot{Name: "n2", Active: true})
			withSlot(f, "n3", pg.Slot{Name: "n2"})
		}},
		"monitor disabled": {"operations", levelError, op(2, func(o *crm.Op) { o.Enabled = "false" })},
		"monitor ignored":  {"operations", levelError, op(2, func(o *crm.Op) { o.OnFail = "ignore" })},
		"stop blocks":      {"operations", levelError, op(1, func(o *crm.Op) { o.OnFail = "block" })},
		"no quorum":        {"quorum", levelWarning, func(f *checkFacts) { f.cib.Properties["no-quorum-policy"] = "ignore" }},
		"fewer connections": {"settings", levelError, func(f *checkFacts) {
			everywhere("max_connections", "200")(f)
			f.checkups["n3"].Settings["max_connections"] = "100"
		}},
		"address without a role": {"constraints", levelWarning, func(f *checkFacts) {
			f.cib.Colocations = append(f.cib.Colocations, crm.Colocation{ID: "ro", Resource: "ro-ip", With: "pgsqld-clone", Score: crm.Infinity})
		}},
		"sync of one node":   {"synchronous", levelError, everywhere("synchronous_standby_names", "n2")},
		"sync of two nodes":  {"synchronous", levelError, everywhere("synchronous_standby_names", "FIRST 2 (n2, n3)")},
		"sync of two, one":   {"synchronous", levelWarning, everywhere("synchronous_standby_names", "FIRST 1 (n2, n3)")},
		"sync and no commit": {"settings", levelWarning, func(f *checkFacts) { f.checkups["n3"].Settings["synchronous_commit"] = "local" }},
		"no guard":           {"synchronous", levelError, param("sync_guard", "no")},
		"no guard, no sync": {"synchronous", levelWarning, func(f *checkFacts) {
			everywhere("synchronous_standby_names", "")(f)
			param("sync_guard", "false")(f)
		}},
		"archive": {"settings", levelWarning, func(f *checkFacts) {
			c := f.checkups["n1"]
			c.Archiving = "000000020000000000000017"
			f.checkups["n1"] = c
		}},
		"blind": {"settings", levelWarning, func(f *checkFacts) {
			other := f.others["n3"]
			other.report.Blind, other.report.Receiver = "replicator", nil
			f.others["n3"] = other
		}},
		"nobody fences one": {"fence devices", levelError, func(f *checkFacts) { f.fencers["n3"] = fencers{} }},
		"not from here": {"fence devices", levelWarning, func(f *checkFacts) {
			f.fencers["n3"] = fencers{}
			f.cib.FenceDevices = []crm.FenceDevice{{Name: "fence-n3", Params: map[string]string{"pcmk_host_list": "n3"}}}
		}},
		"any address": {"primary_conninfo", levelWarning, func(f *checkFacts) { f.hosts = "10.77.0.100,10.78.0.100" }},
		"any host":    {"primary_conninfo", levelError, func(f *checkFacts) { f.hosts, f.sessions = "n1,n3", "any" }},
		"move of what follows": {"constraints", levelWarning, func(f *checkFacts) {
			f.cib.Locations = []crm.Location{{ID: "cli-prefer-pgsql-vip", Resource: "pgsql-vip", Node: "n1", Score: crm.Infinity}}
		}},
		"one host": {"primary_conninfo", levelError, func(f *checkFacts) { f.hosts = "n1" }},
		"leads here": {"primary_conninfo", levelError, func(f *checkFacts) {
			f.byAddress = silent(fmt.Errorf("%w: the name leads to this node itself", errOtherCluster))
		}},
		"lets itself in": {"replication", levelWarning, func(f *checkFacts) { f.selfErr = nil }},
		"does not listen": {"replication", levelError, func(f *checkFacts) {
			f.replication["n3"] = replicationTest{err: errNobody}
		}},
		"older program":       {"versions", levelWarning, func(f *checkFacts) { f.versions["n3"] = "v0" }},
		"unused slot":         {"kept WAL", levelWarning, func(f *checkFacts) { withSlot(f, "n1", pg.Slot{Name: "old", Retained: 1 << 20}) }},
		"inodes":              {"free space", levelError, func(f *checkFacts) { f.space[0].Files, f.space[0].FreeFiles = 1000000, 12 }},
		"old data":            {"free space", levelWarning, func(f *checkFacts) { f.oldData = []string{"/data.before-rejoin-20261121T175230Z"} }},
		"monitor not enabled": {"operations", levelError, op(2, func(o *crm.Op) { o.Enabled = "off" })},
		"unique":              {"globally-unique", levelError, meta("globally-unique", "yes")},
		"few clones":          {"clone-max", levelWarning, meta("clone-max", "2")},
		"no threshold":        {"migration-threshold", levelWarning, meta("migration-threshold", "0")},
		"address that may stay": {"constraints", levelWarning, func(f *checkFacts) {
			f.cib.Colocations = append(f.cib.Colocations, crm.Colocation{ID: "ro", Resource: "pgsql-vip", With: "pgsqld-clone", WithRole: crm.RolePromoted, Score: 100})
		}},
		"no SQL":        {"settings", levelWarning, func(f *checkFacts) { f.checkups["n3"] = checkup{err: errPgHba} }},
		"service":       {"service", levelError, func(f *checkFacts) { f.units["postgresql@15-main.service"] = "enabled" }},
		"all instances": {"service", levelError, func(f *checkFacts) { f.units["postgresql.service"] = "enabled" }},
		"notify":        {"notify", levelError, func(f *checkFacts) { f.resource.Meta = map[string]string{"promotable": "true"} }},
		"move": {"constraints", levelWarning, func(f *checkFacts) {
			f.cib.Locations = []crm.Location{{ID: "cli-prefer-pgsqld-clone", Resource: "pgsqld-clone", Node: "n1", Score: crm.Infinity}}
		}},
	} {
		f := wellSetUp(t)
		c.breaks(&f)
		var bad findings
		for _, one := range viewCheck(f).Findings {
			if one.Level == levelError || one.Level == levelWarning {
				bad = append(bad, one)
			}
		}
		require.Len(t, bad, 1, "%s: %v", name, bad)
		require.Equal(t, c.check, bad[0].Check, name)
		require.Equal(t, c.level, bad[0].Level, name)
	}
}

// What two nodes need, and three do not.
func TestCheckOfTwoNodes(t *testing.T) {
	flags := func(all ...string) checkFacts { return checkFacts{quorum: crm.Quorum{Flags: all, Expected: 2}} }
	delayed, idle, unasked := flags("2Node", "Quorate", "WaitForAll"), flags("2Node", "Quorate", "WaitForAll"), checkFacts{quorumErr: errSlow}
	delayed.cib.FenceDevices = []crm.FenceDevice{{Name: "fence-n1", Params: map[string]string{"delay": "10s"}}}
	idle.cib.Properties = map[string]string{"priority-fencing-delay": "15s"}
	many := delayed
	many.quorum.Expected = 3
	many.cib.Properties = map[string]string{"stonith-enabled": "false"}
	for name, c := range map[string]struct {
		facts checkFacts
		check string
		level level
		found string
	}{
		"alone":      {flags("Quorate"), "quorum", levelWarning, "two nodes, and flags Quorate"},
		"both shoot": {flags("2Node", "Quorate", "WaitForAll"), "fencing delay", levelWarning, "none"},
		"no effect":  {idle, "fencing delay", levelWarning, "priority-fencing-delay=15s, and no resource has a priority"},
		"delayed":    {delayed, "fencing delay", levelOK, "delay=10s of fence-n1"},
		"votes":      {many, "quorum", levelError, "two_node, and 3 expected votes"},
		"unknown":    {unasked, "quorum", levelUnknown, "whether it outlives"},
		"qdevice":    {facts: flags("Quorate", "Qdevice")},
		"tie":        {facts: flags("Quorate", "AutoTieBreaker")},
	} {
		c.facts.resource = crm.Resource{Name: "pgsqld", Clone: "pgsqld-clone"}
		c.facts.state.Nodes = []crm.Node{{Name: "n1"}, {Name: "n2"}, {Name: "far", Remote: true}}
		j := judgement{checkFacts: c.facts}
		j.twoNodes()
		if c.check == "" {
			require.Empty(t, j.all, name)
			continue
		}
		require.Len(t, j.all, 1, name)
		require.Equal(t, c.check, j.all[0].Check, name)
		require.Equal(t, c.level, j.all[0].Level, name)
		require.Contains(t, j.all[0].Found, c.found, name)
	}
	ignored := judgement{checkFacts: flags("Quorate")}
	ignored.cib.Properties = map[string]string{"no-quorum-policy": "ignore", "stonith-enabled": "false"}
	ignored.state.Nodes = []crm.Node{{Name: "n1"}, {Name: "n2"}}
	ignored.twoNodes()
	require.Len(t, ignored.all, 1)
	require.Equal(t, "two_node: 1: docs/cookbook.md, Two nodes; then crm_attribute -n no-quorum-policy -v stop", ignored.all[0].ToDo, "the other way round both would stop")
	maintenance := false
	ignored.v.Pacemaker.Maintenance, ignored.all = &maintenance, nil
	ignored.cluster()
	require.Len(t, slices.DeleteFunc(ignored.all, func(one finding) bool { return one.Level != levelWarning }), 1, "it is said once")
	three := judgement{checkFacts: flags("Quorate")}
	three.state.Nodes = []crm.Node{{Name: "n1"}, {Name: "n2"}, {Name: "n3"}}
	three.twoNodes()
	require.Empty(t, three.all)
}

func everywhere(name, value string) func(*checkFacts) {
	return func(f *checkFacts) {
		for _, c := range f.checkups {
			c.Settings[name] = value
		}
	}
}

// op changes the first of the operations of that kind, of start, stop and monitor.
func op(kind int, change func(*crm.Op)) func(*checkFacts) {
	return func(f *checkFacts) {
		f.resource.Ops = slices.Clone(f.resource.Ops)
		name := []string{"start", "stop", "monitor"}[kind]
		change(&f.resource.Ops[slices.IndexFunc(f.resource.Ops, func(o crm.Op) bool { return o.Name == name })])
	}
}

func meta(name, value string) func(*checkFacts) {
	return func(f *checkFacts) {
		f.resource.Meta = maps.Clone(f.resource.Meta)
		f.resource.Meta[name] = value
	}
}

func param(name, value string) func(*checkFacts) {
	return func(f *checkFacts) {
		f.resource.Params = maps.Clone(f.resource.Params)
		f.resource.Params[name] = value
	}
}

// What cannot be told is no error, and none is made of a node that is not meant to run.
func TestCheckKnowsWhatItCannotKnow(t *testing.T) {
	for name, breaks := range map[string]func(*checkFacts){
		"primary_conninfo": func(f *checkFacts) { f.conninfoErr, f.appName = errSlow, "" },
		"in standby mode": func(f *checkFacts) {
			f.state.Instances = slices.DeleteFunc(slices.Clone(f.state.Instances), func(i crm.Instance) bool { return i.Node == "n3" && i.Resource == "pgsqld" })
			f.replication["n3"] = replicationTest{err: errNobody}
			f.state.Nodes = slices.Clone(f.state.Nodes)
			f.state.Nodes[slices.IndexFunc(f.state.Nodes, func(n crm.Node) bool { return n.Name == "n3" })].Standby = true
			f.others["n3"], f.checkups["n3"] = silent(errNobody), checkup{err: errNobody}
			f.others["n1"].report.Standbys[1].ApplicationName = "n3"
		},
		"no version": func(f *checkFacts) { delete(f.versions, "n3") },
		"no fencer":  func(f *checkFacts) { f.fencers["n3"] = fencers{err: errSlow} },
	} {
		f := wellSetUp(t)
		breaks(&f)
		v := viewCheck(f)
		require.Zero(t, v.Errors+v.Warnings, "%s: %v", name, v.Findings)
		require.Greater(t, v.Unknown, viewCheck(wellSetUp(t)).Unknown, name)
	}
}

// A node that is there for the quorum only is not looked at: neither is it missed, nor is it a
// name to wait for.
func TestCheckLeavesOutWhoRunsNothing(t *testing.T) {
	f := wellSetUp(t)
	f.cib.NodeNames = append(slices.Clone(f.cib.NodeNames), "n4")
	f.state.Nodes = append(slices.Clone(f.state.Nodes), crm.Node{Name: "n4", Online: true})
	f.fencers["n4"] = fencers{devices: []string{"fencing"}}
	require.NotZero(t, viewCheck(f).Errors, "n4 is missed")
	f.cib.Locations = []crm.Location{{ID: "no-pgsql", Resource: "pgsqld-clone", Node: "n4", Score: -crm.Infinity}}
	everywhere("synchronous_standby_names", "*")(&f)
	v := viewCheck(f)
	require.Zero(t, v.Errors, "%v", v.Findings)
	for _, one := range v.Findings {
		require.NotContains(t, one.ToDo, "n4", "%v", one)
		require.True(t, one.Node != "n4" || one.Check == "nodes" || one.Check == "fence devices", "%v", one)
	}
	f.cib.Locations, f.cib.Properties["symmetric-cluster"] = []crm.Location{}, "false"
	for _, node := range []string{"n1", "n2", "n3"} {
		f.cib.Locations = append(f.cib.Locations, crm.Location{ID: "on-" + node, Resource: "pgsqld", Node: node, Score: 10})
	}
	require.Zero(t, viewCheck(f).Errors, "%v", viewCheck(f).Findings)
}

// The names that are suggested can be read back, whatever the nodes are called.
func TestSuggestedNamesCanBeRead(t *testing.T) {
	names := []string{"n1", "pg-1", "db1.example.com", "1st", "ANY", "First", `a"b`, "N2"}
	parsed, err := election.ParseSynchronousStandbyNames("ANY 1 (" + strings.Join(quoted(names), ", ") + ")")
	require.NoError(t, err)
	require.Equal(t, names, parsed.Names)
}

// The slot of a standby that is away is not to be dropped.
func TestCheckKeepsSlotsThatAreWanted(t *testing.T) {
	todo := func(change func(*checkFacts)) string {
		f := wellSetUp(t)
		change(&f)
		n := slices.IndexFunc(viewCheck(f).Findings, func(one finding) bool {
			return one.Level == levelWarning && strings.Contains(one.Found, "used by nobody")
		})
		return viewCheck(f).Findings[n].ToDo
	}
	slot := pg.Slot{Name: "n3", Retained: 1 << 20}
	of := func(f *checkFacts) {
		f.checkups["n3"].Settings["primary_slot_name"] = "n3"
		withSlot(f, "n2", pg.Slot{Name: "n3"})
	}
	require.Contains(t, todo(func(f *checkFacts) { of(f); withSlot(f, "n1", slot) }), "look why n3 does not")
	require.Contains(t, todo(func(f *checkFacts) { f.checkups["n3"] = checkup{err: errSlow}; withSlot(f, "n1", slot) }), "bring these back; only if nobody")
	require.NotContains(t, todo(func(f *checkFacts) { withSlot(f, "n1", slot) }), "bring these back")
	there := todo(func(f *checkFacts) {
		f.checkups["n3"].Settings["primary_slot_name"] = "n3"
		withSlot(f, "n1", pg.Slot{Name: "n3", Active: true})
		withSlot(f, "n2", slot)
	})
	require.Contains(t, there, "pg_drop_replication_slot('n3'); select pg_create_physical_replication_slot('n3')")
	require.Contains(t, there, "on n2")
}

// A logical slot is its consumer's, and no physical one takes its place; one that PostgreSQL itself keeps on a standby is
// left alone there.
func TestCheckOfLogicalSlots(t *testing.T) {
	said := func(node string, slot pg.Slot) (all []string) {
		f := wellSetUp(t)
		f.checkups["n3"].Settings["primary_slot_name"] = "n3"
		for _, other := range []string{"n1", "n2"} {
			if other != node {
				withSlot(&f, other, pg.Slot{Name: "n3", Active: true})
			}
		}
		if slot.Name != "n3" {
			withSlot(&f, node, pg.Slot{Name: "n3", Active: true})
		}
		withSlot(&f, node, slot)
		for _, one := range viewCheck(f).Findings {
			if one.Check == "kept WAL" && one.Level != levelOK {
				require.NotContains(t, one.ToDo, "pg_create_physical_replication_slot", one)
				all = append(all, one.Found+" / "+one.ToDo)
			}
		}
		return all
	}
	for _, node := range []string{"n1", "n2"} {
		lost := said(node, pg.Slot{Name: "cdc", Logical: true, Status: pg.SlotLost})
		require.Len(t, lost, 1)
		require.Contains(t, lost[0], "logical slot cdc is lost: its consumer has to begin anew / psql")
		require.Contains(t, lost[0], "pg_drop_replication_slot('cdc')\"")

		unused := said(node, pg.Slot{Name: "cdc", Logical: true, Retained: 1 << 20})
		require.Len(t, unused, 1)
		require.Contains(t, unused[0], "only if nobody will use it any more")

		same := said(node, pg.Slot{Name: "n3", Logical: true, Retained: 1 << 20})
		require.Len(t, same, 2, same)
		require.Contains(t, same[0], "only if nobody will use it any more")
		require.Equal(t, "a logical slot n3, by which n3 would stream from here / another primary_slot_name in postgresql.conf on n3", same[1])
	}
	for _, synced := range []pg.Slot{
		{Name: "cdc", Logical: true, Synced: true, Retained: 1 << 20}, {Name: "cdc", Logical: true, Synced: true, Status: pg.SlotLost},
	} {
		require.Empty(t, said("n2", synced))
		require.Len(t, said("n1", synced), 1, "it means nothing on a primary")
	}
}

// A ban that a rule holds now is told of, and not to be removed: what the rule goes by is to be looked at.
func TestCheckRemovesNoRule(t *testing.T) {
	f := wellSetUp(t)
	f.cib.Locations = append(f.cib.Locations, crm.Location{ID: "on-the-net", Resource: "pgsqld-clone", Score: -crm.Infinity, Rule: true})
	require.Zero(t, viewCheck(f).Warnings, "it holds nowhere")
	f.state.Bans = []crm.Ban{{ID: "on-the-net", Resource: "pgsqld-clone", Node: "n3", Score: -crm.Infinity}}
	all := viewCheck(f).Findings
	n := slices.IndexFunc(all, func(one finding) bool { return one.Check == "constraints" && one.Level == levelWarning })
	require.Contains(t, all[n].Found, "on-the-net keeps it from n3")
	require.Contains(t, all[n].ToDo, "until its rule no longer does")
	require.NotContains(t, all[n].ToDo, "delete")
}

// pcs makes an operation anew of what it is given: nothing else of it may be lost.
func TestMendedOperationsKeepTheirOptions(t *testing.T) {
	f := wellSetUp(t)
	own := map[string]string{"interval": "1s", "timeout": "2s", "role": "Master", "OCF_CHECK_LEVEL": "10", "on-fail": "block"}
	op(2, func(o *crm.Op) { o.Timeout, o.OnFail, o.Own = "2s", "block", own })(&f)
	var todo []string
	for _, one := range viewCheck(f).Findings {
		if one.Check == "operations" {
			todo = append(todo, strings.TrimSuffix(one.ToDo, ", or crm configure edit pgsqld"))
		}
	}
	require.Equal(t, []string{
		"pcs resource update pgsqld op monitor interval=1s timeout=10s role=Master OCF_CHECK_LEVEL=10 on-fail=block",
		"pcs resource update pgsqld op monitor interval=1s timeout=2s role=Master OCF_CHECK_LEVEL=10",
	}, todo)
}

// Sets are said not to be read.
func TestCheckNamesColocationSets(t *testing.T) {
	f := wellSetUp(t)
	f.cib.ColocationSets = []string{"all-together"}
	n := slices.IndexFunc(viewCheck(f).Findings, func(one finding) bool { return one.Check == "constraints" && one.Level == levelUnknown })
	require.Contains(t, viewCheck(f).Findings[n].Found, "all-together")
}

// withSlot adds a slot to a node, whose bound is 1 GB.
func withSlot(f *checkFacts, node string, slot pg.Slot) {
	c := f.checkups[node]
	c.Slots = append(c.Slots, slot)
	c.Settings["max_slot_wal_keep_size"] = "1024"
	f.checkups[node] = c
}

// What is kept without slots has another name before PostgreSQL 13, and is never set where a
// clone would bring it over.
func TestCheckNamesWhatIsKept(t *testing.T) {
	for name, want := range map[string]string{"wal_keep_size": "wal_keep_size in", "wal_keep_segments": "wal_keep_segments in"} {
		f := wellSetUp(t)
		for _, c := range f.checkups {
			delete(c.Settings, "wal_keep_size")
			c.Settings[name], c.Settings["wal_segment_size"] = "0", "16777216"
		}
		n := slices.IndexFunc(viewCheck(f).Findings, func(one finding) bool { return one.Check == "kept WAL" })
		require.Contains(t, viewCheck(f).Findings[n].ToDo, want+" postgresql.conf on every node, then reload")
	}
}

func version(text string) func(*checkFacts) {
	return func(f *checkFacts) {
		other := f.others["n3"]
		other.report.Version = text
		f.others["n3"] = other
	}
}

// Debian's generator says enabled-runtime of every instance that its own service would
// start, so that counts with the service only.
func TestServicesThatStart(t *testing.T) {
	for _, c := range []struct {
		all, one string
		want     []string
	}{
		{"disabled", "enabled-runtime", nil},
		{"masked", "enabled-runtime", nil},
		{"disabled", "disabled", nil},
		{"", "enabled-runtime", nil},
		{"enabled", "enabled-runtime", []string{"postgresql.service"}},
		{"enabled", "disabled", []string{"postgresql.service"}},
		{"enabled-runtime", "disabled", []string{"postgresql.service"}},
		{"disabled", "enabled", []string{"postgresql@15-main.service"}},
	} {
		require.Equal(t, c.want, starts(map[string]string{"postgresql.service": c.all, "postgresql@15-main.service": c.one}), c)
	}
	require.Equal(t, []string{"postgresql-15.service"}, starts(map[string]string{"postgresql-15.service": "enabled"}))
}

func TestUnitsOfAnInstance(t *testing.T) {
	for _, c := range []struct{ data, opts, want string }{
		{"/var/lib/postgresql/15/main", "-c config_file=/etc/postgresql/15/main/postgresql.conf", "postgresql@15-main.service"},
		{"/var/lib/postgresql/15/billing-2", "", "postgresql@15-billing-2.service"},
		{"/srv/data", "-c config_file=/etc/postgresql/15/billing/postgresql.conf -c x=1", "postgresql@15-billing.service"},
		{"/srv/data", "", "postgresql@15-main.service"},
		{"/var/lib/postgresql/14/old", "", "postgresql@15-main.service"},
		{"/var/lib/postgresql/15/a b", "", "postgresql@15-main.service"},
		{"/var/lib/postgresql/15/*", "", "postgresql@15-main.service"},
	} {
		require.Equal(t, []string{"postgresql.service", "postgresql-15.service", c.want}, unitsOf(15, c.data, c.opts), c)
	}
	require.Equal(t, []string{"postgresql.service"}, unitsOf(0, "/srv", ""))
}
