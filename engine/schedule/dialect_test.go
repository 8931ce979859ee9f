package schedule

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What Digdag's dialect means in robfig/cron's syntax.
func TestRewrite(t *testing.T) {
	tests := []struct {
		text string
		want string
	}{
		{"* * * * *", "* * * * *"},
		{"  0\t0  1   1 0 ", "0 0 1 1 0"},
		{"5,,7, 0 * * *", "5,7 0 * * *"},
		{"*/15 */6 */10 */5 */3", "0,15,30,45 0,6,12,18 1,11,21,31 1,6,11 0,3,6"},
		{"5/15 10-20/5 * * *", "5 10,15,20 * * *"},
		{"*/1000 * * * *", "0 * * * *"},
		{"*/99999999999999999999 * * * *", ""},
		{"50-10/5 22-2 * nov-feb fri-mon", "0,5,10,50,55 0,1,2,22,23 * 1,2,11,12 0,1,5,6"},
		{"0 0 28-3 DEC-feb/2 Sat,SUN", "0 0 1,2,3,28,29,30,31 2,12 0,6"},
		{"-5 0 * * -7", "5 0 * * 0"},
		{"+5 0 * * *", "5 0 * * *"},
		{"0 0 * * 5-7", "0 0 * * 0,5,6"},
		{"0 0 * * 5-7/2", "0 0 * * 5"}, // the step counts 5, 6, 7, 0
		{"0 0 * * 0-7", "0 0 * * 0"},
		{"0 0 * * */7", "0 0 * * 0"},
		{"0 0 L * *", "0 0 28-31 * * last"},
		{"0 0 1,l * *", "0 0 1 * *|0 0 28-31 * * last"},
		{"0 0 30-L * *", "0 0 30,31 * *|0 0 28-31 * * last"},
		{"32 0 * * *", "32 0 * * *"},
		{"3-3 0 * * *", "3 0 * * *"},
		{"0 0 * *", ""},
		{"* * * * * *", ""},
		{", * * * *", ""},
		{"/ * * * *", ""},
		{"1/2/3 * * * *", ""},
		{"*/0 * * * *", ""},
		{"*/x * * * *", ""},
		{"*/-1 * * * *", ""},
		{"- * * * *", ""},
		{"1-2-3 * * * *", ""},
		{"1-x * * * *", ""},
		{"x-1 * * * *", ""},
		{"*-5 * * * *", ""},
		{"60 * * * *", ""},
		{"L * * * *", ""},
		{"0 24 * * *", ""},
		{"0 0 0 * *", ""},
		{"0 0 1 0 *", ""},
		{"0 0 1 january *", ""},
		{"0 0 * * jan", ""},
		{"0 0 * * 8", ""},
		{"0 0 ? * 1#2", ""},
		{"0 0 15W * *", ""},
	}
	for _, test := range tests {
		specs, err := rewrite(test.text)
		if test.want == "" {
			if err == nil {
				t.Errorf("%q: got %v, want an error", test.text, specs)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", test.text, err)
			continue
		}
		var got []string
		for _, s := range specs {
			text := strings.Join(s.fields[:], " ")
			if s.last {
				text += " last"
			}
			got = append(got, text)
		}
		if diff := cmp.Diff(test.want, strings.Join(got, "|")); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.text, diff)
		}
	}
}

// Digdag accepts such a pattern and then searches for ever.
func TestPatternsThatNeverMatch(t *testing.T) {
	for _, text := range []string{"0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "0 0 30-31 feb mon", "0 0 * * *|0 0 30 2 *"} {
		if _, err := parsePatterns(text); err == nil || !strings.HasSuffix(err.Error(), "never matches") {
			t.Errorf("%q: got error %v, want that it never matches", text, err)
		}
	}
	for _, text := range []string{"0 0 29 2 mon", "0 0 31 2,3 *", "0 0 30,L 2 *", "|0 0 L 2 *| |"} {
		if ps, err := parsePatterns(text); err != nil || len(ps) != 1 {
			t.Errorf("%q: got %d patterns, %v, want 1", text, len(ps), err)
		}
	}
	for _, text := range []string{"", "|", " | ", strings.Repeat("0 0 * * *|", 101)} {
		if _, err := parsePatterns(text); err == nil || !strings.Contains(err.Error(), "invalid pattern") {
			t.Errorf("%q: got error %v, want invalid pattern", text, err)
		}
	}
}
