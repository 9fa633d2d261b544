package crm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Both outputs are those of Corosync 3.1.7, of a cluster of two with and without two_node.
func TestQuorumFlags(t *testing.T) {
	for script, want := range map[string][]string{
		"printf 'Votequorum information\n----\nExpected votes:   2\nFlags:            2Node Quorate WaitForAll \n'": {"2Node", "Quorate", "WaitForAll"},
		"printf 'Quorum:           2 Activity blocked\nFlags:            \n'; exit 2":                               {},
	} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "corosync-quorumtool"), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
		flags, err := New(dir, nil).QuorumFlags(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, flags)
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "corosync-quorumtool"), []byte("#!/bin/sh\necho 'Cannot initialize QUORUM service' >&2; exit 1\n"), 0o755))
	_, err := New(dir, nil).QuorumFlags(t.Context())
	require.ErrorContains(t, err, "Cannot initialize QUORUM service")
}

func TestFencingDelays(t *testing.T) {
	device := func(params string) string {
		return `<primitive id="f1" class="stonith" type="fence_x"><instance_attributes id="i">` + params + `</instance_attributes></primitive>`
	}
	const (
		property = `<nvpair id="p" name="priority-fencing-delay" value="15s"/>`
		priority = `<clone id="c"><meta_attributes id="m"><nvpair id="n" name="priority" value="1"/></meta_attributes><primitive id="r" class="ocf" type="x"/></clone>`
	)
	for name, c := range map[string]struct {
		properties, resources string
		want                  []string
		idle                  string
	}{
		"nothing":       {"", device(""), nil, ""},
		"by priority":   {property, device("") + priority, []string{"priority-fencing-delay=15s"}, ""},
		"no priority":   {property, device(""), nil, "priority-fencing-delay=15s"},
		"base":          {"", device(`<nvpair id="d" name="pcmk_delay_base" value="10s"/>`), []string{"pcmk_delay_base=10s of f1"}, ""},
		"node by node":  {"", device(`<nvpair id="d" name="pcmk_delay_base" value="n1:0;n2:7"/>`), []string{"pcmk_delay_base=n1:0;n2:7 of f1"}, ""},
		"none for each": {"", device(`<nvpair id="d" name="pcmk_delay_base" value="n1:0;n2:0s"/>`), nil, ""},
		"the agent's":   {"", device(`<nvpair id="d" name="delay" value="5"/>`), []string{"delay=5 of f1"}, ""},
		"no device's":   {"", strings.ReplaceAll(device(`<nvpair id="d" name="delay" value="5"/>`), "stonith", "ocf"), nil, ""},
		"of a template": {"", `<template id="t" class="stonith" type="fence_x"><instance_attributes id="i"><nvpair id="d" name="delay" value="5"/></instance_attributes></template><primitive id="f1" template="t"/>`,
			[]string{"delay=5 of f1"}, ""},
	} {
		cib, err := ParseCIB(`<cib><configuration><crm_config><cluster_property_set id="s">` + c.properties + `</cluster_property_set></crm_config><resources>` +
			c.resources + `</resources></configuration></cib>`)
		require.NoError(t, err, name)
		require.Equal(t, c.want, cib.FencingDelays, name)
		require.Equal(t, c.idle, cib.IdleDelay, name)
	}
}

// What Pacemaker does not know it takes for stop, and it does not mind the case.
func TestNoQuorumPolicy(t *testing.T) {
	for value, want := range map[string]string{"": "stop", "stop": "stop", "Ignore": "ignore", "freeze": "freeze", "demote": "demote", "suicide": "suicide", "fence": "fence", "x": "stop"} {
		require.Equal(t, want, CIB{Properties: map[string]string{NoQuorumProperty: value}}.NoQuorumPolicy(), value)
	}
}
