package election

import (
	"fmt"
	"slices"
)

// Rule says whose acknowledgement the commits of a primary wait for: any Need of Of.
// Need 0 is asynchronous replication, where nobody's is.
type Rule struct {
	Primary string
	Need    int
	Of      []string // application names; those of the cluster's nodes are the nodes' names
}

// RuleFor reads a primary's synchronous_standby_names.
//
// With FIRST k the k standbys are those named first of the ones that are connected, so
// over time they may be any k of the list: it counts like ANY k. The entry * matches
// every standby, which means the cluster's nodes besides the primary and whatever else
// is connected now: pass the application names whose sync_state is not async.
//
// A primary does not replicate from itself, so its own name in the list counts for
// nothing, unless something is connected that calls itself so.
func RuleFor(setting, primary string, nodes, connected []string) (Rule, error) {
	parsed, err := ParseSynchronousStandbyNames(setting)
	if err != nil {
		return Rule{}, err
	}
	r := Rule{Primary: primary, Need: parsed.Need}
	if r.Need == 0 {
		return r, nil
	}
	names := slices.DeleteFunc(slices.Clone(parsed.Names), isWildcard)
	if len(names) < len(parsed.Names) {
		names = slices.Concat(nodes, names, connected)
	}
	for _, name := range names {
		own := sameName(name, primary) && !containsName(connected, primary)
		if !own && !containsName(r.Of, name) {
			r.Of = append(r.Of, spelledAs(nodes, name))
		}
	}
	return r, nil
}

func isWildcard(name string) bool { return name == "*" }

func spelledAs(nodes []string, name string) string {
	for _, node := range nodes {
		if sameName(node, name) {
			return node
		}
	}
	return name
}

// sameName compares as PostgreSQL does, by pg_strcasecmp in syncrep.c: without regard
// to the case of ASCII letters.
func sameName(a, b string) bool { return lower(a) == lower(b) }

// lower knows ASCII only. PostgreSQL goes on to the locale's single-byte letters; two
// names that differ in nothing but the case of such a letter count as two here, which
// asks for more votes, never for fewer.
func lower(s string) string {
	b := []byte(s) // a name may be anything, and need not be UTF-8
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func containsName(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return sameName(n, name) })
}

// String prints the rule for people, as in "n1 needs 1 of n2, n3".
func (r Rule) String() string {
	if r.Need == 0 {
		return fmt.Sprintf("%s waits for nobody", nameText(r.Primary))
	}
	return fmt.Sprintf("%s needs %d of %s", nameText(r.Primary), r.Need, join(r.Of, ", "))
}

// same compares two rules as sets.
func (r Rule) same(o Rule) bool {
	return sameName(r.Primary, o.Primary) && r.Need == o.Need && len(r.Of) == len(o.Of) && subset(r.Of, o.Of)
}

func subset(names, of []string) bool {
	return !slices.ContainsFunc(names, func(n string) bool { return !containsName(of, n) })
}

// settledBy says whether every commit that was acknowledged by this rule is on at least
// one of the voters: R + W > N. Such a commit is on the primary, and on Need of Of.
func (r Rule) settledBy(voters []string) bool {
	return r.Need == 0 || containsName(voters, r.Primary) || r.short(voters) <= 0
}

// short is how many more votes of Of it takes.
func (r Rule) short(voters []string) int {
	return len(r.missing(voters)) - r.Need + 1
}

// missing are those of Of that do not vote.
func (r Rule) missing(voters []string) []string {
	return slices.DeleteFunc(slices.Clone(r.Of), func(n string) bool { return containsName(voters, n) })
}

// covers says that whoever satisfies r satisfies o too, as far as commits go that were
// acknowledged by o before and that r's primary holds: r asks all the nodes that o asked,
// and needs no more acknowledgements. A commit of o is on o.Need of these nodes at least
// besides r's primary, and a vote that is settled by r lacks less than r.Need of them.
func (r Rule) covers(o Rule) bool {
	mine, theirs := append([]string{r.Primary}, r.Of...), append([]string{o.Primary}, o.Of...)
	return r.Need <= o.Need && subset(theirs, mine)
}
