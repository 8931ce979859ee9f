package flow

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tableRow is a row of the table in ARCHITECTURE.md.
var tableRow = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| `([a-z_]+)` \\| ([a-z_`, ]+) \\|")

func TestTableIsTheOneInTheDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, m := range tableRow.FindAllStringSubmatch(string(text), -1) {
		got = append(got, fmt.Sprintf("%s %s %s", m[1], m[2], strings.ReplaceAll(m[3], "`", "")))
	}
	for _, row := range transitions {
		to := make([]string, len(row.to))
		for i, s := range row.to {
			to[i] = s.String()
		}
		want = append(want, fmt.Sprintf("%v %v %s", row.from, row.by, strings.Join(to, ", ")))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ARCHITECTURE.md differs (-code +document):\n%s", diff)
	}
}

// TestEveryTransitionHasAScenario plays all scenarios and looks for rows of the
// table that none of them takes.
func TestEveryTransitionHasAScenario(t *testing.T) {
	taken := map[string]bool{}
	for _, path := range scenarioFiles(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s := newScript(t)
		s.play(string(text))
		for row := range s.taken {
			taken[row] = true
		}
	}
	for _, row := range transitions {
		for _, to := range row.to {
			if way := fmt.Sprintf("%v %v %v", row.from, row.by, to); !taken[way] {
				t.Errorf("no scenario takes a task along %q", way)
			}
		}
	}
}

func TestStatesAndTriggersHaveNames(t *testing.T) {
	var states, triggers []string
	for s := Blocked; s <= Canceled; s++ {
		states = append(states, s.String())
	}
	for b := Opened; b <= Lost; b++ {
		triggers = append(triggers, b.String())
	}
	for _, names := range [][]string{states, triggers} {
		slices.Sort(names)
		if slices.Contains(names, "") || len(slices.Compact(names)) != len(names) {
			t.Errorf("names %q are not all different", names)
		}
	}
	if got, want := TaskState(200).String(), "state 200"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := Trigger(200).String(), "trigger 200"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestFinalAndProgressing pins the columns of language.md 4.2.
func TestFinalAndProgressing(t *testing.T) {
	for s := Blocked; s <= Canceled; s++ {
		final := slices.Contains([]TaskState{GroupError, Success, Error, Canceled}, s)
		progressing := !final && s != Blocked
		failed := s == GroupError || s == Error
		if s.Final() != final || s.Progressing() != progressing || s.Failed() != failed {
			t.Errorf("%v: final %v, progressing %v, failed %v, want %v, %v, %v",
				s, s.Final(), s.Progressing(), s.Failed(), final, progressing, failed)
		}
	}
}

// TestNoTaskLeavesAFinalState and an event that says so is a broken invariant.
func TestNoTaskLeavesAFinalState(t *testing.T) {
	for _, row := range transitions {
		if row.from.Final() {
			t.Errorf("the table has %v leave by %v", row.from, row.by)
		}
	}
	s := newScript(t)
	s.play("deploy\n+w\n  +a\n\nstart w\n\nsucceed +w+a\n")
	a := s.live.Attempt(1)
	defer func() {
		if got := fmt.Sprint(recover()); !strings.Contains(got, "does not take") {
			t.Errorf("panic %q, want one about the table", got)
		}
	}()
	s.live.Apply(&TaskMoved{Attempt: 1, Task: a.blocks[0].tasks[1].ID(), By: Leased, To: Running})
}
