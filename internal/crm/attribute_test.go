package crm

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestParseAttribute(t *testing.T) {
	cases := map[string]struct {
		output, value string
		ok            bool
	}{
		"as printed by 2.1.5":   {`name="vote" host="n1" value="1#50331648"` + "\n", "1#50331648", true},
		"deleted":               {`name="vote" host="n1" value=""` + "\n", "", false},
		"another node's":        {`name="vote" host="n10" value="7"` + "\n", "", false},
		"another attribute":     {`name="voter" host="n1" value="7"` + "\n", "", false},
		"among others":          {"name=\"vote\" host=\"n2\" value=\"6\"\nname=\"vote\" host=\"n1\" value=\"7\"\n", "7", true},
		"order does not matter": {`host="n1" value="7" name="vote"`, "7", true},
		"escaped since 2.1.8":   {`name="vote" host="n1" value="a\"b"`, `a"b`, true},
		"cut off":               {`name="vote" host="n1" value="7`, "", false},
		"nothing":               {"", "", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			value, ok := parseAttribute(c.output, "vote")["n1"]
			assert.Equal(t, c.ok, ok)
			assert.Equal(t, c.value, value)
		})
	}
}

// What a tool could not tell is not absent: without a record there is no guard of
// acknowledged commits.
func TestWhatIsAbsent(t *testing.T) {
	for tool, codes := range map[string][]int{
		"attrd_updater": {6, 78, 105}, "crm_attribute": {6, 105}, "cibadmin": {6, 105},
	} {
		for code := range 256 {
			err := fmt.Errorf("asking: %w", &ToolError{Tool: tool, Code: code})
			assert.Equal(t, slices.Contains(codes, code), isAbsent(err), "%s %d", tool, code)
		}
	}
	assert.False(t, isAbsent(errors.New("killed")))
	assert.False(t, isAbsent(nil))
}

func TestParseScore(t *testing.T) {
	for text, want := range map[string]int{
		"1001": 1001, "-1000": -1000, "0": 0, "INFINITY": 1000000, "+INFINITY": 1000000, "-INFINITY": -1000000,
	} {
		got, err := parseScore(text)
		assert.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "1e3", "ten", "99999999999999999999"} {
		_, err := parseScore(text)
		assert.Error(t, err, text)
	}
}

func FuzzParseAttribute(f *testing.F) {
	f.Add(`name="vote" host="n1" value="1#50331648"`)
	f.Add(`name="vote" host="n1" value="a\"b\\"`)
	f.Fuzz(func(t *testing.T, output string) {
		value, ok := parseAttribute(output, "vote")["n1"]
		if !ok {
			assert.Empty(t, value)
		}
	})
}
