package flow

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"gitdag/engine/params"
)

// TestSimulation runs random deployments, graphs, results, clocks and crashes,
// and checks after every input what must always hold; see [world.check].
// GITDAG_SEED repeats one run. With GITDAG_SOAK set to a duration it goes on for
// so long, with seeds from GITDAG_SEED on, or from the clock's.
func TestSimulation(t *testing.T) {
	seed, given := uint64(0), os.Getenv("GITDAG_SEED")
	if given != "" {
		if _, err := fmt.Sscan(given, &seed); err != nil {
			t.Fatal(err)
		}
	}
	if text := os.Getenv("GITDAG_SOAK"); text != "" {
		if given == "" {
			seed = uint64(time.Now().Unix())
		}
		soak(t, text, seed)
		return
	}
	if given != "" {
		simulate(t, seed)
		return
	}
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { simulate(t, seed) })
	}
}

func soak(t *testing.T, text string, seed uint64) {
	length, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	end, runs := time.Now().Add(length), 0
	t.Logf("seeds from %d on", seed)
	for ; time.Now().Before(end) && !t.Failed(); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { simulate(t, seed) })
		runs++
	}
	t.Logf("%d runs", runs)
}

// simulate lets a world go on for a while, then takes its projects away and
// waits until nothing is left to do.
func simulate(t *testing.T, seed uint64) {
	w := newWorld(t, seed)
	w.deploy()
	for range 100 + w.rng.IntN(200) {
		w.act()
	}
	w.closing = true
	w.live.Configure(w.config)
	w.must(&Deploy{Manifest: w.manifest(nil)})
	if p := w.live.ProjectNamed("q"); p != nil {
		w.withdraw(p)
	}
	for i := 0; len(w.live.attempts) > 0 || len(w.owed) > 0; i++ {
		if i > 20000 {
			t.Fatalf("seed %d has not settled:\n%s", seed, encode(t, w.live))
		}
		w.act()
	}
	for key, n := range w.settled {
		if n != 1 {
			t.Errorf("seed %d: attempt %d was over %d times", seed, key, n)
		}
	}
	if got, want := len(w.settled), int(w.live.last.Attempt); got != want {
		t.Errorf("seed %d: %d attempts were over, want %d", seed, got, want)
	}
}

// world is a state with a follower, and all that surrounds them made up at
// random.
type world struct {
	t       *testing.T
	rng     *rand.Rand
	now     time.Time
	live    *State
	replica *State
	objects *memObjects
	config  Config
	closing bool
	owed    map[EffectKey]Effect
	history map[sessionKey]*Past // of what was archived

	failed     *Record // the last attempt that failed, and its tree
	failedTree *Tree

	final   map[uint64]TaskState
	leases  map[Lease]bool
	ticks   map[string]bool // started, as schedule and session
	settled map[uint64]int
}

func newWorld(t *testing.T, seed uint64) *world {
	rng := rand.New(rand.NewPCG(seed, 1))
	config := Config{
		Slots: rng.IntN(6), TasksPerAttempt: 300, CatchUpLimit: 3, LiveAttempts: 1 + rng.IntN(9),
		MaxAttempts: rng.IntN(2) * (5 + rng.IntN(9)), AttemptTTL: time.Duration(rng.IntN(2)*(20+rng.IntN(60))) * time.Second,
	}
	return &world{
		t: t, rng: rng, now: time.Date(2031, 4, 5, 0, 0, 0, 0, time.UTC),
		live: New(config), replica: New(config), objects: newMemObjects(), config: config,
		owed: map[EffectKey]Effect{}, history: map[sessionKey]*Past{}, final: map[uint64]TaskState{}, leases: map[Lease]bool{},
		ticks: map[string]bool{}, settled: map[uint64]int{},
	}
}

func (w *world) must(in Input) {
	w.t.Helper()
	if err := w.step(in); err != nil {
		w.t.Fatalf("%T: %v", in, err)
	}
}

