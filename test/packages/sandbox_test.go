//go:build lab

package packages

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/test/lab"
)

func TestMain(m *testing.M) {
	lab.Hook()
	os.Exit(m.Run())
}

// made finds a package as "make packages" leaves it.
func made(t *testing.T, pattern string) string {
	t.Helper()
	files, err := filepath.Glob("../../dist/" + pattern)
	require.NoError(t, err)
	require.Len(t, files, 1, `packages like %s in dist/: run "make packages"`, pattern)
	path, err := filepath.Abs(files[0])
	require.NoError(t, err)
	return path
}

func deb(t *testing.T) string { return made(t, "pgsqlms_*_"+runtime.GOARCH+".deb") }

func rpm(t *testing.T) string {
	return made(t, "pgsqlms-*."+map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]+".rpm")
}

// sandbox runs a shell script in a throw-away root of the lab's tree, where the packages are /deb and /rpm, and returns
// what it printed. The script fails the test when a command in it does.
func sandbox(t *testing.T, script string) string {
	t.Helper()
	return inSandbox(t, []lab.Bind{{Host: deb(t), Inside: "/deb"}, {Host: rpm(t), Inside: "/rpm"}}, script)
}

func inSandbox(t *testing.T, binds []lab.Bind, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute) // the first one may have to make the tree
	defer cancel()
	var out bytes.Buffer
	code, err := lab.RunInTree(ctx, lab.Sandbox{
		Binds:  binds,
		Dir:    "/tmp",
		Env:    []string{"LC_ALL=C.UTF-8", "TERM=dumb", "DEBIAN_FRONTEND=noninteractive"},
		Stdout: &out,
		Stderr: &out,
	}, "/bin/bash", "-ec", script)
	require.NoError(t, err)
	require.Zero(t, code, "%s\n%s", script, &out)
	return out.String()
}

// shell is what the scripts below have in common.
const shell = `
agent=/usr/lib/ocf/resource.d/heartbeat/pgsqlms

# newer OLD NEW: makes a package of a higher version, with another agent.
newer() {
	dpkg-deb -R $1 /tmp/newer
	sed -i 's/^Version: .*/&.1/' /tmp/newer/DEBIAN/control
	printf 'x' >>/tmp/newer$agent
	dpkg-deb --root-owner-group -Zgzip -z1 -b /tmp/newer $2 >/dev/null
}

# watched COMMAND...: runs it while the agent is called all the time, and says whether it was once not there.
watched() {
	(
		calls=0 missed=0
		trap 'echo "missed $missed calls"; [ $calls -gt 0 ]; exit' TERM
		while :; do
			calls=$((calls + 1)) code=0
			$agent methods >/dev/null 2>/tmp/said || code=$?
			[ $code -ge 126 ] || continue
			# The kernel has started Perl for PAF's script, and Perl has opened what is there by then: no package can help that.
			! grep -q 'Unrecognized character' /tmp/said || continue
			missed=$((missed + 1)) # not there, or not to be run
			cat /tmp/said
		done
	) &
	watcher=$!
	sleep 0.2
	"$@"
	sleep 0.2
	kill $watcher
	wait $watcher
}
`

func TestDebTakesThePlaceOfPAF(t *testing.T) {
	out := sandbox(t, shell+`
		dpkg-query -W -f '${Package} was ${Status}\n' resource-agents-paf
		watched dpkg -i /deb
		test -e /var/lib/dpkg/info/resource-agents-paf.list || echo "PAF is not installed"
		ls /usr/lib/ocf/lib/heartbeat/OCF_Functions.pm || echo "nor anything of it there"
		crm_resource --list-agents ocf:heartbeat | grep '^pgsqlms'
		stat -c '%A %U:%G %n' $agent
		stat -c '%A %N' /usr/sbin/pgsqlms
		crm_resource --show-metadata ocf:heartbeat:pgsqlms | grep '<resource-agent'
		dpkg --verify pgsqlms`)
	require.Contains(t, out, "resource-agents-paf was install ok installed\n")
	require.Contains(t, out, "missed 0 calls\n")
	require.Contains(t, out, "PAF is not installed\n")
	require.Contains(t, out, "nor anything of it there\n")
	require.Contains(t, out, "-rwxr-xr-x root:root /usr/lib/ocf/resource.d/heartbeat/pgsqlms\n")
	require.Contains(t, out, "lrwxrwxrwx '/usr/sbin/pgsqlms' -> '../lib/ocf/resource.d/heartbeat/pgsqlms'\n")
	version := strings.Split(filepath.Base(deb(t)), "_")[1]
	require.Contains(t, out, `<resource-agent name="pgsqlms" version="`+version+`">`)
}

