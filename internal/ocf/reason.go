package ocf

import (
	"errors"
	"fmt"
)

// Reason is one kind of refusal: what the agent says, the code it ends with, and
// what an administrator does about it. The agent's reasons stand in one table, of
// which the reference page is made.
type Reason struct {
	Name string   // short and stable, for the reference page
	Code ExitCode // what the action ends with
	Text string   // format of the exit reason: who, what was found, what was expected
	Help string   // what mends it, as the second half of a sentence
}

// Error is a refusal with its exit code.
type Error struct {
	Code ExitCode
	Text string
	Help string
	Err  error // the cause, may be nil
}

// HelpMark stands in an exit reason between what was found and what mends it.
const HelpMark = "; to do: "

// Explain is the exit reason of an error: its text, and what mends it.
func Explain(err error) string {
	var refused *Error
	if errors.As(err, &refused) && refused.Help != "" {
		return err.Error() + HelpMark + refused.Help
	}
	return err.Error()
}

// With fills in the reason's text.
func (r Reason) With(args ...any) *Error {
	return &Error{Code: r.Code, Text: fmt.Sprintf(r.Text, args...), Help: r.Help}
}

// Because is With for a refusal that has a cause, whose text is appended.
func (r Reason) Because(cause error, args ...any) *Error {
	e := r.With(args...)
	e.Err = cause
	return e
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Text
	}
	return e.Text + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// CodeOf is the exit code that err asks for, ErrGeneric when it asks for none and
// Success when there is no error.
func CodeOf(err error) ExitCode {
	if err == nil {
		return Success
	}
	var refused *Error
	if errors.As(err, &refused) {
		return refused.Code
	}
	return ErrGeneric
}
