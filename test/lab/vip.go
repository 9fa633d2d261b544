package lab

import (
	"fmt"
	"os/exec"
	"slices"
	"syscall"
)

// vipMain is Patroni's callback: given action, role and scope, it moves the
// clients' address as IPaddr2 does, which tells the neighbours with several ARP
// messages because one may be lost. The file is set-uid root.
func vipMain(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: %s action role scope", vipHelper)
	}
	if err := syscall.Setuid(0); err != nil {
		return err
	}
	leads := slices.Contains([]string{"master", "primary", "promoted"}, args[1])
	if args[0] == "on_stop" || !leads {
		has, err := hasAddress(vipAddr)
		if err != nil || !has {
			return err
		}
		return runQuiet("ip", "address", "del", vipWithBits(), "dev", "eth0")
	}
	if err := runQuiet("ip", "address", "replace", vipWithBits(), "dev", "eth0"); err != nil {
		return err
	}
	return runQuiet("arping", "-q", "-U", "-c", "5", "-I", "eth0", vipAddr)
}

func runQuiet(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Env = nodeEnv()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}
