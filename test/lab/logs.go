package lab

import (
	"errors"
	"os"
	"path/filepath"
	"time"
)

// logsOfNode are the paths in a node that CollectLogs takes.
var logsOfNode = []string{
	"var/log/postgresql", "var/log/pacemaker", "var/log/corosync", "var/log/patroni.log", "var/log/etcd.log", "var/log/syslog",
	"var/lib/pacemaker/cib", "var/lib/pacemaker/pengine", "etc/corosync/corosync.conf",
}

// CollectLogs copies the logs of all nodes, powered or not, and of the power
// switch below dir.
func (l *Lab) CollectLogs(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var errs []error
	for _, f := range []string{"powerd.log", "fencings.jsonl", "lab.json"} {
		errs = append(errs, copyIfThere(filepath.Join(l.dir, f), filepath.Join(dir, f)))
	}
	for _, n := range l.Nodes() {
		to := filepath.Join(dir, n.Name)
		errs = append(errs, copyIfThere(filepath.Join(nodeDir(l.dir, n.Name), "console.log"), filepath.Join(to, "console.log")))
		for _, path := range logsOfNode {
			errs = append(errs, copyIfThere(l.LogFile(n.Name, path), filepath.Join(to, filepath.Base(path))))
		}
	}
	return errors.Join(errs...)
}

// saveLogs collects the logs of a lab that is about to go into a fresh directory.
func (l *Lab) saveLogs() (string, error) {
	dir, err := os.MkdirTemp("", "pgsqlms-lab-"+l.plan.Config.Name+"-"+time.Now().Format("150405")+"-")
	if err != nil {
		return "", err
	}
	return dir, l.CollectLogs(dir)
}

func copyIfThere(from, to string) error {
	st, err := os.Stat(from)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if st.IsDir() {
		return copyTree(from, to)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return copyFile(from, to, 0o644)
}

// copyTree copies the plain files of a directory; sockets and the like are no logs.
func copyTree(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if e.Type().IsRegular() || e.IsDir() {
			errs = append(errs, copyIfThere(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())))
		}
	}
	return errors.Join(errs...)
}
