//go:build lab

package packages

import (
	"context"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/test/lab"
)

// "make release" has both architectures, each as what it says it is.
func TestReleaseOfBothArchitectures(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	dist := t.TempDir()
	said, err := exec.CommandContext(ctx, "make", "-C", "../..", "release", "DIST="+dist, "VERSION=1.2.3+4.g01234567").CombinedOutput()
	require.NoError(t, err, "%s", said)
	require.Contains(t, string(said), "1.2.3+4.g01234567 is no release")

	out := inSandbox(t, []lab.Bind{{Host: dist, Inside: "/dist"}}, `
		cd /dist
		ls
		sha256sum --quiet -c SHA256SUMS
		for file in *.deb; do
			echo "$file is $(dpkg-deb -f $file Version) for $(dpkg-deb -f $file Architecture), $(dpkg-deb --fsys-tarfile $file |
				tar -xO ./usr/lib/ocf/resource.d/heartbeat/pgsqlms | od -An -tx1 -j18 -N1)"
		done
		for file in *.rpm; do echo "$file is $(rpm -qp --qf '%{VERSION} for %{ARCH}' $file 2>/dev/null)"; done`)
	require.Contains(t, out, `SHA256SUMS
pgsqlms-1.2.3+4.g01234567-1.aarch64.rpm
pgsqlms-1.2.3+4.g01234567-1.x86_64.rpm
pgsqlms-1.2.3+4.g01234567-linux-amd64.tar.gz
pgsqlms-1.2.3+4.g01234567-linux-arm64.tar.gz
pgsqlms_1.2.3+4.g01234567_amd64.deb
pgsqlms_1.2.3+4.g01234567_arm64.deb
`)
	// The last number is e_machine of the program's ELF header.
	require.Contains(t, out, "_amd64.deb is 1.2.3+4.g01234567 for amd64,  3e\n")
	require.Contains(t, out, "_arm64.deb is 1.2.3+4.g01234567 for arm64,  b7\n")
	require.Contains(t, out, ".x86_64.rpm is 1.2.3+4.g01234567 for x86_64\n")
	require.Contains(t, out, ".aarch64.rpm is 1.2.3+4.g01234567 for aarch64\n")
}
