package local

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseSecrets(t *testing.T) {
	got, err := ParseSecrets([]byte("pg.password: &p hunter2\noctal: 0123\nflag: true\nempty: ''\nblock: |\n  two\n  lines\nagain: *p\nflag: {\n"))
	if err == nil {
		t.Errorf("bad YAML: got %v, want an error", got)
	}
	got, err = ParseSecrets([]byte("pg.password: &p hunter2\noctal: 0123\nflag: true\nempty: ''\nblock: |\n  two\n  lines\nagain: *p\nflag: twice\n"))
	want := []Secret{{"pg.password", "hunter2"}, {"octal", "0123"}, {"flag", "true"}, {"empty", ""}, {"block", "two\nlines\n"}, {"again", "hunter2"}, {"flag", "twice"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for text, want := range map[string]string{
		"": "must be a mapping", "text": "must be a mapping", "- a": "must be a mapping",
		"a: b\nc: [d]": "line 2: the value of c must be a text", "a:": "line 1: the value of a must be a text", "{a: {b: c}}": "line 1: the value of a",
		"a: &x {b: c}\nd: *x": "line 1: the value of a", "a: b: c": "yaml: ",
	} {
		if got, err := ParseSecrets([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v, want %q", text, got, err, want)
		}
	}
}
