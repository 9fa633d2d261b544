package agent

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"pgsqlms/internal/command"
)

// dataOwner is who the data directory belongs to, if it is there.
type dataOwner struct {
	there   bool
	owner   command.User // no more than the numbers
	planted string       // what of the path is in others' hands, in words; empty when nothing is
}

// maxLinks is how many links the kernel follows in one path (MAXSYMLINKS).
const maxLinks = 40

// ownerOf follows the path as the kernel does, link by link. Whoever owns a link or a
// directory on the way, or may write to one, can lead it to any other user's data. So each
// has to be root's or the owner's, as /var/lib/postgresql is that leads to /srv/pg: else
// root, acting as the owner of what it finds, would be a third user's tool.
func ownerOf(dir string) dataOwner {
	way, err := follow(dir)
	if err != nil {
		return dataOwner{}
	}
	end := way[len(way)-1]
	d := dataOwner{there: true, owner: command.User{UID: end.stat.Uid, GID: end.stat.Gid}}
	for _, s := range way[:len(way)-1] {
		if uid := s.stat.Uid; uid != 0 && uid != end.stat.Uid {
			d.planted = fmt.Sprintf("%s belongs to uid %d", s.path, uid)
		} else if s.openToAll() {
			d.planted = fmt.Sprintf("%s can be changed by everybody", s.path)
		}
	}
	return d
}

// passed is a link or a directory on the way to the data.
type passed struct {
	path string
	stat syscall.Stat_t
}

// openToAll says whether everybody can put something else in the place of what is in the
// directory. In /tmp they cannot.
func (p passed) openToAll() bool {
	return p.stat.Mode&syscall.S_IFMT == syscall.S_IFDIR && p.stat.Mode&0o002 != 0 && p.stat.Mode&syscall.S_ISVTX == 0
}

func (p passed) isLink() bool { return p.stat.Mode&syscall.S_IFMT == syscall.S_IFLNK }

// follow gives everything that is passed on the way to an absolute path, and its end.
func follow(path string) (way []passed, err error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("%s: %w", path, fs.ErrInvalid)
	}
	at, ahead, links := "/", strings.Split(path, "/"), 0
	for len(ahead) > 0 {
		next := passed{path: filepath.Join(at, ahead[0])} // at has no links, so that ".." is where it seems to be
		ahead = ahead[1:]
		if len(way) > 0 && next.path == at {
			continue
		}
		if err := syscall.Lstat(next.path, &next.stat); err != nil {
			return nil, err
		}
		way = append(way, next)
		if !next.isLink() {
			at = next.path
			continue
		}
		target, err := os.Readlink(next.path)
		if links++; err != nil || links > maxLinks {
			return nil, fmt.Errorf("%s: %w", path, syscall.ELOOP)
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		ahead = append(strings.Split(target, "/"), ahead...)
	}
	return way, nil
}