func TestDebIsUpgradedAndRemoved(t *testing.T) {
	out := sandbox(t, shell+`
		find / -xdev -not -path '/var/lib/dpkg/*' -not -path '/tmp*' | sort >before
		dpkg -i /deb
		dpkg-query -W -f '${Conffiles}\n' pgsqlms
		newer /deb new.deb
		watched dpkg -i new.deb
		tail -c 1 $agent; echo " is the new agent's end"
		install -D /dev/null /var/log/pgsqlms/pgsqld.log
		install -D /dev/null /var/lib/pacemaker/pgsqlms/told
		dpkg -r pgsqlms
		ls /var/log/pgsqlms/pgsqld.log /var/lib/pacemaker/pgsqlms/told
		dpkg -P pgsqlms
		test -e /var/lib/dpkg/info/pgsqlms.list || echo "it is not installed"
		find / -xdev -not -path '/var/lib/dpkg/*' -not -path '/tmp*' | sort >after
		comm -13 before after | sed 's/^/left behind: /'`)
	require.Contains(t, out, "missed 0 calls\n")
	require.Contains(t, out, "\n /etc/logrotate.d/pgsqlms ")
	require.Contains(t, out, "x is the new agent's end\n")
	require.Contains(t, out, "it is not installed\n")
	require.NotContains(t, out, "left behind")
}

// standIns are a cluster that says what is in two files, for the scripts of the packages.
const standIns = `
printf '#!/bin/sh\n[ "$*" = "--query --scope resources" ] || exit 64\n. /tmp/cibadmin\n' >$root/usr/sbin/cibadmin
printf '#!/bin/sh\n. /tmp/crm_attribute\n' >$root/usr/sbin/crm_attribute
chmod 755 $root/usr/sbin/cibadmin $root/usr/sbin/crm_attribute
ours="echo '<resources><clone id=\"c\"><primitive id=\"pgsqld\" class=\"ocf\" provider=\"heartbeat\" type=\"pgsqlms\"/></clone></resources>'"

# cluster CIBADMIN CRM_ATTRIBUTE: what the two do from here on.
cluster() {
	echo "$1" >$root/tmp/cibadmin
	echo "$2" >$root/tmp/crm_attribute
}
`

// A node without the agent is fenced: so the package stays where Pacemaker uses it, and can be removed wherever not.
func TestDebInUseStays(t *testing.T) {
	out := sandbox(t, shell+"root="+standIns+`
		dpkg -i /deb
		cluster "$ours" 'echo false'
		! dpkg -r pgsqlms
		! dpkg -P pgsqlms
		test -x $agent
		newer /deb new.deb
		dpkg -i new.deb # an upgrade is no removal
		while IFS='|' read -r why cib mode; do
			cluster "$cib" "$mode"
			dpkg -r pgsqlms
			test ! -e $agent && echo "removed: $why"
			dpkg -i /deb
		done <<END
maintenance mode|$ours|[ "\$*" = "--type crm_config --name maintenance-mode --query --quiet --default false" ] && echo true
no such resource|echo '<resources><primitive id="ip" type="IPaddr2"/></resources>'|echo false
no cluster|echo "Could not connect to the CIB" >&2; exit 102|exit 102
it hangs|exec sleep 600|echo false
it hangs with a resource|$ours|exec sleep 600
END`)
	require.Contains(t, out, "pgsqlms: not removed: ")
	require.Contains(t, out, "crm_attribute --name maintenance-mode --update true")
	for _, why := range []string{"maintenance mode", "no such resource", "no cluster", "it hangs", "it hangs with a resource"} {
		require.Contains(t, out, "removed: "+why+"\n")
	}
}

// PAF's own package, put together from what the tree has of it, comes back the way docs/install.md says.
func TestBackToPAF(t *testing.T) {
	out := sandbox(t, packPAF+`
		dpkg -i /deb
		dpkg -r pgsqlms
		dpkg -i paf.deb
		head -n 1 $agent
		dpkg --verify resource-agents-paf`)
	require.Contains(t, out, "perl")
}

// packPAF makes paf.deb.
const packPAF = shell + `
	mkdir -p paf/DEBIAN
	dpkg-query -s resource-agents-paf | grep -v '^Status:' >paf/DEBIAN/control
	dpkg-query -L resource-agents-paf | while read -r file; do
		if [ -f "$file" ]; then install -D -m "$(stat -c %a "$file")" "$file" "paf$file"; fi
	done
	dpkg-deb --root-owner-group -Zgzip -z1 -b paf paf.deb >/dev/null
`

