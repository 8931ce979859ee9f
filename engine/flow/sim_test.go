package flow

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"gitdag/engine/params"
)

// memObjects is an object store in memory.
type memObjects struct {
	trees     map[string]*Tree
	manifests map[string]*Manifest
}

func newMemObjects() *memObjects {
	return &memObjects{trees: map[string]*Tree{}, manifests: map[string]*Manifest{}}
}

func (o *memObjects) Tree(ref string) (*Tree, error) {
	if t := o.trees[ref]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("no tree %s", ref)
}

func (o *memObjects) Map(ref string) (*params.Map, error) { return nil, fmt.Errorf("no map %s", ref) }

func (o *memObjects) Manifest(ref string) (*Manifest, error) {
	if m := o.manifests[ref]; m != nil {
		return m, nil
	}
	return nil, fmt.Errorf("no manifest %s", ref)
}

// keep names a tree as the shell does: by its content, which a reader gets
// decoded afresh.
func (o *memObjects) keep(t testing.TB, tree *Tree) *Tree {
	t.Helper()
	if tree == nil || tree.Ref != "" {
		return tree
	}
	data, err := EncodeTree(tree)
	if err != nil {
		t.Fatal(err)
	}
	again, err := DecodeTree(data)
	if err != nil {
		t.Fatal(err)
	}
	tree.Ref = fmt.Sprintf("tree-%d", len(o.trees)+1)
	again.Ref = tree.Ref
	o.trees[tree.Ref] = again
	return tree
}

// world runs a state against random operators and checks after every input
// that a replay of the journal and a decoded snapshot equal the live state.
type world struct {
	t       *testing.T
	rng     *rand.Rand
	now     time.Time
	live    *State
	replica *State
	objects *memObjects
	config  Config
	owed    map[EffectKey]Effect
	final   map[uint64]TaskState
	leases  map[Lease]bool
	trees   int
}

func newWorld(t *testing.T, seed uint64) *world {
	rng := rand.New(rand.NewPCG(seed, 1))
	config := Config{Slots: rng.IntN(6), TasksPerAttempt: 400}
	return &world{
		t: t, rng: rng, now: time.Date(2031, 4, 5, 0, 0, 0, 0, time.UTC),
		live: New(config), replica: New(config), objects: newMemObjects(), config: config,
		owed: map[EffectKey]Effect{}, final: map[uint64]TaskState{}, leases: map[Lease]bool{},
	}
}

