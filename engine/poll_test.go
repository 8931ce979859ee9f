package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gitdag/engine/dig"
	"gitdag/engine/flow"
	"gitdag/engine/journal/journaltest"
	"gitdag/engine/operator"
	"gitdag/engine/params"
)

// countingJournal counts what it is given.
type countingJournal struct {
	Journal
	records, bytes atomic.Int64
}

func (j *countingJournal) Append(records [][]byte) (uint64, error) {
	for _, r := range records {
		j.records.Add(1)
		j.bytes.Add(int64(len(r)) + 1)
	}
	return j.Journal.Append(records)
}

func again(n int) error { return &operator.Poll{After: time.Minute, State: params.Of("n", n)} }

// row is the first task of the only attempt as readers see it.
func (d *durable) row(t *testing.T, id uint64) (row flow.Row) {
	t.Helper()
	d.e.View(func(s *flow.State) {
		a := s.Attempt(id)
		if a == nil {
			t.Fatalf("attempt %d is gone", id)
		}
		row = a.Record().Tasks[1]
	})
	return row
}

// openPolling starts an engine and an attempt whose task has just asked to be
// run again in a minute.
func openPolling(t *testing.T) (*durable, *countingJournal, uint64) {
	t.Helper()
	j := &countingJournal{}
	d := openDurable(t, journaltest.New(), oneTask, func(o *Options) { j.Journal, o.Journal = o.Journal, j })
	id, err := d.start(1)
	if err != nil {
		t.Fatal(err)
	}
	<-d.script.began
	d.script.end <- again(1)
	synctest.Wait()
	return d, j, id
}

func TestPollThatChangesNothingIsNotJournaled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, j, id := openPolling(t)
		before, start := j.bytes.Load(), time.Now()
		for n := range 3 {
			d.script.end <- again(1)
			if got, want := <-d.script.began, "+w+a 2"; got != want {
				t.Fatalf("began %q, want %q", got, want)
			}
			synctest.Wait()
			row := d.row(t, id)
			if want := start.Add(time.Duration(n+2) * time.Minute); row.State != flow.RetryWaiting || !row.RetryAt.Equal(want.Truncate(time.Millisecond)) {
				t.Errorf("the task is %v until %v, want retry_waiting until %v", row.State, row.RetryAt, want)
			}
		}
		if got := j.bytes.Load() - before; got != 0 {
			t.Errorf("three polls that changed nothing have written %d bytes, want none", got)
		}
		d.script.end <- again(2)
		if got, want := <-d.script.began, "+w+a 2"; got != want {
			t.Errorf("began %q, want %q", got, want)
		}
		synctest.Wait()
		if row := d.row(t, id); row.Execution != 2 || encodedMap(row.OpState) != `{"n":2}` {
			t.Errorf("execution %d left the state %s, want 2 and that of the poll", row.Execution, encodedMap(row.OpState))
		}
		d.script.end <- nil
		if rec := <-d.done; !rec.Succeeded || rec.Tasks[1].Execution != 3 {
			t.Errorf("success %v after %d executions, want true after 3", rec.Succeeded, rec.Tasks[1].Execution)
		}
	})
}

func encodedMap(m *params.Map) string { return string(params.AppendJSON(nil, m)) }

func TestCrashForgetsOnlyPollsThatChangedNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _, id := openPolling(t)
		d.script.end <- again(1)
		<-d.script.began
		synctest.Wait()
		// One process dies between two polls, the next one within a poll.
		after := openDurable(t, d.fs.Kill(), oneTask)
		if got, want := <-after.script.began, "+w+a 2"; got != want {
			t.Fatalf("began %q after the restart, want %q at once: its time has come", got, want)
		}
		last := openDurable(t, after.fs.Kill(), oneTask)
		last.script.end <- nil
		if rec := <-last.done; rec.Attempt.ID != id || !rec.Succeeded || rec.Tasks[1].Execution != 2 {
			t.Errorf("success %v after %d executions, want true after 2", rec.Succeeded, rec.Tasks[1].Execution)
		}
	})
}

func TestKillEndsAPoll(t *testing.T) {
	for _, running := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			d, _, id := openPolling(t)
			if running {
				if got := <-d.script.began; got != "+w+a 2" {
					t.Fatalf("began %q", got)
				}
			}
			start := time.Now()
			if err := d.e.Kill(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			rec := <-d.done
			if rec.Tasks[1].State != flow.Canceled || time.Since(start) > 0 {
				t.Errorf("poll under way %v: the task is %v after %v, want canceled at once", running, rec.Tasks[1].State, time.Since(start))
			}
		})
	}
}

func TestLongPollIsShownAsAnExecution(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _, id := openPolling(t)
		<-d.script.began
		time.Sleep(pollLasts + time.Millisecond)
		synctest.Wait()
		if row := d.row(t, id); row.State != flow.Running || row.Execution != 2 {
			t.Errorf("the task is %v, execution %d, want running, 2", row.State, row.Execution)
		}
		d.script.end <- again(1) // the same state, but there is an execution to end
		synctest.Wait()
		if row := d.row(t, id); row.State != flow.RetryWaiting {
			t.Errorf("the task is %v, want retry_waiting", row.State)
		}
	})
}

func TestStopWaitsForNoTaskThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _, id := openPolling(t)
		start := time.Now()
		d.e.Stop(context.Background())
		if got := time.Since(start); got > 0 {
			t.Errorf("the stop took %v, want none", got)
		}
		after := openDurable(t, d.fs.Kill(), oneTask)
		after.script.end <- nil
		if rec := <-after.done; rec.Attempt.ID != id || !rec.Succeeded {
			t.Errorf("the attempt did not go on after the stop")
		}
	})
}

// The clock stands still: only the end of the other attempt can wake the task.
func TestRequireWakesWithTheEndOfTheOtherAttempt(t *testing.T) {
	stands := time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC)
	d := openDurable(t, journaltest.New(), map[string]string{
		"w.dig": "+a: {require>: other}\n", "other.dig": "+x: {scripted>: x}\n",
	}, func(o *Options) { o.Now = func() time.Time { return stands } })
	id, err := d.start(1)
	if err != nil {
		t.Fatal(err)
	}
	<-d.script.began
	waitFor(t, "the requiring task to wait", func() bool { return d.states(id) == "planned retry_waiting" })
	d.script.end <- nil
	for range 2 {
		if rec := <-d.done; !rec.Succeeded {
			t.Errorf("%s failed", rec.Attempt.Workflow)
		}
	}
}

// deployTwo deploys the rig's directory as two projects.
func (d *durable) deployTwo(t *testing.T) {
	t.Helper()
	p, diags := dig.Load(d.dir, dig.Options{})
	if len(diags.Errors()) > 0 {
		t.Fatal(diags)
	}
	err := d.e.Deploy(t.Context(), &Deployment{Repo: "r", Projects: []Project{
		{Name: "p", Content: p, Revision: "1"}, {Name: "q", Content: p, Revision: "1"},
	}})
	if err != nil {
		t.Fatal(err)
	}
}

func TestRequireReachesOtherProjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := openDurable(t, journaltest.New(), map[string]string{
			"w.dig":     "+a: {require>: other, project_name: q}\n+b: {require>: other, project_id: \"${project}\", session_time: 2020-02-02T00:00:00Z}\n",
			"n.dig":     "+a: {require>: other, project_id: 99}\n",
			"other.dig": "+x: {echo>: \"${session_date} \"}\n",
		})
		d.deployTwo(t)
		var q uint64
		d.e.View(func(s *flow.State) { q = s.ProjectNamed("q").ID })
		rec := d.run("w", params.Of("project", params.Number(fmt.Sprint(q))))
		var other []string
		for ; rec.Attempt.Workflow != "w"; rec = <-d.done {
			other = append(other, rec.Attempt.ProjectName+" "+rec.Session.Time.Format(time.DateOnly))
		}
		if want := []string{"q 2031-04-05", "q 2020-02-02"}; !rec.Succeeded || !slices.Equal(other, want) {
			t.Errorf("success %v after %v, want true after %v", rec.Succeeded, other, want)
		}
		rec = d.run("n", nil)
		if got := encodedMap(rec.Tasks[1].Error); !strings.Contains(got, "Dependent workflow does not exist. Project id: 99, workflow: other") {
			t.Errorf("got the error %s, want that the workflow does not exist", got)
		}
	})
}

// TestRequireStartsNothingTwice stops the machine at every operation on its disk
// between the start of an attempt and its end (operators.md 5.2).
func TestRequireStartsNothingTwice(t *testing.T) {
	for _, c := range []requireCase{{"none", false, 1}, {"all", false, 1}, {"all", true, 2}, {"failed", true, 1}} {
		n := 1
		for went := false; !went; n++ {
			synctest.Test(t, func(t *testing.T) { went = c.crashed(t, n) })
		}
		if n < 5 {
			t.Errorf("%+v: all was over after %d operations", c, n)
		}
	}
}

// requireCase is how a task asks for a session that another one may have run,
// and how many attempts there are in the end.
type requireCase struct {
	rerun string
	there bool
	want  int
}

// crashed stops the machine at an operation. It is true if all was over before.
func (c requireCase) crashed(t *testing.T, n int) (went bool) {
	t.Helper()
	files := map[string]string{
		"w.dig": "+a: {require>: other, rerun_on: " + c.rerun + "}\n", "other.dig": "+x: {echo>: x}\n",
	}
	d := openDurable(t, journaltest.New(), files)
	session := StartRequest{Project: "p", Workflow: "other", Session: time.Date(2031, 4, 1, 0, 0, 0, 0, time.UTC)}
	if c.there {
		if _, err := d.e.StartAttempt(t.Context(), session); err != nil {
			t.Fatal(err)
		}
		<-d.done
		synctest.Wait()
	}
	d.fs.FailAt(n, journaltest.ErrCrash)
	_, err := d.start(1)
	for err == nil && d.e.Err() == nil && d.count("w") == 0 {
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
	}
	if went = d.count("w") == 1; !went {
		after := openDurable(t, d.fs.Kill(), files, func(o *Options) { o.History = d })
		if _, err := after.start(1); err != nil && !errors.As(err, new(*flow.Conflict)) {
			t.Fatalf("stopped at operation %d: start: %v", n, err)
		}
	}
	time.Sleep(time.Minute)
	synctest.Wait()
	if w, other := d.count("w"), d.count("other"); w != 1 || other != c.want {
		t.Fatalf("%+v, stopped at operation %d: %d attempts, of the other workflow %d, want 1 and %d", c, n, w, other, c.want)
	}
	return went
}
