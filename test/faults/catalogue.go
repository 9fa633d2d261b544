package faults

import (
	"fmt"
	"slices"
	"strings"
)

// Catalogue is every scenario with a name, in the order of docs/faults.md.
func Catalogue() []Fault {
	return []Fault{
		crashOfPostmaster(), crashOfBackend(), hangOfPostmaster(), freezeOfNode(), lossOfNode(), cutOfNode(), cutReplication(),
		failingFencing(), slowFencing(), lossOfMajority(), staleStandby(), restartedStandbys(), forkedStandby(), pausedReplay(), dirtyMemory(),
		fullDisk(), lossOfAll(), manySwitchovers(), everyStep("", nil), busyPrimary(), skewedClocks(),
	}
}

// Choose gives the scenarios with these names, in the catalogue's order; all of them for none.
func Choose(names []string) ([]Fault, error) {
	all := Catalogue()
	if len(names) == 0 {
		return all, nil
	}
	var chosen []Fault
	for _, f := range all {
		if slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, f.ID) }) {
			chosen = append(chosen, f)
		}
	}
	for _, n := range names {
		if !slices.ContainsFunc(all, func(f Fault) bool { return strings.EqualFold(n, f.ID) }) {
			return nil, fmt.Errorf("no scenario is called %q; there are %s", n, strings.Join(IDs(all), " "))
		}
	}
	return chosen, nil
}

// OnlyVariants leaves those variants whose name contains a text, and the scenarios that have one.
func OnlyVariants(all []Fault, text string) ([]Fault, error) {
	if text == "" {
		return all, nil
	}
	var kept []Fault
	for _, f := range all {
		f.Variants = slices.DeleteFunc(slices.Clone(f.Variants), func(v string) bool { return !strings.Contains(v, text) })
		if len(f.Variants) > 0 {
			kept = append(kept, f)
		}
	}
	if len(kept) == 0 {
		return nil, fmt.Errorf("no variant of %s contains %q", strings.Join(IDs(all), " "), text)
	}
	return kept, nil
}

// IDs are the names of scenarios.
func IDs(faults []Fault) []string {
	var ids []string
	for _, f := range faults {
		ids = append(ids, f.ID)
	}
	return ids
}
