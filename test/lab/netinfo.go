package lab

import "net"

// hasInterface looks in the network namespace of the calling thread.
func hasInterface(name string) (bool, error) {
	list, err := net.Interfaces()
	if err != nil {
		return false, err
	}
	for _, i := range list {
		if i.Name == name {
			return true, nil
		}
	}
	return false, nil
}

// hasAddress looks in the network namespace of the calling thread.
func hasAddress(addr string) (bool, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return false, err
	}
	for _, a := range list {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.String() == addr {
			return true, nil
		}
	}
	return false, nil
}