// A rpm with the name, the version and the agent's file of the one that Enterprise Linux ships stands for it.
func TestRpm(t *testing.T) {
	out := sandbox(t, shell+"root=/tmp/root"+`
		# what the script of the package runs in
		mkdir -p $root/bin $root/tmp $root/usr/bin $root/usr/sbin $root/dev
		: >$root/dev/null
		cp -L /bin/sh /bin/cat $root/bin
		cp -L /usr/bin/timeout $root/usr/bin
		for file in $(ldd /bin/sh /bin/cat /usr/bin/timeout | grep -o '/lib[^ ]*' | sort -u); do cp -L --parents $file $root; done
		`+standIns+`
		exec 2>/dev/null # rpm says that this is a Debian
		rpm -K /rpm
		rpm -qp --qf '%{NAME} %{VENDOR} %{LICENSE}\n' --requires --obsoletes --scripts /rpm
		rpm -qlvp /rpm | grep -v /usr/share/doc
		printf '%s\n' 'Name: resource-agents-paf' 'Version: 4.10.0' 'Release: 1' 'Summary: s' 'License: l' 'BuildArch: noarch' \
			%description d %install "mkdir -p %{buildroot}${agent%/*}" "echo paf >%{buildroot}$agent" %files $agent >paf.spec
		rpmbuild --quiet -bb --define '_rpmdir /tmp' --define '__os_install_post %{nil}' paf.spec
		rpm --root /tmp/root -i noarch/resource-agents-paf-4.10.0-1.noarch.rpm
		cat root$agent
		rpm --root /tmp/root -U --nodeps --test /rpm
		rpm --root /tmp/root -U --nodeps /rpm
		rpm --root /tmp/root -qa
		rpm --root /tmp/root -V --nodeps pgsqlms
		cmp root$agent root/usr/sbin/pgsqlms
		rpm --root /tmp/root -qc pgsqlms
		cluster "$ours" 'echo false'
		! rpm --root /tmp/root -e pgsqlms >refused 2>&1
		grep 'not removed' refused
		test -x root$agent
		cluster "$ours" 'echo true'
		rpm --root /tmp/root -e pgsqlms
		find root -name '*pgsqlms*' | sed 's/^/left behind: /'`)
	require.Contains(t, out, "digests OK\n")
	require.Contains(t, out, "pacemaker-cli >= 1.1.13\nresource-agents\n")
	require.Contains(t, out, "\nresource-agents-paf\n", "Obsoletes")
	require.Regexp(t, `-rwxr-xr-x +1 root +root .* /usr/lib/ocf/resource.d/heartbeat/pgsqlms\n`, out)
	require.Contains(t, out, "/usr/sbin/pgsqlms -> ../lib/ocf/resource.d/heartbeat/pgsqlms\n")
	require.Contains(t, out, "\n/etc/logrotate.d/pgsqlms\npgsqlms: not removed: ")
	require.Contains(t, out, "\npaf\npgsqlms-", "after the obsolete package only ours is installed")
	require.NotContains(t, out, "left behind")
}

// What the version script promises is true for both tools.
func TestVersionsAreSortedAsMeant(t *testing.T) {
	sandbox(t, `
		older() {
			dpkg --compare-versions "$1" lt "$2"
			[ "$(rpm --eval "%{lua:print(rpm.vercmp('$1', '$2'))}" 2>/dev/null)" = -1 ]
		}
		older 0.0.0+9.gffffffff 0.0.0+10.g00000000
		older 0.0.0+9.gffffffff 0.1.0~rc1
		older 0.1.0~rc1 0.1.0~rc1+2.gffffffff
		older 0.1.0~rc1+2.gffffffff 0.1.0
		older 0.1.0 0.1.0+0.gffffffff.dirty
		older 0.1.0+3.gffffffff 0.1.1`)
}

func TestManualPages(t *testing.T) {
	out := sandbox(t, `
		dpkg -i /deb >/dev/null 2>&1
		for page in 7/ocf_heartbeat_pgsqlms.7 8/pgsqlms.8; do
			zcat /usr/share/man/man$page.gz >page
			mandoc -T lint -W warning page | grep -v 'missing date' | sed "s,^,mandoc: $page: ,"
			groff -ww -man -T utf8 -K utf8 page 2>&1 >shown | sed "s,^,groff: $page: ,"
			test -s shown
		done
		ls /usr/share/doc/pgsqlms/docs/install.md /usr/share/doc/pgsqlms/copyright
		grep -c 'is part of the program' /usr/share/doc/pgsqlms/copyright
		bash -c 'source /usr/share/bash-completion/completions/pgsqlms; complete -p pgsqlms'`)
	require.NotContains(t, out, "mandoc:")
	require.NotContains(t, out, "groff:")
	require.Contains(t, out, "complete -F _pgsqlms pgsqlms\n")
}
