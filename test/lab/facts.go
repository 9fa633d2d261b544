package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// treeFacts are the versions in a tree that decide how things are spelled.
type treeFacts struct {
	Pacemaker  string // 2.1.5
	PostgreSQL int    // 15
}

// oldRoles says that this Pacemaker knows the roles only as Master and Slave.
func (f treeFacts) oldRoles() bool { return strings.HasPrefix(f.Pacemaker, "2.0.") }

func (f treeFacts) bindir() string { return fmt.Sprintf("/usr/lib/postgresql/%d/bin", f.PostgreSQL) }
func (f treeFacts) pgdata() string { return fmt.Sprintf("/var/lib/postgresql/%d/main", f.PostgreSQL) }
func (f treeFacts) pgconf() string { return fmt.Sprintf("/etc/postgresql/%d/main", f.PostgreSQL) }

func readFacts(tree string) (treeFacts, error) {
	status, err := os.ReadFile(filepath.Join(tree, "var/lib/dpkg/status"))
	if err != nil {
		return treeFacts{}, err
	}
	f := treeFacts{Pacemaker: packageVersion(string(status), "pacemaker")}
	if f.Pacemaker == "" {
		return f, fmt.Errorf("no pacemaker in the tree %s; remove that directory so that it is made again", tree)
	}
	var versions []int
	for _, d := range glob(filepath.Join(tree, "usr/lib/postgresql/*/bin/postgres")) {
		if v := atoi(filepath.Base(filepath.Dir(filepath.Dir(d)))); v > 0 {
			versions = append(versions, v)
		}
	}
	if len(versions) == 0 {
		return f, fmt.Errorf("no PostgreSQL in the tree %s; remove that directory so that it is made again", tree)
	}
	f.PostgreSQL = slices.Max(versions)
	return f, nil
}

// packageVersion finds a package's upstream version in dpkg's status file.
func packageVersion(status, name string) string {
	v := debianVersion(status, name)
	if _, after, ok := strings.Cut(v, ":"); ok { // epoch
		v = after
	}
	return v[:strings.IndexAny(v+"-", "-+~")]
}

// debianVersion finds a package's version, as Debian has it, in dpkg's status file.
func debianVersion(status, name string) string {
	for para := range strings.SplitSeq(status, "\n\n") {
		if !strings.HasPrefix(para, "Package: "+name+"\n") {
			continue
		}
		for line := range strings.Lines(para) {
			if v, ok := strings.CutPrefix(line, "Version: "); ok {
				return strings.TrimSpace(v)
			}
		}
	}
	return ""
}

// Packages are the versions of what the nodes have of Debian's packages for
// databases that stay available, and of the cluster below.
func (l *Lab) Packages() (map[string]string, error) {
	status, err := os.ReadFile(filepath.Join(l.plan.Tree, "var/lib/dpkg/status"))
	if err != nil {
		return nil, err
	}
	return packages(string(status), l.plan.Facts.PostgreSQL), nil
}

func packages(status string, postgresql int) map[string]string {
	found := map[string]string{}
	for _, name := range []string{"pacemaker", "corosync", "resource-agents", "resource-agents-paf", "patroni", "etcd-server",
		fmt.Sprintf("postgresql-%d", postgresql)} {
		if v := debianVersion(status, name); v != "" {
			found[name] = v
		}
	}
	return found
}

func atoi(s string) int {
	n, _ := strconv.Atoi(s) // 0 is what callers want for garbage
	return n
}