// step puts an input to the state, hands the events to the follower, and keeps
// what is owed.
func (w *world) step(in Input) error {
	w.t.Helper()
	before := encode(w.t, w.live)
	out, err := w.live.Step(w.now, in)
	if err != nil {
		if !bytes.Equal(before, encode(w.t, w.live)) {
			w.t.Fatalf("the refused input %T changed the state", in)
		}
		return err
	}
	for _, e := range out.Events {
		line, err := EncodeEvent(e)
		if err != nil {
			w.t.Fatalf("encode %T: %v", e, err)
		}
		again, err := DecodeEvent(line, w.objects)
		if err != nil {
			w.t.Fatalf("decode %s: %v", line, err)
		}
		w.replica.Apply(again)
		w.observe(e)
	}
	for _, a := range out.Armed {
		w.replica.Arm(a)
	}
	for _, e := range out.Effects {
		w.owed[e.Key()] = e
		if d, ok := e.(*Dispatch); ok {
			if w.leases[d.Lease] {
				w.t.Fatalf("lease %v was given out twice", d.Lease)
			}
			w.leases[d.Lease] = true
		}
		if d, ok := e.(*Deliver); ok {
			w.checkOrder(d)
		}
	}
	w.check()
	w.checkWake(out.Wake)
	return nil
}

// observe notes what may happen once.
func (w *world) observe(e Event) {
	w.t.Helper()
	switch e := e.(type) {
	case *AttemptBegun:
		w.checkRoom()
	case *AttemptStarted:
		if e.Base != 0 {
			w.checkRoom()
		}
		if e.Attempt.Scheduled == 0 {
			return
		}
		tick := fmt.Sprintf("%d %s", e.Attempt.Scheduled, e.Session.Time)
		if w.ticks[tick] {
			w.t.Fatalf("the tick %s started two attempts", tick)
		}
		w.ticks[tick] = true
	case *AttemptSettled:
		w.settled[e.Attempt]++
	}
}

func encode(t *testing.T, s *State) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := s.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// check compares the live state with its replay and its snapshot, and looks at
// every task.
func (w *world) check() {
	w.t.Helper()
	want := encode(w.t, w.live)
	if got := encode(w.t, w.replica); !bytes.Equal(got, want) {
		w.t.Fatalf("the replayed state differs:\n%s\nlive:\n%s", got, want)
	}
	decoded, err := Decode(bytes.NewReader(want), w.config, w.objects)
	if err != nil {
		w.t.Fatal(err)
	}
	if got := encode(w.t, decoded); !bytes.Equal(got, want) {
		w.t.Fatalf("the decoded state differs:\n%s\nlive:\n%s", got, want)
	}
	w.checkCounts(decoded)
	caughtUp, running := map[uint64]int{}, 0
	for _, a := range w.live.Attempts() {
		if a.CaughtUp && !a.Done {
			caughtUp[a.Scheduled]++
		}
		other, progressing := decoded.Attempt(a.ID), a.progressing()
		for task := range a.Tasks {
			w.checkTask(a, task, other.task(task.ID()), progressing[task])
			if task.state == Running || task.pollIs(pollRuns) {
				running++
			}
		}
	}
	for id, n := range caughtUp {
		if n > 1 {
			w.t.Fatalf("%d missed ticks of schedule %d run at a time", n, id)
		}
	}
	if w.live.running != running || w.config.Slots > 0 && running > w.config.Slots {
		w.t.Fatalf("%d tasks run, counted as %d, on %d slots", running, w.live.running, w.config.Slots)
	}
}

// progressing counts the children that can move, the slow way.
func (a *Attempt) progressing() map[*Task]int {
	counts := map[*Task]int{}
	for t := range a.Tasks {
		if p := t.Parent(); p != nil && t.state.Progressing() {
			counts[p]++
		}
	}
	return counts
}

