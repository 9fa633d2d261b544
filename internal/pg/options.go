package pg

import (
	"errors"
	"fmt"
	"strings"
)

// SplitOptions splits start_opts into arguments by the rules of the shell for
// words, quotes and backslashes. No shell ever sees them: what one would
// expand or act on, $ and ` outside single quotes, ; & | < > ( ) and line ends
// outside any, and ~ and # at the beginning of a word, is refused instead of
// being taken in another meaning than an administrator expects. * and ? stand
// for themselves, as they do in a shell when no file matches.
func SplitOptions(s string) ([]string, error) {
	p := splitter{rest: s}
	for p.rest != "" {
		if err := p.step(); err != nil {
			return nil, fmt.Errorf("start_opts: at character %d: %w", len(s)-len(p.rest)+1, err)
		}
	}
	p.endWord()
	return p.words, nil
}

// splitter goes through the text from left to right.
type splitter struct {
	rest   string
	words  []string
	word   strings.Builder
	inWord bool // a quoted empty string is a word too
}

// step takes the next character, or the next quoted string.
func (p *splitter) step() error {
	switch c := p.rest[0]; {
	case c == ' ' || c == '\t':
		p.endWord()
		p.rest = p.rest[1:]
		return nil
	case c == '\'':
		return p.singleQuoted()
	case c == '"':
		return p.doubleQuoted()
	case c == '\\':
		return p.escaped()
	case strings.IndexByte("$`;&|<>()\n\r\x00", c) >= 0, !p.inWord && (c == '~' || c == '#'):
		return fmt.Errorf("%q has a meaning for a shell, and none is used here; put it in single quotes", c)
	default:
		p.add(p.rest[:1], 1)
		return nil
	}
}

// add appends text to the word and moves on.
func (p *splitter) add(text string, consumed int) {
	p.inWord = true
	p.word.WriteString(text)
	p.rest = p.rest[consumed:]
}

func (p *splitter) endWord() {
	if p.inWord {
		p.words = append(p.words, p.word.String())
	}
	p.word.Reset()
	p.inWord = false
}

func (p *splitter) singleQuoted() error {
	end := strings.IndexByte(p.rest[1:], '\'')
	if end < 0 {
		return errors.New("a single quote is never closed")
	}
	text := p.rest[1 : 1+end]
	if strings.IndexByte(text, 0) >= 0 {
		return errors.New("a zero byte cannot be part of an argument")
	}
	p.add(text, end+2)
	return nil
}

// doubleQuoted knows the shell's escapes inside double quotes: a backslash
// goes before $, `, ", another backslash and a line end only.
func (p *splitter) doubleQuoted() error {
	var text strings.Builder
	for n := 1; n < len(p.rest); n++ {
		switch c := p.rest[n]; c {
		case '"':
			p.add(text.String(), n+1)
			return nil
		case '$', '`', 0:
			return fmt.Errorf("%q has a meaning for a shell, and none is used here; put it in single quotes", c)
		case '\\':
			if n+1 < len(p.rest) && strings.IndexByte("$`\"\\", p.rest[n+1]) >= 0 {
				n++
			}
			text.WriteByte(p.rest[n])
		default:
			text.WriteByte(c)
		}
	}
	return errors.New("a double quote is never closed")
}

func (p *splitter) escaped() error {
	if len(p.rest) < 2 || p.rest[1] == '\n' || p.rest[1] == 0 {
		return errors.New("a backslash has nothing after it to quote")
	}
	p.add(p.rest[1:2], 2)
	return nil
}
