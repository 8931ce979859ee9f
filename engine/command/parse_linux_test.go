package command

import "testing"

func TestParseStat(t *testing.T) {
	t.Parallel()
	const tail = " 1 77 77 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 123456 1000 10 18446744073709551615"
	for _, tt := range []struct {
		line string
		want process
		ok   bool
	}{
		{"5 (sh) S" + tail, process{PID: 5, Group: 77, Start: 123456}, true},
		{"5 (a b) (c) Z" + tail, process{PID: 5, Group: 77, Start: 123456, zombie: true}, true},
		{"5 (\n)) R" + tail, process{PID: 5, Group: 77, Start: 123456}, true},
		{"5 (sh) S 1 77", process{}, false},
		{"5 (sh) S 1 x 77 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 123456 1", process{}, false},
		{"5 (sh) S 1 77 77 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 x 1", process{}, false},
		{"", process{}, false},
	} {
		got, err := parseStat(5, []byte(tt.line))
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("%q: got %+v, %v, want %+v", tt.line, got, err, tt.want)
		}
	}
}

func TestParseMarker(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"", "1", "x/1", "1/x", "1/2/3"} {
		if got, ok := parseMarker(value); ok {
			t.Errorf("%q: got %+v, want it refused", value, got)
		}
	}
	want := Survivor{Task: 18446744073709551615, Execution: 2}
	if got, ok := parseMarker("18446744073709551615/2"); !ok || got != want {
		t.Errorf("got %+v, %v, want %+v", got, ok, want)
	}
}
