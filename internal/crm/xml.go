package crm

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/beevik/etree"
)

// rootOf parses a document and expects a root of that name.
func rootOf(text, name string) (*etree.Element, error) {
	doc := etree.NewDocument()
	if err := doc.ReadFromString(text); err != nil {
		return nil, fmt.Errorf("its XML cannot be read: %w", err)
	}
	root := doc.Root()
	if root == nil || root.Tag != name {
		found := "nothing"
		if root != nil {
			found = "<" + clip(root.Tag) + ">"
		}
		return nil, fmt.Errorf("its XML begins with %s, expected <%s>", found, name)
	}
	return root, nil
}

func attr(e *etree.Element, name string) string { return e.SelectAttrValue(name, "") }

// number is zero for what is none.
func number(s string) int {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		return 0
	}
	return int(n)
}

// seconds is a moment in Unix time; zero for what is none.
func seconds(s string) time.Time {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || n > 1<<40 {
		return time.Time{}
	}
	return time.Unix(n, 0)
}

// moments are the forms in which Pacemaker's releases print a time: with a zone, or as
// ctime(3) in this machine's own one.
var moments = []string{"2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 Z07:00", time.ANSIC}

// moment is zero for what cannot be read.
func moment(s string) time.Time {
	for _, layout := range moments {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t
		}
	}
	return time.Time{}
}

// again takes back the escaping that releases such as 2.1.5 do twice.
func again(s string) string { return entities.Replace(s) }

var entities = strings.NewReplacer("&quot;", `"`, "&apos;", "'", "&lt;", "<", "&gt;", ">", "&amp;", "&")

// clip shortens what is quoted in an error: the input may be anything.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
