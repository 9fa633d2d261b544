package lab

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// DefaultSuite is the Debian release of the nodes unless told.
const DefaultSuite = "bookworm"

// treeRecipe is part of a tree's name in the cache: raise it when the steps
// below change, so that trees made by the old steps are not taken for new ones.
const treeRecipe = "1"

// treePackages is what a node needs: the cluster, the packaged agent to compare
// with, both administration shells, PostgreSQL, and the tools of the tests.
var treePackages = []string{
	"pacemaker", "corosync", "pacemaker-cli-utils", "resource-agents",
	"resource-agents-paf", "pcs", "crmsh", "postgresql",
	"iproute2", "nftables", "procps", "iputils-arping", "libxml2-utils", "libfaketime",
	"groff-base", "mandoc", "rpm", // judge the manual pages and the rpm
}

// treeDir is the place of a tree with these packages beyond the lab's own.
func treeDir(suite string, more []string) string {
	sum := sha256.Sum256([]byte(treeRecipe + "\n" + strings.Join(slices.Concat(treePackages, more), " ")))
	return filepath.Join(cacheRoot(), fmt.Sprintf("%s-%x", suite, sum[:5]))
}

// Tree returns the directory of the suite's Debian tree, and makes it first
// when it is not in the cache. It is a lower layer: never write to it. With more
// packages it is a tree of its own, so that the usual one does not grow.
func Tree(ctx context.Context, suite string, progress func(string), more ...string) (string, error) {
	if !suiteRule.MatchString(suite) {
		return "", fmt.Errorf("suite %q: expected the name of a Debian release, such as %s", suite, DefaultSuite)
	}
	dir := treeDir(suite, more)
	if exists(dir) {
		return dir, nil
	}
	if err := os.MkdirAll(cacheRoot(), 0o755); err != nil {
		return "", fmt.Errorf("tree cache: %w", err)
	}
	lock, err := lockFile(ctx, dir+".lock")
	if err != nil {
		return "", err
	}
	defer lock.unlock()
	if exists(dir) { // somebody else made it while we waited for the lock
		return dir, nil
	}
	if missing := sandboxRequirements(dir); len(missing) > 0 {
		return "", requirementsError(missing)
	}
	b := &treeBuild{suite: suite, dir: dir + ".tmp", packages: slices.Concat(treePackages, more), say: quiet(progress)}
	if err := b.run(ctx); err != nil {
		_ = os.RemoveAll(b.dir)
		return "", fmt.Errorf("making the Debian tree of %s: %w", suite, err)
	}
	if err := os.Rename(b.dir, dir); err != nil {
		return "", fmt.Errorf("making the Debian tree of %s: %w", suite, err)
	}
	return dir, nil
}

type treeBuild struct {
	suite, dir string
	packages   []string
	say        func(string)
}

