package pg

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A directory below which something is mounted can be renamed, and the mount goes with it:
// the volume of pg_wal would lie in what is put aside, or be emptied with it, and at the next
// boot cover what has taken its place. So a rejoin leaves such a one alone.

// ErrMountsUnknown says that it cannot be told what is mounted.
var ErrMountsUnknown = errors.New("it cannot be told what is mounted")

// ErrMounted says that something is mounted in a directory that was to be moved or removed.
var ErrMounted = errors.New("a file system is mounted there")

// fstabPath has the file systems that are mounted at boot, see fstab(5).
const fstabPath = "/etc/fstab"

// mounts are the mount points that this process sees, without links.
func (i *Instance) mounts() ([]string, error) {
	text, err := os.ReadFile(filepath.Join(i.proc, "self", "mountinfo"))
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrMountsUnknown, err.Error())
	}
	return parseMounts(string(text)), nil
}

// parseMounts reads mountinfo, see proc_pid_mountinfo(5).
func parseMounts(text string) []string { return columns(text, 4) }

// columns is that column of each line that has it, with \040 and the like as what they are.
func columns(text string, n int) (found []string) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if n < len(fields) && !strings.HasPrefix(fields[0], "#") {
			found = append(found, unescapeOctal(fields[n]))
		}
	}
	return found
}

// unescapeOctal undoes what the kernel, and fstab, write for blanks and backslashes: three
// octal digits behind a backslash.
func unescapeOctal(s string) string {
	var b strings.Builder
	for n := 0; n < len(s); n++ {
		if s[n] == '\\' && n+3 < len(s) && s[n+1] >= '0' && s[n+1] <= '3' && isOctal(s[n+2]) && isOctal(s[n+3]) {
			b.WriteByte((s[n+1]-'0')<<6 | (s[n+2]-'0')<<3 | (s[n+3] - '0'))
			n += 3
			continue
		}
		b.WriteByte(s[n])
	}
	return b.String()
}

func isOctal(c byte) bool { return c >= '0' && c <= '7' }

// isWithin says whether a path is a directory's, or below it. Both are without links.
func isWithin(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// within are those of the paths that are.
func within(paths []string, dir string) (found []string) {
	for _, path := range paths {
		if isWithin(path, dir) && !slices.Contains(found, path) {
			found = append(found, path)
		}
	}
	return found
}

// unmounted are the mount points in the text of an fstab that concern a directory, being
// itself, above or below it, and at which nothing is mounted.
func unmounted(fstab string, mounted []string, dir string) (found []string) {
	for _, point := range columns(fstab, 1) {
		if !filepath.IsAbs(point) || filepath.Clean(point) == "/" {
			continue // none, swap; and the root is there
		}
		point = linkless(filepath.Clean(point), maxLinks)
		if (isWithin(dir, point) || isWithin(point, dir)) && !slices.Contains(mounted, point) {
			found = append(found, point)
		}
	}
	return found
}

// readFstab is this machine's; empty where there is none.
func readFstab() (string, error) {
	text, err := os.ReadFile(fstabPath)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w: %s", ErrMountsUnknown, err.Error())
	}
	return string(text), nil
}

// nothingMounted is the guard of all that moves or removes the data directory, or the one in
// which a rejoin works. Its errors wrap ErrMounted or ErrMountsUnknown.
func (r *Rejoin) nothingMounted() error {
	mounted, err := r.i.mounts()
	if err != nil {
		return err
	}
	for _, dir := range []string{r.dir, r.work} {
		if found := within(mounted, dir); len(found) > 0 {
			return fmt.Errorf("%w: %s, expected nothing of that kind in %s: nothing was moved or removed", ErrMounted, strings.Join(found, ", "), dir)
		}
	}
	return nil
}
