package command

import (
	"io"
	"os"
	"strings"
)

// capped keeps the first maxOutput bytes written to it and swallows the rest,
// so that the writing program neither blocks nor fills our memory.
type capped struct {
	strings.Builder
	cut bool
}

func (c *capped) Write(p []byte) (int, error) {
	room := maxOutput - c.Len()
	if len(p) > room {
		c.cut = true
		c.Builder.Write(p[:room])
		return len(p), nil
	}
	return c.Builder.Write(p)
}

// capture directs one output stream to file, or into memory without one.
func capture(stream *io.Writer, file *os.File) *capped {
	c := &capped{}
	if file != nil {
		*stream = file
	} else {
		*stream = c
	}
	return c
}
