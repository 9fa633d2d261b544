package election

import (
	"fmt"
	"strconv"
	"strings"
)

// StandbyNames is a value of synchronous_standby_names, read but not applied to a
// cluster.
type StandbyNames struct {
	Need     int      // how many have to acknowledge; 0 for asynchronous replication
	Priority bool     // FIRST, and the forms without a keyword
	Names    []string // as written; "*" stands for any
}

// ParseSynchronousStandbyNames reads PostgreSQL's setting by PostgreSQL's grammar
// (src/backend/replication/syncrep_gram.y and syncrep_scanner.l, the same from 10 to
// 18, documented with the parameter in "Replication"):
//
//	[FIRST] k (name [, ...])    the k of highest priority, in the order of the list
//	ANY k (name [, ...])        any k
//	name [, ...]                as FIRST 1
//
// A name is an identifier of ASCII letters, digits, _, $ and bytes above 127 that does
// not begin with a digit or $; or digits alone; or * for any; or anything in double
// quotes, a quote doubled. FIRST and ANY are keywords in any case, unless quoted. The
// empty setting turns synchronous replication off.
func ParseSynchronousStandbyNames(setting string) (StandbyNames, error) {
	if setting == "" {
		return StandbyNames{}, nil
	}
	tokens, err := scanNames(setting)
	if err == nil {
		p := nameParser{tokens: tokens}
		var s StandbyNames
		if s, err = p.config(); err == nil {
			return s, nil
		}
	}
	return StandbyNames{}, fmt.Errorf("synchronous_standby_names = %q: %w", clip(setting), err)
}

type tokenKind int

const (
	tokenEnd tokenKind = iota
	tokenName
	tokenNumber
	tokenAny
	tokenFirst
	tokenSign // one of , ( )
)

type nameToken struct {
	kind tokenKind
	text string
}

func (t nameToken) String() string {
	if t.kind == tokenEnd {
		return "its end"
	}
	return strconv.Quote(clip(t.text))
}

func scanNames(s string) (tokens []nameToken, err error) {
	for s != "" {
		var t nameToken
		length := 1
		switch c := s[0]; {
		case strings.IndexByte(" \t\n\r\f\v", c) >= 0:
			s = s[1:]
			continue
		case c == '"':
			t.kind = tokenName
			if t.text, length, err = scanQuoted(s); err != nil {
				return nil, err
			}
		case strings.IndexByte(",()", c) >= 0:
			t = nameToken{tokenSign, s[:1]}
		case c == '*':
			t = nameToken{tokenName, "*"}
		case isDigit(c):
			length = runLength(s, isDigit)
			t = nameToken{tokenNumber, s[:length]}
		case isNameStart(c):
			length = runLength(s, isNamePart)
			t = keywordOrName(s[:length])
		default:
			return nil, fmt.Errorf("unexpected %q; a name with it needs double quotes", c)
		}
		tokens, s = append(tokens, t), s[length:]
	}
	return tokens, nil
}

// scanQuoted reads a quoted name, and the length it has with its quotes.
func scanQuoted(s string) (name string, length int, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != '"' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 == len(s) || s[i+1] != '"' {
			return b.String(), i + 1, nil
		}
		b.WriteByte('"')
		i++
	}
	return "", 0, fmt.Errorf("a quoted name is not ended")
}

func keywordOrName(s string) nameToken {
	switch lower(s) {
	case "any":
		return nameToken{tokenAny, s}
	case "first":
		return nameToken{tokenFirst, s}
	}
	return nameToken{tokenName, s}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isNameStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
}
func isNamePart(c byte) bool { return isNameStart(c) || isDigit(c) || c == '$' }

func all(s string, is func(byte) bool) bool { return runLength(s, is) == len(s) }

func runLength(s string, is func(byte) bool) int {
	n := 0
	for n < len(s) && is(s[n]) {
		n++
	}
	return n
}

// nameParser goes by the rules of the grammar, one method each.
type nameParser struct{ tokens []nameToken }

func (p *nameParser) next() nameToken {
	if len(p.tokens) == 0 {
		return nameToken{}
	}
	t := p.tokens[0]
	p.tokens = p.tokens[1:]
	return t
}

func (p *nameParser) peek(n int) nameToken {
	if n >= len(p.tokens) {
		return nameToken{}
	}
	return p.tokens[n]
}

func (p *nameParser) config() (s StandbyNames, err error) {
	s = StandbyNames{Need: 1, Priority: true}
	first := p.peek(0).kind
	if first == tokenAny || first == tokenFirst {
		p.next()
		s.Priority = first == tokenFirst
	}
	if first == tokenAny || first == tokenFirst || first == tokenNumber && p.peek(1).text == "(" && p.peek(1).kind == tokenSign {
		if s.Need, err = p.number(); err != nil {
			return s, err
		}
		if err = p.sign("("); err != nil {
			return s, err
		}
		if s.Names, err = p.list(); err != nil {
			return s, err
		}
		err = p.sign(")")
	} else {
		s.Names, err = p.list()
	}
	if rest := p.next(); err == nil && rest.kind != tokenEnd {
		err = fmt.Errorf("expected the end, found %s", rest)
	}
	return s, err
}

func (p *nameParser) number() (int, error) {
	t := p.next()
	if t.kind != tokenNumber {
		return 0, fmt.Errorf("expected the number of standbys, found %s", t)
	}
	n, err := strconv.ParseInt(t.text, 10, 32)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("the number of standbys is %s, expected 1 to 2147483647", clip(t.text))
	}
	return int(n), nil
}

func (p *nameParser) sign(want string) error {
	if t := p.next(); t.kind != tokenSign || t.text != want {
		return fmt.Errorf("expected %q, found %s", want, t)
	}
	return nil
}

func (p *nameParser) list() (names []string, err error) {
	for {
		t := p.next()
		if t.kind != tokenName && t.kind != tokenNumber {
			return nil, fmt.Errorf("expected the name of a standby, found %s", t)
		}
		names = append(names, t.text)
		if after := p.peek(0); after.kind != tokenSign || after.text != "," {
			return names, nil
		}
		p.next()
	}
}

// clip shortens what is quoted in an error: the input may be anything.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
