package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// appendTool is coreutils'. With -a it appends, and it goes on where the file cannot be
// opened.
const appendTool = "/usr/bin/tee"

// An Appender writes to the end of a file, by a program that may outlive this process.
// Where the storage stands still, a write to a file does not come back, and a process
// with a thread in it cannot end, not even by SIGKILL (state D in ps(1)): its parent
// would wait for as long. The program waits in its place. It is started by the first
// write.
type Appender struct {
	path string
	wait time.Duration
	turn chan struct{} // holds one value while a goroutine uses what follows

	opening chan appending // nil before the first write
	slow    bool           // it has been waited for
	appending
}

// appending is the program at work, or why it is not.
type appending struct {
	pipe    *os.File
	program *Process
	err     error
}

// NewAppender is for the file with that absolute path. A write waits at most that long
// where the pipe is full, and Close for the program's end.
func NewAppender(path string, wait time.Duration) *Appender {
	return &Appender{path: path, wait: wait, turn: make(chan struct{}, 1)}
}

var (
	errBusy = errors.New("another one is written")
	errSlow = errors.New(appendTool + " cannot be started in time")
)

// startWait is what the program gets to be there. It takes milliseconds, on a busy machine
// a hundred times as many; when the time is over no other line waits for it.
const startWait = time.Second

// Write hands the text over. An error means that it was not, or not all of it: the
// program cannot be started, or stands still with the pipe full, which takes 64 KiB, see
// pipe(7).
func (a *Appender) Write(text string) error {
	if !a.take() {
		return errBusy
	}
	defer a.release()
	if a.opening == nil {
		a.opening = make(chan appending, 1)
		go func() { a.opening <- open(a.path) }()
	}
	if a.pipe == nil && a.err == nil {
		if !a.opened() { // the program itself is on storage that stands still
			return errSlow
		}
	}
	if a.err != nil {
		return a.err
	}
	if err := a.pipe.SetWriteDeadline(time.Now().Add(a.wait)); err != nil {
		return err
	}
	_, err := a.pipe.WriteString(text)
	return err
}

func (a *Appender) opened() bool {
	wait := startWait
	if a.slow {
		wait = 0
	}
	select {
	case a.appending = <-a.opening:
		return true
	case <-time.After(wait):
		a.slow = true
		return false
	}
}

func open(path string) appending {
	reading, writing, err := os.Pipe()
	if err != nil {
		return appending{err: fmt.Errorf("no pipe to %s: %w", appendTool, err)}
	}
	defer reading.Close()
	program, err := Start(context.Background(), Cmd{Path: appendTool, Args: []string{"-a", "--", path}, Stdin: reading})
	if err != nil {
		writing.Close()
		return appending{err: err}
	}
	return appending{pipe: writing, program: program}
}

// Close ends the text, and waits for the program to have written it, though not longer
// than the wait. It may be called more than once.
func (a *Appender) Close() {
	if !a.take() {
		return
	}
	defer a.release()
	if a.pipe == nil {
		return
	}
	a.pipe.Close()
	a.pipe, a.err = nil, os.ErrClosed
	select {
	case <-a.program.Done():
	case <-time.After(a.wait):
	}
}

// take is bounded for who ends the process while another goroutine is in here.
func (a *Appender) take() bool {
	select {
	case a.turn <- struct{}{}:
		return true
	case <-time.After(a.wait):
		return false
	}
}

func (a *Appender) release() { <-a.turn }
