package scenario

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"pgsqlms/test/lab"
	"pgsqlms/test/writer"
)

// FirstStart brings a lab up under a writer that begins before there is anything to write to. The write gap is the time
// until its first row was acknowledged. The lab is the caller's to take down; it is nil if it did not come up.
func FirstStart(ctx context.Context, config lab.Config, progress func(string)) (*lab.Lab, Result, error) {
	r := Runner{Progress: progress}.withDefaults()
	result := Result{Scenario: "first start", Fault: time.Now()}
	result.Injected = result.Fault
	clients, err := startClients(whenOpen(config.Name), nil)
	if err != nil {
		return nil, result, err
	}
	l, err := lab.Up(ctx, config, r.Progress)
	if err != nil {
		clients.stop()
		return nil, result, err
	}
	r.Lab = l
	play := &Play{Lab: l, Writer: clients.vip, fault: result.Fault}
	courseErr := r.turned(ctx, Scenario{}, play, time.Now())
	if courseErr == nil {
		courseErr = r.streaming(ctx)
	}
	if courseErr == nil {
		result.Streaming = time.Since(result.Fault)
	}
	result.History, _ = clients.stop()
	if err := r.judge(ctx, play, clients, &result); courseErr == nil {
		courseErr = err
	}
	if courseErr != nil {
		return l, result, fmt.Errorf("%s: %w", result.Scenario, courseErr)
	}
	return l, result, nil
}

// whenOpen dials from the client of a lab that is still being built: before the client is there nobody answers.
func whenOpen(name string) writer.Dial {
	var mutex sync.Mutex
	var dial writer.Dial
	opened := func() (writer.Dial, error) {
		mutex.Lock()
		defer mutex.Unlock()
		if dial == nil {
			l, err := lab.Open(name)
			if err != nil {
				return nil, err
			}
			dial = l.Dialer(lab.Client)
		}
		return dial, nil
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		dial, err := opened()
		if err != nil {
			return nil, err
		}
		return dial(ctx, network, address)
	}
}