func (w *world) checkTask(a *Attempt, t, other *Task, progressing int) {
	w.t.Helper()
	if was, ok := w.final[t.ID()]; ok && was != t.state {
		w.t.Fatalf("task %d left the final state %v for %v", t.ID(), was, t.state)
	}
	if t.state.Final() {
		w.final[t.ID()] = t.state
	}
	if int(t.progressing) != progressing || t.progressing != other.progressing {
		w.t.Fatalf("%s counts %d children that progress, decoded %d, there are %d", t.FullName(), t.progressing, other.progressing, progressing)
	}
	switch {
	case t.state == Planned && progressing == 0:
		w.t.Fatalf("%s waits for children none of which can move", t.FullName())
	case t.state == Blocked && !t.Canceling() && mayOpen(a, t):
		w.t.Fatalf("%s is blocked, though nothing stands before it", t.FullName())
	case t.state == Running:
		w.checkView(a, t, other)
	case t.state.Final() && !a.Killed:
		w.checkOver(t)
	}
}

// checkOver looks for what a task that is over should have waited for.
func (w *world) checkOver(t *Task) {
	w.t.Helper()
	wait := func(c *Task) {
		if !c.state.Final() || t.state == Success && c.state != Success {
			w.t.Fatalf("%s is over in %v, but %s is %v", t.FullName(), t.state, c.FullName(), c.state)
		}
	}
	if n := t.Node(); n.Group && t.state == Success {
		for _, k := range n.kids {
			wait(t.kids().at(k))
		}
	}
	if t.more == nil {
		return
	}
	for _, kind := range []BlockKind{ErrorBlock, AlertBlock, SLABlock} {
		if b := t.latest(kind); b != nil {
			wait(&b.tasks[0])
		}
	}
	if t.state == Success && t.retries == 0 {
		for _, b := range t.more.generated {
			wait(&b.tasks[0])
		}
	}
}

// mayOpen follows the first row of language.md 4.3 word for word.
func mayOpen(a *Attempt, t *Task) bool {
	p := t.Parent()
	if p.state != Planned {
		return false
	}
	if !t.generated() && (t.block != p.kids() || p.flags&(DelayedError|DelayedGroupError) != 0) {
		return false
	}
	for _, id := range t.upstreams() {
		if a.task(id).state != Success {
			return false
		}
	}
	return true
}

func (w *world) checkView(a *Attempt, t, other *Task) {
	w.t.Helper()
	got, want := visibleTo(view(a, other)), visibleTo(view(a, t))
	if !params.Equal(got, want) {
		w.t.Fatalf("%s sees %s, decoded %s", t.FullName(), params.Encode(want), params.Encode(got))
	}
	if naive := naiveVisible(a, t); !params.Equal(naive, want) {
		w.t.Fatalf("%s sees %s, by the rule %s", t.FullName(), params.Encode(want), params.Encode(naive))
	}
}

// checkOrder finds an older alert of the incident that ought to go first.
func (w *world) checkOrder(d *Deliver) {
	w.t.Helper()
	for _, p := range w.live.Alerts() {
		if p.Alert.Incident == d.Alert.Incident && p.ID < d.ID {
			w.t.Fatalf("alert %d is to be delivered before alert %d of its incident", d.ID, p.ID)
		}
	}
}

// checkWake compares when the state wants to be asked again with the earliest
// of all that it waits for.
func (w *world) checkWake(wake time.Time) {
	w.t.Helper()
	late := func(due time.Time, what string) {
		if !due.IsZero() && (wake.IsZero() || wake.After(due)) {
			w.t.Fatalf("%s is due at %v, the state wakes at %v", what, due, wake)
		}
	}
	for _, a := range w.live.Attempts() {
		for t := range a.Tasks {
			if waiting(t.state) && (!t.polled() || t.pollIs(pollRests)) {
				due, _ := t.ends()
				late(due.time(), t.FullName())
			}
		}
		if !a.Done && !a.SLAMissed && !a.Killed && !a.Waiting {
			late(a.SLA.At.Truncate(time.Millisecond), "a deadline")
		}
	}
	for _, x := range w.live.Schedules() {
		if x.asked == nil && x.Disabled.IsZero() && !w.live.config.idle() {
			late(x.Next.Run, "a tick")
		}
	}
}

func sortedOwed(owed map[EffectKey]Effect) []EffectKey {
	keys := make([]EffectKey, 0, len(owed))
	for k := range owed {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b EffectKey) int { return bytes.Compare(fmt.Append(nil, a), fmt.Append(nil, b)) })
	return keys
}
