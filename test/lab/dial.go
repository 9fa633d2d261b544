package lab

import (
	"context"
	"fmt"
	"net"
)

// Dialer returns a function that connects from a machine of the lab: a node, or
// Client. Host names may be those of nodes, or "vip". It fits pgx's
// Config.DialFunc, so that a program on the host can speak to the databases.
func (l *Lab) Dialer(from string) func(ctx context.Context, network, addr string) (net.Conn, error) {
	ns := network{l.plan.Config.Name}.ns(from)
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		addr, err := l.resolve(addr)
		if err != nil {
			return nil, err
		}
		var conn net.Conn
		err = inNetns(ns, func() (err error) {
			// An address, not a name: the dialer stays on this thread then.
			conn, err = new(net.Dialer).DialContext(ctx, network, addr)
			return err
		})
		return conn, err
	}
}

// resolve puts the address for a node's name.
func (l *Lab) resolve(hostport string) (string, error) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return "", err
	}
	if addr := l.addressOf(host); addr != "" {
		host = addr
	}
	if net.ParseIP(host) == nil {
		return "", fmt.Errorf("dialing %s: expected an address, a node's name or vip", hostport)
	}
	return net.JoinHostPort(host, port), nil
}

func (l *Lab) addressOf(host string) string {
	if host == "vip" {
		return vipAddr
	}
	for _, n := range l.Nodes() {
		if n.Name == host {
			return n.Addr
		}
	}
	return ""
}

// DSN is a connection string for a host (address, node's name or "vip"), to be
// used with Dialer. It is a superuser's; the lab's network asks no password.
func (l *Lab) DSN(host string) string {
	if addr := l.addressOf(host); addr != "" {
		host = addr
	}
	return fmt.Sprintf("host=%s port=%s user=postgres dbname=postgres sslmode=disable", host, pgPort)
}