func (w *world) step(in Input) error {
	w.t.Helper()
	before := encode(w.t, w.live)
	out, err := w.live.Step(w.now, in)
	if err != nil {
		if !bytes.Equal(before, encode(w.t, w.live)) {
			w.t.Fatalf("refused input %T changed the state", in)
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
	}
	for _, e := range out.Effects {
		w.owed[e.Key()] = e
		if d, ok := e.(*Dispatch); ok {
			if w.leases[d.Lease] {
				w.t.Fatalf("lease %v was given out twice", d.Lease)
			}
			w.leases[d.Lease] = true
		}
	}
	w.check()
	return nil
}

func encode(t *testing.T, s *State) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := s.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// check compares the live state with its replay and its snapshot, the rows and
// the views of what runs.
func (w *world) check() {
	w.t.Helper()
	want := encode(w.t, w.live)
	if got := encode(w.t, w.replica); !bytes.Equal(got, want) {
		w.t.Fatalf("replayed state differs:\n%s\nlive:\n%s", got, want)
	}
	decoded, err := Decode(bytes.NewReader(want), w.config, w.objects)
	if err != nil {
		w.t.Fatal(err)
	}
	if got := encode(w.t, decoded); !bytes.Equal(got, want) {
		w.t.Fatalf("decoded state differs:\n%s\nlive:\n%s", got, want)
	}
	for _, a := range w.live.Attempts() {
		other := decoded.Attempt(a.ID)
		for task := range a.Tasks {
			w.checkTask(a, task, other.task(task.ID()))
		}
	}
	if w.config.Slots > 0 && w.live.running > w.config.Slots {
		w.t.Fatalf("%d tasks run on %d slots", w.live.running, w.config.Slots)
	}
}

func (w *world) checkTask(a *Attempt, t, other *Task) {
	w.t.Helper()
	if was, ok := w.final[t.ID()]; ok && was != t.state {
		w.t.Fatalf("task %d left the final state %v for %v", t.ID(), was, t.state)
	}
	if t.state.Final() {
		w.final[t.ID()] = t.state
	}
	progressing := 0
	for _, b := range a.blocks {
		for i := range b.tasks {
			if b.tasks[i].Parent() == t && b.tasks[i].state.Progressing() {
				progressing++
			}
		}
	}
	if int(t.progressing) != progressing || t.progressing != other.progressing {
		w.t.Fatalf("%s counts %d children that progress, decoded %d, there are %d", t.FullName(), t.progressing, other.progressing, progressing)
	}
	if t.state == Running {
		got, want := visibleTo(view(a, other)), visibleTo(view(a, t))
		if !params.Equal(got, want) {
			w.t.Fatalf("%s sees %s, decoded %s", t.FullName(), params.Encode(want), params.Encode(got))
		}
		if naive := naiveVisible(a, t); !params.Equal(naive, want) {
			w.t.Fatalf("%s sees %s, by the rule %s", t.FullName(), params.Encode(want), params.Encode(naive))
		}
	}
}

// visibleTo merges the stores of a view.
func visibleTo(v *View) *params.Map {
	p := params.NewMap(0)
	for i := range v.Levels {
		l := &v.Levels[i]
		p = l.Before.ApplyTo(p)
		if l.Store != nil {
			p = params.Merge(p, l.Store)
		}
	}
	return p
}

// naiveVisible follows language.md 5.2 word for word.
func naiveVisible(a *Attempt, t *Task) *params.Map {
	p := params.NewMap(0)
	var path []*Task
	for x := t; x != nil; x = x.Parent() {
		path = append([]*Task{x}, path...)
	}
	for _, x := range path {
		for _, u := range upstreamsOf(a, x, map[uint64]bool{}) {
			p = applyAll(a, u, p)
		}
		if x != t && x.more != nil && x.more.result.Store.Map != nil {
			p = params.Merge(p, x.more.result.Store.Map)
		}
	}
	return p
}

func upstreamsOf(a *Attempt, t *Task, seen map[uint64]bool) []*Task {
	for _, id := range t.upstreams() {
		if !seen[id] {
			seen[id] = true
			upstreamsOf(a, a.task(id), seen)
		}
	}
	var ids []uint64
	for id := range seen {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	var list []*Task
	for _, id := range ids {
		list = append(list, a.task(id))
	}
	return list
}

func applyAll(a *Attempt, t *Task, p *params.Map) *params.Map {
	if t.more != nil && t.more.result.Store.Map != nil {
		p = params.Merge(p, t.more.result.Store.Map)
	}
	for c := range a.Tasks {
		if c.Parent() == t {
			p = applyAll(a, c, p)
		}
	}
	return p
}

// tree makes a random tree.
func (w *world) tree(name string, depth int) *Tree {
	t := &Tree{}
	w.grow(t, name, -1, depth, Parallel{}, nil)
	if err := t.Link(); err != nil {
		w.t.Fatal(err)
	}
	return t
}

func (w *world) grow(t *Tree, name string, parent int32, depth int, order Parallel, siblings []int32) {
	i := int32(len(t.Nodes))
	n := Node{Name: name, Parent: parent, Config: params.Of("k", len(t.Nodes))}
	if parent >= 0 && !order.On {
		n.Background = w.rng.IntN(6) == 0
	}
	if order.On && len(siblings) > 0 && w.rng.IntN(3) == 0 {
		n.After = []int32{siblings[w.rng.IntN(len(siblings))]}
	}
	if w.rng.IntN(5) == 0 && depth > 0 {
		n.Error = w.tree("^error", depth-1)
	}
	if w.rng.IntN(4) == 0 {
		n.Retry = Retry{Limit: w.rng.IntN(3), Interval: time.Duration(w.rng.IntN(3)) * time.Second}
	}
	if depth > 0 && w.rng.IntN(3) > 0 || parent < 0 && name[0] == '+' {
		n.Group = true
		switch w.rng.IntN(3) {
		case 0:
			n.Parallel = Parallel{On: true, Limit: w.rng.IntN(4)}
		case 1:
			if parent >= 0 && w.rng.IntN(3) == 0 {
				n.Options = params.Of("_parallel", params.Template("${p}"))
			}
		}
	}
	t.Nodes = append(t.Nodes, n)
	if !n.Group {
		return
	}
	var kids []int32
	for c := range w.rng.IntN(5) {
		order := n.Parallel
		kid := int32(len(t.Nodes))
		w.grow(t, fmt.Sprintf("+%c", 'a'+c), i, depth-1, order, kids)
		kids = append(kids, kid)
	}
}

// answer performs one effect at random.
func (w *world) answer() {
	keys := make([]EffectKey, 0, len(w.owed))
	for k := range w.owed {
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		w.now = w.now.Add(time.Duration(w.rng.IntN(3000)) * time.Millisecond)
		_ = w.step(&Tick{})
		return
	}
	slices.SortFunc(keys, func(a, b EffectKey) int { return bytes.Compare([]byte(fmt.Sprint(a)), []byte(fmt.Sprint(b))) })
	k := keys[w.rng.IntN(len(keys))]
	e := w.owed[k]
	delete(w.owed, k)
	switch e := e.(type) {
	case *Dispatch:
		w.result(e)
	case *Revoke:
		_ = w.step(&TaskFailed{Lease: e.Lease, Failure: Value{Map: params.Of("message", "ended")}})
	case *EvaluateGroup:
		_ = w.step(&GroupEvaluated{Attempt: e.Attempt, Task: e.Task, Parallel: Parallel{On: w.rng.IntN(2) == 0, Limit: w.rng.IntN(3)}})
	case *Archive:
		_ = w.step(&Archived{Attempt: e.Attempt})
	case *Deliver:
		if w.rng.IntN(3) == 0 {
			_ = w.step(&AlertUndelivered{ID: e.ID, Retry: w.now.Add(time.Second), Why: "down"})
		} else {
			_ = w.step(&AlertSent{ID: e.ID, Thread: Thread{"c", fmt.Sprint(e.ID)}})
		}
	}
}

func (w *world) result(e *Dispatch) {
	switch w.rng.IntN(10) {
	case 0, 1:
		_ = w.step(&TaskFailed{
			Lease: e.Lease, Failure: Value{Map: params.Of("message", e.FullName)},
			Retry: Retry{Limit: w.rng.IntN(2), Interval: time.Second},
		})
	case 2:
		_ = w.step(&TaskPostponed{Lease: e.Lease, After: time.Duration(w.rng.IntN(2)) * time.Second, State: Value{Map: params.Of("n", 1)}})
	default:
		in := &TaskSucceeded{Lease: e.Lease}
		if w.rng.IntN(2) == 0 {
			in.Result.Store.Map = params.Of(fmt.Sprintf("p%d", w.rng.IntN(4)), params.Of(fmt.Sprintf("q%d", w.rng.IntN(3)), w.rng.IntN(100)))
		}
		if a := w.live.Attempt(e.Lease.Attempt); w.rng.IntN(5) == 0 && a != nil && a.Size() < 100 {
			w.trees++
			in.Sub = w.objects.keep(w.t, w.tree("^sub", 2))
			in.Retry = Retry{Limit: w.rng.IntN(2)}
		}
		if w.rng.IntN(8) == 0 {
			in.Check = w.objects.keep(w.t, w.tree("^check", 1))
		}
		_ = w.step(in)
	}
}

// crash forgets everything but the journal.
func (w *world) crash() {
	s, err := Decode(bytes.NewReader(encode(w.t, w.replica)), w.config, w.objects)
	if err != nil {
		w.t.Fatal(err)
	}
	w.live = s
	w.owed = map[EffectKey]Effect{}
	if err := w.step(&Boot{}); err != nil {
		w.t.Fatal(err)
	}
	w.owed = map[EffectKey]Effect{}
	for _, e := range w.live.Pending() {
		w.owed[e.Key()] = e
	}
}

func (w *world) deploy() {
	m := &Manifest{
		Ref: fmt.Sprintf("manifest-%d", len(w.objects.manifests)+1), Repo: "r",
		Commit:   Commit{ID: "c1", Author: "ann"},
		Projects: []ManifestProject{{Name: "p", Tree: "t", Checkout: "t", Revision: "c1", Workflows: []ManifestWorkflow{{Name: "w", Timezone: "UTC", Ref: "def"}}}},
	}
	w.objects.manifests[m.Ref] = m
	if err := w.step(&Deploy{Manifest: m}); err != nil {
		w.t.Fatal(err)
	}
}

func TestSimulatedAttemptsSettle(t *testing.T) {
	for seed := range uint64(150) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, seed)
			w.deploy()
			for i := range 1 + w.rng.IntN(3) {
				tree := w.objects.keep(t, w.tree("+w", 3))
				sla := SLA{}
				if w.rng.IntN(2) == 0 {
					sla = SLA{At: w.now.Add(3 * time.Second), Alert: true, Fail: w.rng.IntN(2) == 0}
				}
				if err := w.step(&Start{Project: "p", Workflow: "w", Tree: tree, UUID: "u", Session: w.now.Add(time.Duration(i) * time.Hour), SLA: sla}); err != nil {
					t.Fatal(err)
				}
			}
			for i := 0; len(w.live.attempts) > 0 || len(w.owed) > 0; i++ {
				if i > 20000 {
					t.Fatalf("not settled:\n%s", encode(t, w.live))
				}
				switch w.rng.IntN(60) {
				case 0:
					w.crash()
				case 1:
					_ = w.step(&Kill{Attempt: uint64(1 + w.rng.IntN(3))})
				case 2:
					w.now = w.now.Add(-time.Second)
					_ = w.step(&Tick{})
				default:
					w.answer()
				}
			}
		})
	}
}
