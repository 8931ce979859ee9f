package flow

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the expected output of the scenarios")

const scenarioDir = "../../testdata/scenarios"

// TestScenarios plays each file of testdata/scenarios. A file is one rule of
// the language: commands, the lines that belong to them, and after `----` all
// that the core answered. `go test ./engine/flow -run Scenarios -update`
// writes the answers anew.
func TestScenarios(t *testing.T) {
	for _, path := range scenarioFiles(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := newScript(t).play(string(text))
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(text), got); diff != "" {
				t.Errorf("the transcript differs (-want +got):\n%s", diff)
			}
		})
	}
}

// ruleLine is how a scenario opens: with the rules that it shows.
var ruleLine = regexp.MustCompile(`^# (([LQ]\d+|(language|server)\.md \d+(\.\d+)*|compat\.md|DESIGN \d)(, |: ))+\S`)

func TestScenariosNameTheirRules(t *testing.T) {
	for _, path := range scenarioFiles(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(text), "\n")
		if !ruleLine.MatchString(first) {
			t.Errorf("%s opens with %q, want the rules that it shows", filepath.Base(path), first)
		}
	}
}

func scenarioFiles(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(scenarioDir + "/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	return paths
}

// script runs a scenario. Every event goes through its encoded form to a
// follower, and after every input the follower and a decoded snapshot must
// equal the state that decided.
type script struct {
	t       testing.TB
	start   time.Time
	now     time.Time
	config  Config
	live    *State
	replica *State
	objects *memObjects

	leases  map[string]Lease // of the latest execution of a full name
	asked   []Effect         // questions about schedules that are not answered yet
	trees   map[string]*Tree
	every   map[string]time.Duration
	wake    time.Time
	taken   map[string]bool // rows of the transition table, as "from trigger to"
	out     strings.Builder
	deploys int
}

func newScript(t testing.TB) *script {
	start := time.Date(2031, 4, 5, 0, 0, 0, 0, time.UTC)
	return &script{
		t: t, start: start, now: start.Add(10 * time.Minute), live: New(Config{}), replica: New(Config{}), objects: newMemObjects(),
		leases: map[string]Lease{}, trees: map[string]*Tree{}, every: map[string]time.Duration{}, taken: map[string]bool{},
	}
}

// play returns the text with the answers that the commands get.
func (s *script) play(text string) string {
	var b strings.Builder
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i := 0; i < len(lines); {
		line := lines[i]
		i++
		b.WriteString(line + "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		var body []string
		for ; i < len(lines) && lines[i] != "----" && lines[i] != ""; i++ {
			b.WriteString(lines[i] + "\n")
			body = append(body, lines[i])
		}
		for i < len(lines) && lines[i] != "" {
			i++
		}
		s.out.Reset()
		if err := s.command(line, body); err != nil {
			fmt.Fprintf(&s.out, "refused: %v\n", err)
		}
		b.WriteString("----\n" + s.out.String())
	}
	return b.String()
}

func (s *script) printf(format string, args ...any) { fmt.Fprintf(&s.out, format+"\n", args...) }

// step puts an input to the core and prints what it leads to.
func (s *script) step(in Input) error {
	before := s.encode(s.live)
	out, err := s.live.Step(s.now, in)
	if err != nil {
		if !bytes.Equal(before, s.encode(s.live)) {
			s.t.Errorf("the refused input %T changed the state", in)
		}
		return err
	}
	for _, e := range out.Events {
		line, err := EncodeEvent(e)
		if err != nil {
			s.t.Fatalf("encode %T: %v", e, err)
		}
		again, err := DecodeEvent(line, s.objects)
		if err != nil {
			s.t.Fatalf("decode %s: %v", line, err)
		}
		if m, ok := again.(*TaskMoved); ok {
			from := s.replica.Attempt(m.Attempt).task(m.Task).State()
			s.taken[fmt.Sprintf("%v %v %v", from, m.By, m.To)] = true
		}
		s.printEvent(again)
	}
	for _, e := range out.Effects {
		s.perform(e)
	}
	for _, w := range out.Armed {
		s.replica.Arm(w)
		s.printf("%s is polled again at %s", s.name(w.Attempt, s.live.Attempt(w.Attempt).task(w.Task).FullName()), s.clock(w.Due))
	}
	if !out.Wake.Equal(s.wake) && !out.Wake.IsZero() {
		s.printf("wake at %s", s.clock(out.Wake))
	}
	s.wake = out.Wake
	s.compare()
	return nil
}

// perform prints an effect and keeps what has to be answered.
func (s *script) perform(e Effect) {
	switch e := e.(type) {
	case *Dispatch:
		s.leases[s.name(e.Lease.Attempt, e.FullName)] = e.Lease
	case *TickDue, *CatchUpDue:
		s.asked = append(s.asked, e)
	}
	s.printEffect(e)
}

func (s *script) encode(state *State) []byte {
	s.t.Helper()
	var b bytes.Buffer
	if err := state.Encode(&b); err != nil {
		s.t.Fatal(err)
	}
	return b.Bytes()
}

func (s *script) compare() {
	s.t.Helper()
	want := s.encode(s.live)
	if diff := cmp.Diff(string(want), string(s.encode(s.replica))); diff != "" {
		s.t.Fatalf("the follower differs (-live +follower):\n%s", diff)
	}
	if diff := cmp.Diff(string(want), string(s.encode(s.reopened()))); diff != "" {
		s.t.Fatalf("the snapshot differs (-live +decoded):\n%s", diff)
	}
}

// reopened is the follower as a new process reads it.
func (s *script) reopened() *State {
	s.t.Helper()
	state, err := Decode(bytes.NewReader(s.encode(s.replica)), s.config, s.objects)
	if err != nil {
		s.t.Fatal(err)
	}
	return state
}
