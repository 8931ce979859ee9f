package flow

import (
	"fmt"
	"testing"
	"time"
)

// oneWorkflow is a state with a workflow of one task that has a schedule, and
// its tree.
func oneWorkflow(t testing.TB, config Config) (*State, *Tree) {
	t.Helper()
	s := New(config)
	m := onePush("p", "r1", 1, 1)
	m.Projects[0].Workflows[0].Schedule = &ManifestSchedule{Hash: "h", SkipOvertime: true, First: TickFacts{at, at}}
	deployed(t, s, m)
	return s, wideTree(1, Parallel{})
}

func started(t testing.TB, s *State, tree *Tree, n int) {
	t.Helper()
	for range n {
		id := s.Last().Attempt + 1
		in := &Start{Project: "p", Workflow: "w00", Tree: tree, UUID: "u", Session: at.Add(-time.Duration(id) * time.Second)}
		if _, err := s.Step(at, in); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAttemptsWaitByDefault(t *testing.T) {
	s, tree := oneWorkflow(t, Config{Slots: 1})
	started(t, s, tree, DefaultAttempts+1)
	for id, want := range map[uint64]bool{1: false, DefaultAttempts: false, DefaultAttempts + 1: true} {
		if got := s.Attempt(id).Waiting; got != want {
			t.Errorf("attempt %d waits: %v, want %v", id, got, want)
		}
	}
}

// A crash between the events of a kill leaves an attempt that is killed and
// waits: it is over with the next start.
func TestBootEndsAKilledAttemptThatWaits(t *testing.T) {
	s, tree := oneWorkflow(t, Config{LiveAttempts: 1})
	started(t, s, tree, 2)
	s.Apply(&AttemptKilled{At: stampOf(at), Attempt: 2})
	out, err := s.Step(at, &Boot{})
	if err != nil {
		t.Fatal(err)
	}
	if a := s.Attempt(2); !a.Done || a.Succeeded || a.Waiting {
		t.Errorf("attempt 2 is over: %v, succeeded %v, waits %v; want true, false, false", a.Done, a.Succeeded, a.Waiting)
	}
	if len(out.Events) == 0 {
		t.Error("the boot decided nothing")
	}
}

func TestMoreIsLeftOutThanABackfillTakes(t *testing.T) {
	p := &Project{Name: "two words"}
	tokyo := time.FixedZone("", 9*3600)
	got := leftOut(&Schedule{Project: p, Workflow: "it's"}, &TicksMissed{Skipped: MaxBackfill + 5, From: at.In(tokyo)})
	want := `1005 older missed runs were left out; run the first 1000 with: gitdag backfill 'two words' 'it'\''s' --from '2031-04-05 10:02:03' --count 1000`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// benchmarkStep measures an input among many attempts that are not over, or
// alerts that are not sent: it is to cost the same for any number.
func benchmarkStep(b *testing.B, attempts int, step func(s *State, tree *Tree)) {
	b.Helper()
	s, tree := oneWorkflow(b, Config{Slots: 1, LiveAttempts: attempts + 1})
	started(b, s, tree, attempts)
	for b.Loop() {
		step(s, tree)
	}
}

// BenchmarkLateTick starts no attempt because another one runs.
func BenchmarkLateTick(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			benchmarkStep(b, n, func(s *State, tree *Tree) {
				if _, err := s.Step(at, &Tick{}); err != nil {
					b.Fatal(err)
				}
				_, err := s.Step(at, &TickReady{Schedule: 1, Session: at, Tree: tree, UUID: "u", Next: TickFacts{at, at}})
				if err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

// BenchmarkAlert raises an alert behind many of its incident.
func BenchmarkAlert(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := New(Config{})
			report := &Report{Alert: Alert{Kind: AlertMessage, Incident: "i"}}
			for range n {
				if _, err := s.Step(at, report); err != nil {
					b.Fatal(err)
				}
			}
			first := uint64(1)
			for b.Loop() {
				if _, err := s.Step(at, report); err != nil {
					b.Fatal(err)
				}
				if _, err := s.Step(at, &AlertSent{ID: first}); err != nil {
					b.Fatal(err)
				}
				first++
			}
		})
	}
}
