package lab

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
)

// staticSelf reports an executable that cannot run inside of a node, whose
// libraries are those of another release.
func staticSelf() error {
	f, err := elf.Open("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("reading this program: %w", err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("a static executable: this program also runs inside of the nodes; build it with CGO_ENABLED=0")
		}
	}
	return nil
}

// copySelf puts this executable where the lab's helpers are started from: the
// original may be a test binary that is deleted while the lab is still up.
func copySelf(to string) error { return copyFile("/proc/self/exe", to, 0o755) }

func copyFile(from, to string, mode os.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
