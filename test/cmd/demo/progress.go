package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// progress prints what is happening, one line each, with the seconds since the demo began.
type progress struct {
	mutex sync.Mutex
	began time.Time
	out   io.Writer
}

func newProgress(out io.Writer) *progress { return &progress{began: time.Now(), out: out} }

func (p *progress) say(text string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	_, _ = fmt.Fprintf(p.out, "%6.1f s  %s\n", time.Since(p.began).Seconds(), text)
}

// within gives a function that says things about one part of the demo.
func (p *progress) within(part string) func(string) {
	return func(text string) { p.say(part + ": " + text) }
}
