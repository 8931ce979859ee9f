package flow

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestOrderedIsReadFromAnywhere(t *testing.T) {
	var o ordered[*Session]
	all := map[uint64]*Session{}
	for _, id := range []uint64{4, 7, 5, 9, 2, 7} {
		x := &Session{SessionFacts: SessionFacts{ID: id}}
		all[id] = x
		o.add(x)
	}
	o.remove(all[5])
	o.remove(all[5])
	for before, want := range map[uint64]string{
		0: "[9 7 4 2]", 1: "[]", 2: "[]", 5: "[4 2]", 7: "[4 2]", 8: "[7 4 2]", 9: "[7 4 2]", 1 << 40: "[9 7 4 2]",
	} {
		got := []uint64{}
		for x := range o.before(before) {
			got = append(got, x.ID)
		}
		if fmt.Sprint(got) != want {
			t.Errorf("before %d: got %v, want %s", before, got, want)
		}
	}
	for x := range o.before(0) {
		if x.ID != 9 {
			t.Errorf("got %d after the end was asked for", x.ID)
		}
		break
	}
}

// What is listed is what is there, through starts, ends, archives and restarts.
func TestListsFollowTheState(t *testing.T) {
	s := queueOf(t, 5)
	check := func(s *State, want string) {
		t.Helper()
		attempts, sessions := []uint64{}, []uint64{}
		for a := range s.AttemptsBefore(0) {
			attempts = append(attempts, a.ID)
		}
		for x := range s.SessionsBefore(0) {
			sessions = append(sessions, x.ID)
		}
		slices.Reverse(sessions)
		var forward []uint64
		for _, x := range s.Sessions() {
			forward = append(forward, x.ID)
		}
		if fmt.Sprint(attempts) != want || !slices.Equal(sessions, forward) {
			t.Errorf("got the attempts %v of the sessions %v, want %s of %v", attempts, sessions, want, forward)
		}
	}
	check(s, "[5 4 3 2 1]")
	if got, want := s.Active(), 5; got != want {
		t.Errorf("got %d active attempts, want %d", got, want)
	}
	for _, in := range []Input{&Kill{Attempt: 3}, &Archived{Attempt: 3}} {
		if _, err := s.Step(time.Unix(2000, 0), in); err != nil {
			t.Fatal(err)
		}
	}
	check(s, "[5 4 2 1]")
	if got, want := s.Active(), 4; got != want {
		t.Errorf("got %d active attempts after one was killed, want %d", got, want)
	}
}

// queueOf returns a state with attempts of which the first one runs and the
// others wait.
func queueOf(tb testing.TB, n int) *State {
	tb.Helper()
	s := New(Config{Slots: 1, LiveAttempts: 1})
	step := func(in Input) {
		tb.Helper()
		if _, err := s.Step(time.Unix(1000, 0), in); err != nil {
			tb.Fatal(err)
		}
	}
	step(&Deploy{Manifest: &Manifest{Ref: "m", Repo: "r", Projects: []ManifestProject{{Name: "p", Workflows: []ManifestWorkflow{{Name: "w", Timezone: "UTC"}}}}}})
	for i := range n {
		tree := &Tree{Nodes: []Node{{Name: "+w", Parent: -1, Group: true}, {Name: "+a"}}}
		if err := tree.Link(); err != nil {
			tb.Fatal(err)
		}
		step(&Start{Project: "p", Workflow: "w", Tree: tree, UUID: fmt.Sprint(i), Session: time.Unix(int64(i), 0)})
	}
	return s
}