func (b *treeBuild) run(ctx context.Context) error {
	start := time.Now()
	if err := os.RemoveAll(b.dir); err != nil { // left by an interrupted build
		return err
	}
	b.say(fmt.Sprintf("making the Debian tree of %s once, about 1 GB in %s", b.suite, cacheRoot()))
	apt := hostAPT(ctx)
	args := []string{"--variant=minbase", b.suite, b.dir}
	if apt.mirror != "" {
		args = append(args, apt.mirror)
	}
	if err := b.step(ctx, apt.env(), "debootstrap", args...); err != nil {
		return err
	}
	secrets, err := b.prepare(apt)
	if err != nil {
		return err
	}
	args = append([]string{"-c", installScript, "sh", b.dir}, b.packages...)
	if err := b.step(ctx, append(apt.env(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8"), "/bin/sh", args...); err != nil {
		return err
	}
	for _, f := range secrets {
		if err := os.Remove(f); err != nil {
			return err
		}
	}
	b.say(fmt.Sprintf("tree of %s made in %.0f s", b.suite, time.Since(start).Seconds()))
	return nil
}

// installScript is given the tree and the packages.
const installScript = `
root=$1
shift
mount -t proc proc "$root/proc" &&
chroot "$root" apt-get -q update &&
chroot "$root" apt-get -q -y --no-install-recommends install "$@" &&
chroot "$root" apt-get -q clean
`

// prepare writes the files that keep packages from starting anything, and lends
// the tree the host's apt settings. It returns the lent files, which may hold
// credentials and must not stay.
func (b *treeBuild) prepare(apt aptSettings) ([]string, error) {
	files := map[string]string{
		"usr/sbin/policy-rc.d":                     "#!/bin/sh\nexit 101\n",
		"etc/postgresql-common/createcluster.conf": "create_main_cluster = false\n",
	}
	lent := map[string]string{"etc/apt/apt.conf.d/99lab-host": apt.acquire}
	for path, text := range apt.auth {
		lent["etc/apt/auth.conf.d/"+path] = text
	}
	var names []string
	for rel := range lent {
		names = append(names, filepath.Join(b.dir, rel))
	}
	for rel, text := range merged(files, lent) {
		path := filepath.Join(b.dir, rel)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		mode := os.FileMode(0o755)
		if _, isLent := lent[rel]; isLent {
			mode = 0o600
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// step runs a command in mount and pid namespaces of its own, so that whatever
// it mounts or starts is gone with it, however it ends.
func (b *treeBuild) step(ctx context.Context, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	tail := &progressLines{say: b.say, suite: b.suite}
	cmd.Stdout, cmd.Stderr = tail, tail
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Unshareflags: syscall.CLONE_NEWNS, // Go makes it private, so the host sees no mount
		Cloneflags:   syscall.CLONE_NEWPID,
		Pdeathsig:    syscall.SIGKILL,
	}
	cmd.WaitDelay = 5 * time.Second
	runtime.LockOSThread() // Pdeathsig is about the thread that started the child
	defer runtime.UnlockOSThread()
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("%s: %w\n%s", filepath.Base(name), err, tail.last())
	}
	return nil
}

// progressLines shows now and then what a long command is at, and keeps its
// last lines for the error.
type progressLines struct {
	say   func(string)
	suite string
	kept  []string
	shown time.Time
	rest  []byte
}

var interesting = regexp.MustCompile(`^(I: |Get:|Unpacking |Setting up )`)

func (p *progressLines) Write(b []byte) (int, error) {
	p.rest = append(p.rest, b...)
	for {
		i := bytes.IndexByte(p.rest, '\n')
		if i < 0 {
			return len(b), nil
		}
		p.line(string(p.rest[:i]))
		p.rest = p.rest[i+1:]
	}
}

func (p *progressLines) line(s string) {
	p.kept = append(p.kept, s)
	if len(p.kept) > 15 {
		p.kept = p.kept[1:]
	}
	if interesting.MatchString(s) && time.Since(p.shown) > 5*time.Second {
		p.shown = time.Now()
		p.say(p.suite + " tree: " + strings.TrimPrefix(s, "I: "))
	}
}

func (p *progressLines) last() string { return strings.Join(p.kept, "\n") }

// aptSettings is what the host's own apt knows about reaching a mirror.
type aptSettings struct {
	mirror  string            // "" for debootstrap's own choice
	acquire string            // apt.conf text: proxies, validity of dates, ...
	proxy   string            // for debootstrap, which does not read apt.conf
	auth    map[string]string // auth.conf.d
}

// hostAPT reads the host's settings where the host is a Debian; elsewhere all
// is empty and debootstrap's defaults hold. PGSQLMS_LAB_MIRROR overrides the mirror.
func hostAPT(ctx context.Context) aptSettings {
	var s aptSettings
	if out, err := exec.CommandContext(ctx, "apt-config", "dump", "Acquire").Output(); err == nil {
		s.acquire = string(out)
		s.proxy = aptValue(s.acquire, "Acquire::http::Proxy")
	}
	s.auth = map[string]string{}
	for _, f := range append(glob("/etc/apt/auth.conf.d/*"), "/etc/apt/auth.conf") {
		if text, err := os.ReadFile(f); err == nil {
			s.auth[filepath.Base(f)] = string(text)
		}
	}
	s.mirror = os.Getenv("PGSQLMS_LAB_MIRROR")
	if s.mirror == "" {
		s.mirror = hostMirror()
	}
	return s
}

func (s aptSettings) env() []string {
	if s.proxy == "" || s.proxy == "DIRECT" || os.Getenv("http_proxy") != "" {
		return nil
	}
	return []string{"http_proxy=" + s.proxy}
}

// aptValue finds `key "value";` in the output of apt-config dump.
func aptValue(dump, key string) string {
	for line := range strings.Lines(dump) {
		k, v, ok := strings.Cut(strings.TrimSpace(line), " ")
		if ok && strings.EqualFold(k, key) {
			return strings.Trim(v, `";`)
		}
	}
	return ""
}

// hostMirror is the mirror of the host's own release. It serves other releases
// of the same distribution just as well.
func hostMirror() string {
	osRelease, err := os.ReadFile("/etc/os-release")
	if err != nil || !regexp.MustCompile(`(?m)^ID="?debian"?$`).Match(osRelease) {
		return ""
	}
	m := regexp.MustCompile(`(?m)^VERSION_CODENAME="?(\w+)"?$`).FindSubmatch(osRelease)
	if m == nil {
		return ""
	}
	for _, f := range append([]string{"/etc/apt/sources.list"}, glob("/etc/apt/sources.list.d/*.list", "/etc/apt/sources.list.d/*.sources")...) {
		text, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		if mirror := mirrorIn(string(text), string(m[1])); mirror != "" {
			return mirror
		}
	}
	return ""
}

// mirrorIn finds the address that an apt source file of either style gives for
// a suite's main archive.
func mirrorIn(text, suite string) string {
	for para := range strings.SplitSeq(text, "\n\n") {
		var uri string
		var serves bool
		for line := range strings.Lines(para) {
			f := strings.Fields(line)
			switch {
			case len(f) == 0 || strings.HasPrefix(f[0], "#"):
			case f[0] == "deb":
				if u := oneLineMirror(f[1:], suite); u != "" {
					return u
				}
			case strings.EqualFold(f[0], "URIs:") && len(f) > 1:
				uri = f[1]
			case strings.EqualFold(f[0], "Suites:"):
				serves = contains(f[1:], suite)
			}
		}
		if serves && isHTTP(uri) {
			return uri
		}
	}
	return ""
}

func oneLineMirror(f []string, suite string) string {
	for len(f) > 0 && (strings.HasPrefix(f[0], "[") || !strings.Contains(f[0], ":/")) { // [options]
		f = f[1:]
	}
	if len(f) > 1 && f[1] == suite && isHTTP(f[0]) {
		return f[0]
	}
	return ""
}

func isHTTP(u string) bool {
	return strings.HasPrefix(u, "http://") || strings.HasPrefix(u, "https://")
}

func quiet(say func(string)) func(string) {
	if say == nil {
		return func(string) {}
	}
	return say
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func glob(patterns ...string) []string {
	var all []string
	for _, p := range patterns {
		m, _ := filepath.Glob(p) // only a malformed pattern fails
		all = append(all, m...)
	}
	return all
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}
