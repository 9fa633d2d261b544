package crm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

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
		delays, idle := cib.FencingDelays()
		require.Equal(t, c.want, delays, name)
		require.Equal(t, c.idle, idle, name)
	}
}

// What Pacemaker does not know it takes for stop, and it does not mind the case.
func TestNoQuorumPolicy(t *testing.T) {
	for value, want := range map[string]string{"": "stop", "stop": "stop", "Ignore": "ignore", "freeze": "freeze", "demote": "demote", "suicide": "suicide", "fence": "fence", "x": "stop"} {
		require.Equal(t, want, CIB{Properties: map[string]string{NoQuorumProperty: value}}.NoQuorumPolicy(), value)
	}
}

func TestFenceDeviceNames(t *testing.T) {
	for params, want := range map[[2]string]bool{
		{"pcmk_host_list", "n1 n2"}:               true,
		{"pcmk_host_list", "n1,N2"}:               true,
		{"pcmk_host_list", "n22"}:                 false,
		{"pcmk_host_map", "n1:vm-n1;n2:vm-n2"}:    true,
		{"pcmk_host_map", "n1:n2"}:                false,
		{"pcmk_host_argument", "n2"}:              false,
		{"pcmk_host_map", "n1:1,2,3;\nn2:4,5,6 "}: true,
	} {
		require.Equal(t, want, FenceDevice{"f", map[string]string{params[0]: params[1]}}.Names("n2"), params)
	}
}

// The outputs are those of stonith_admin 2.1.5.
func TestFencers(t *testing.T) {
	dir := t.TempDir()
	script := `#!/bin/sh
[ "$1 $3" = "--list --output-as=xml" ] || exit 64
case $2 in
n2) devices='count="1"><item name="device">fence-n2</item></list>' ;;
n3) devices='count="0"/>' ;;
*) echo 'stonith_admin: Could not connect to fencer: Transport endpoint is not connected' >&2; exit 102 ;;
esac
echo "<pacemaker-result api-version=\"2.25\"><list name=\"registered fence devices\" $devices<status code=\"0\" message=\"OK\"/></pacemaker-result>"
`
	require.NoError(t, os.WriteFile(filepath.Join(dir, "stonith_admin"), []byte(script), 0o755))
	c := New(dir, nil)
	devices, err := c.Fencers(t.Context(), "n2")
	require.NoError(t, err)
	require.Equal(t, []string{"fence-n2"}, devices)
	devices, err = c.Fencers(t.Context(), "n3")
	require.NoError(t, err)
	require.Empty(t, devices)
	_, err = c.Fencers(t.Context(), "n4")
	require.ErrorContains(t, err, "Could not connect to fencer")
}
