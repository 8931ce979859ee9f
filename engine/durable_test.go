package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"gitdag/engine/flow"
	"gitdag/engine/journal"
	"gitdag/engine/journal/journaltest"
	"gitdag/engine/operator"
	"gitdag/engine/params"
)

// scripted is an operator whose tasks end when the test says so.
type scripted struct {
	began chan string
	end   chan error
}

func newScripted() *scripted {
	return &scripted{began: make(chan string, 100), end: make(chan error, 100)}
}

func (s *scripted) Run(ctx context.Context, t *operator.Task) (*operator.Result, error) {
	s.began <- fmt.Sprintf("%s %d", t.FullName, t.Execution)
	select {
	case err := <-s.end:
		return nil, err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// durable is a rig on a journal in a file system of the test's.
type durable struct {
	*rig
	fs      *journaltest.FS
	journal *journal.Journal
	script  *scripted
}

var oneTask = map[string]string{"w.dig": "+a:\n  scripted>: x\n"}

// openDurable recovers an engine from a file system, and deploys if it is new.
func openDurable(t *testing.T, fs *journaltest.FS, files map[string]string, adjust ...func(*Options)) *durable {
	t.Helper()
	j, found, err := journal.Open(fs, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	store, err := journal.OpenObjects(fs)
	if err != nil {
		t.Fatal(err)
	}
	config := flow.Config{Slots: 4}
	states := [2]*flow.State{}
	for i := range states {
		s := flow.New(config)
		if found.SnapshotSeq > 0 {
			r, _, err := found.OpenSnapshot()
			if err != nil {
				t.Fatal(err)
			}
			if s, err = flow.Decode(r, config, Objects(store)); err != nil {
				t.Fatal(err)
			}
			r.Close()
		}
		err := found.Replay(func(_ uint64, record []byte) error {
			e, err := flow.DecodeEvent(record, Objects(store))
			if err == nil {
				s.Apply(e)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		states[i] = s
	}
	d := &durable{fs: fs, journal: j, script: newScripted()}
	ops := operator.Builtin()
	ops["scripted"] = operator.Entry{Operator: d.script}
	ops["big"] = operator.Entry{Operator: bigResult{}}
	d.rig = startRig(t, files, func(o *Options) {
		o.Config, o.State, o.Follower, o.Journal, o.Objects = config, states[0], states[1], j, store
		o.Operators = operator.NewRegistry(ops)
		for _, f := range adjust {
			f(o)
		}
	})
	if found.Last == 0 {
		d.deploy()
	}
	return d
}

func (d *durable) start(session int) (uint64, error) {
	return d.e.StartAttempt(context.Background(), StartRequest{
		Project: "p", Workflow: "w", Session: time.Date(2031, 4, session, 0, 0, 0, 0, time.UTC),
	})
}

func (d *durable) states(attempt uint64) string {
	var names []string
	d.e.View(func(s *flow.State) {
		if a := s.Attempt(attempt); a != nil {
			for t := range a.Tasks {
				names = append(names, t.State().String())
			}
		}
	})
	return strings.Join(names, " ")
}

func TestKilledEngineRunsTheTaskAgain(t *testing.T) {
	d := openDurable(t, journaltest.New(), oneTask)
	id, err := d.start(1)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := <-d.script.began, "+w+a 1"; got != want {
		t.Fatalf("began %q, want %q", got, want)
	}
	after := openDurable(t, d.fs.Kill(), oneTask)
	if got, want := <-after.script.began, "+w+a 2"; got != want {
		t.Fatalf("began %q after the restart, want %q", got, want)
	}
	after.script.end <- nil
	rec := <-after.done
	if rec.Attempt.ID != id || !rec.Succeeded {
		t.Errorf("attempt %d ended with success %v, want %d and true", rec.Attempt.ID, rec.Succeeded, id)
	}
}

func TestPowerCutLosesNothingThatWasAnswered(t *testing.T) {
	for _, cut := range journaltest.Cuts(3) {
		t.Run(cut.String(), func(t *testing.T) {
			d := openDurable(t, journaltest.New(), oneTask)
			id, err := d.start(1)
			if err != nil {
				t.Fatal(err)
			}
			after := openDurable(t, d.fs.Crash(cut), oneTask)
			<-after.script.began
			if got := after.states(id); got != "planned running" {
				t.Errorf("tasks are %q after the power cut, want planned running", got)
			}
			if _, err := after.start(1); !errors.As(err, new(*flow.Conflict)) {
				t.Errorf("second start: %v, want a conflict", err)
			}
		})
	}
}

func TestFullDiskRefusesAndGoesOn(t *testing.T) {
	d := openDurable(t, journaltest.New(), oneTask)
	id, err := d.start(1)
	if err != nil {
		t.Fatal(err)
	}
	<-d.script.began
	full := make(chan struct{})
	d.fs.Hook(func(op journaltest.Op) error {
		if op.Kind != "write" {
			return nil
		}
		select {
		case <-full:
			return nil
		default:
			return syscall.ENOSPC
		}
	})
	d.script.end <- nil // its result meets the full disk
	waitFor(t, "the engine to say that the disk is full", d.e.Full)
	if err := d.e.Kill(context.Background(), id); !errors.Is(err, ErrNoSpace) {
		t.Errorf("kill on a full disk: %v, want %v", err, ErrNoSpace)
	}
	if got := d.states(id); got != "planned running" {
		t.Errorf("readers see %q, want what is durable: planned running", got)
	}
	close(full)
	if rec := <-d.done; !rec.Succeeded {
		t.Error("the result that met the full disk was lost")
	}
}

func TestFailedSyncEndsTheEngine(t *testing.T) {
	d := openDurable(t, journaltest.New(), oneTask)
	d.fs.Hook(func(op journaltest.Op) error {
		if op.Kind == "sync" && strings.HasPrefix(op.Name, "journal/") {
			return syscall.EIO
		}
		return nil
	})
	if _, err := d.start(1); err == nil {
		t.Error("a start whose batch could not be synced was acknowledged")
	}
	<-d.e.Done()
	if err := d.e.Err(); !errors.Is(err, journal.ErrFatal) {
		t.Errorf("engine ended with %v, want %v", err, journal.ErrFatal)
	}
}

func TestStopLetsTasksEndAndEndsTheRest(t *testing.T) {
	d := openDurable(t, journaltest.New(), oneTask)
	id, err := d.start(1)
	if err != nil {
		t.Fatal(err)
	}
	<-d.script.began
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // nothing to wait for
	d.e.Stop(ctx)
	if got := d.states(id); got != "planned running" {
		t.Errorf("tasks are %q after the stop, want planned running: an end by us is no result", got)
	}
	if len(d.alerts) > 0 {
		t.Errorf("the stop raised an alert: %+v", <-d.alerts)
	}
	if _, err := d.start(2); !errors.Is(err, ErrStopped) {
		t.Errorf("start after the stop: %v, want %v", err, ErrStopped)
	}
	after := openDurable(t, d.fs.Kill(), oneTask)
	if got, want := <-after.script.began, "+w+a 2"; got != want {
		t.Errorf("began %q after the restart, want %q", got, want)
	}
	after.script.end <- nil
	<-after.done
}

func TestKillEndsARunningTask(t *testing.T) {
	d := openDurable(t, journaltest.New(), oneTask)
	id, err := d.start(1)
	if err != nil {
		t.Fatal(err)
	}
	<-d.script.began
	if err := d.e.Kill(context.Background(), id); err != nil {
		t.Fatal(err)
	}
	rec := <-d.done
	if !rec.Killed || rec.Succeeded || rec.Tasks[1].State != flow.Canceled {
		t.Errorf("killed %v, succeeded %v, task %v; want true, false, canceled", rec.Killed, rec.Succeeded, rec.Tasks[1].State)
	}
	if err := d.e.Kill(context.Background(), id); err == nil {
		t.Error("killing an attempt that is over is no error")
	}
}

func TestSnapshotTakesOverFromTheLog(t *testing.T) {
	fs := journaltest.New()
	j, _, err := journal.Open(fs, journal.Options{SnapshotBytes: 1, SegmentBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	d := openDurable(t, fs, map[string]string{"w.dig": "+a: {echo>: hi}\n"})
	for day := 1; day <= 3; day++ {
		if _, err := d.start(day); err != nil {
			t.Fatal(err)
		}
		if rec := <-d.done; !rec.Succeeded {
			t.Fatalf("attempt %d failed", rec.Attempt.ID)
		}
	}
	d.e.Stop(context.Background())
	var state strings.Builder
	d.e.View(func(s *flow.State) { err = s.Encode(&state) })
	if err != nil {
		t.Fatal(err)
	}
	if err := d.journal.Snapshot(d.journal.Last(), func(w io.Writer) error {
		_, err := w.Write([]byte(state.String()))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	after := openDurable(t, fs.Kill(), nil)
	if got := after.e.state.Last().Attempt; got != 3 {
		t.Errorf("the last attempt is %d after a start from the snapshot, want 3", got)
	}
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// bigResult is an operator whose subtasks are too many for an event.
type bigResult struct{}

func (bigResult) Run(context.Context, *operator.Task) (*operator.Result, error) {
	sub := params.NewMap(100)
	for i := range 100 {
		sub.Set(fmt.Sprintf("+t%d", i), params.Of("echo>", "a text that makes the tree large"))
	}
	return &operator.Result{Subtasks: sub}, nil
}

// A result that names an object waits for space like any other.
func TestFullDiskKeepsALargeResult(t *testing.T) {
	d := openDurable(t, journaltest.New(), map[string]string{"w.dig": "+a:\n  scripted>: x\n+b:\n  big>: x\n"})
	if _, err := d.start(1); err != nil {
		t.Fatal(err)
	}
	<-d.script.began
	full, met := make(chan struct{}), make(chan struct{}, 100)
	d.fs.Hook(func(op journaltest.Op) error {
		if op.Kind != "write" || !strings.HasPrefix(op.Name, "objects/") {
			return nil
		}
		select {
		case <-full:
			return nil
		default:
			met <- struct{}{}
			return syscall.ENOSPC
		}
	})
	d.script.end <- nil
	<-met
	close(full)
	if rec := <-d.done; !rec.Succeeded {
		t.Error("the result that met the full disk was lost")
	}
}

// A stop does not wait for space.
func TestStopOnAFullDisk(t *testing.T) {
	d := openDurable(t, journaltest.New(), oneTask)
	id, err := d.start(1)
	if err != nil {
		t.Fatal(err)
	}
	<-d.script.began
	d.fs.Hook(func(op journaltest.Op) error {
		if op.Kind == "write" {
			return syscall.ENOSPC
		}
		return nil
	})
	d.script.end <- nil
	waitFor(t, "the engine to say that the disk is full", d.e.Full)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	d.e.Stop(ctx)
	after := openDurable(t, d.fs.Kill(), oneTask)
	if got, want := <-after.script.began, "+w+a 2"; got != want {
		t.Errorf("began %q after the restart, want %q", got, want)
	}
	after.script.end <- nil
	if rec := <-after.done; rec.Attempt.ID != id || !rec.Succeeded {
		t.Errorf("attempt %d ended with success %v, want %d and true", rec.Attempt.ID, rec.Succeeded, id)
	}
}

// fullWorkspaces has no space until the test says so.
type fullWorkspaces struct {
	*rig
	tried chan struct{}
	space chan struct{}
}

func (w *fullWorkspaces) Make(attempt uint64, checkout string) (string, error) {
	select {
	case <-w.space:
		return w.rig.Make(attempt, checkout)
	default:
		w.tried <- struct{}{}
		return "", fmt.Errorf("copy: %w", syscall.ENOSPC)
	}
}

func TestTaskWaitsForSpaceForItsWorkspace(t *testing.T) {
	w := &fullWorkspaces{tried: make(chan struct{}, 10), space: make(chan struct{})}
	d := openDurable(t, journaltest.New(), map[string]string{"w.dig": "+a: {sh>: \"true\"}\n"}, func(o *Options) {
		w.rig, o.Workspaces = o.Workspaces.(*rig), w
	})
	if _, err := d.start(1); err != nil {
		t.Fatal(err)
	}
	<-w.tried
	close(w.space)
	if rec := <-d.done; !rec.Succeeded {
		t.Errorf("the task failed on the full disk: %v", rec.Tasks[1].Error)
	}
}
