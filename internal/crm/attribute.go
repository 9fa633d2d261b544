package crm

import "strings"

// parseAttribute finds the values of one attribute in the answer of attrd_updater -Q, by
// node: lines of the form
//
//	name="lsn_location-pgsqld" host="n1" value="1#50331648"
//
// After a deletion the value is empty, and it is left out.
func parseAttribute(output, name string) map[string]string {
	values := map[string]string{}
	for _, line := range strings.Split(output, "\n") {
		fields, ok := parseFields(line)
		if ok && fields["name"] == name && fields["host"] != "" && fields["value"] != "" {
			values[fields["host"]] = fields["value"]
		}
	}
	return values
}

// parseFields reads label="text" pairs. Since 2.1.8 a quotation mark in the text is
// escaped with a backslash; before, nothing was.
func parseFields(line string) (map[string]string, bool) {
	fields := map[string]string{}
	rest := strings.TrimSpace(line)
	for rest != "" {
		label, after, ok := strings.Cut(rest, `="`)
		if !ok {
			return nil, false
		}
		text, tail, ok := quotedText(after)
		if !ok {
			return nil, false
		}
		fields[label] = text
		rest = strings.TrimLeft(tail, " ")
	}
	return fields, len(fields) > 0
}

func quotedText(s string) (text, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == '"':
			return b.String(), s[i+1:], true
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}
