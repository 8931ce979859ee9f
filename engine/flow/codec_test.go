package flow

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitdag/engine/params"
)

var at = time.Date(2031, 4, 5, 1, 2, 3, 0, time.UTC)

// everyEvent is one event of each kind with all its fields set, and some with
// few.
func everyEvent(t testing.TB, objects *memObjects) []Event {
	t.Helper()
	small, large := sampleTree(t), objects.keep(t, sampleTree(t))
	objects.manifests["m1"] = &Manifest{Ref: "m1", Repo: "r"}
	object := params.Of("message", "boom", "deep", params.Of("n", 1))
	yes := true
	commit := Commit{ID: "c1", Author: "Ann", Email: "ann@example.org", Subject: "load", Time: at}
	return []Event{
		&AttemptStarted{
			At: 5, Base: 9, Tree: small,
			Session: SessionFacts{ID: 1, UUID: "u", Project: 2, Workflow: "w", Time: at},
			Attempt: AttemptFacts{
				ID: 3, Index: 2, RetryName: "again", Project: 2, ProjectName: "p", Workflow: "w", Definition: 4, Ref: "d",
				Revision: "c1", Commit: commit, Checkout: "t", Timezone: "Asia/Tokyo",
				Params: Value{Map: object}, SLA: SLA{At: at, Alert: true, Fail: true, Tree: small},
				Scheduled: 7, CaughtUp: true,
			},
		},
		&AttemptStarted{At: 5, Base: 1, Tree: large, Session: SessionFacts{ID: 1, Time: at}, Attempt: AttemptFacts{ID: 1}},
		&AttemptStarted{At: 5, Tree: large, Session: SessionFacts{ID: 1, Time: at}, Attempt: AttemptFacts{ID: 1}},
		&Backfilled{
			At: 5, Tree: small, Attempt: AttemptFacts{ID: 3, RetryName: "again", Project: 2, Workflow: "w", Commit: commit},
			Sessions: []BackfilledSession{
				{Session: SessionFacts{ID: 1, UUID: "u", Project: 2, Workflow: "w", Time: at}, Index: 2, Params: Value{Map: object}},
				{Session: SessionFacts{ID: 5, UUID: "v", Project: 2, Workflow: "w", Time: at.Add(time.Hour)}, Index: 1},
			},
		},
		&AttemptBegun{At: 1, Attempt: 2, Base: 3},
		&TaskMoved{
			At: 1, Attempt: 2, Task: 3, By: Succeeded, To: Planned, Due: 4, State: Value{Map: object}, Retries: 5,
			Result:   &Result{Export: Value{Map: object}, Store: Value{Map: object}, Reset: []string{"a.b"}},
			Retry:    &Retry{Limit: 1, Interval: time.Second, Exponential: true, Max: time.Minute},
			Parallel: &Parallel{On: true, Limit: 2}, Failure: &Value{Map: object}, Note: "why",
			Blocks: []Insert{{Base: 10, Kind: SubBlock, Tree: small}, {Base: 20, Kind: CheckBlock, Tree: large}, {Base: 30, Kind: SLABlock, Name: slaTask}},
		},
		&TaskMoved{At: 1, Attempt: 2, Task: 3, By: Opened, To: Ready},
		&SLAMissed{At: 1, Attempt: 2, Blocks: []Insert{{Base: 3, Kind: SLABlock, Name: slaFailTask}}},
		&WaitRearmed{Attempt: 1, Task: 2, Due: 3},
		&AttemptKilled{At: 1, Attempt: 2},
		&AttemptSettled{At: 1, Attempt: 2, Success: true},
		&AttemptArchived{Attempt: 2},
		&Deployed{At: 1, Manifest: objects.manifests["m1"], Projects: 2, Workflows: 3, Schedules: 4, Revisions: 5},
		&ScheduleMoved{At: 1, Schedule: 2, Last: 3000, Next: TickFacts{at, at.Add(time.Hour)}, Backlog: []TickFacts{{at, at}}, Disabled: &yes, Tries: 2},
		&ScheduleMoved{At: 1, Schedule: 2, Backlog: []TickFacts{}},
		&AlertRaised{ID: 1, At: 2, Alert: Alert{
			Kind: AlertFailed, Incident: "i", Repo: "r", ProjectID: 1, Project: "p", Workflow: "w", Session: at,
			Timezone: "UTC", SessionID: 4, SessionUUID: "u", Attempt: 3, Definition: 5, Task: "+w+a", Message: "boom", Revision: "c1", Commit: commit, Since: at, SinceRev: "c0",
			Failures: 2, Duration: time.Minute, Next: at, Details: []string{"d"}, Recoverable: true,
		}},
		&AlertDelayed{ID: 1, Due: 2, Why: "down"},
		&AlertClosed{ID: 1, At: 2, Thread: Thread{"c", "1"}, Why: "given up"},
		&AlertClosed{ID: 1, At: 2},
	}
}

// sampleTree has every field of a node and an `_error` that two nodes share.
func sampleTree(t testing.TB) *Tree {
	t.Helper()
	rescue := &Tree{Nodes: []Node{{Name: "^error", Parent: -1, Config: params.Of("echo>", params.Template("${error.message}"))}}}
	if err := rescue.Link(); err != nil {
		t.Fatal(err)
	}
	shared := params.Of("sh>", params.Template("run ${x}"), "data", "${x}")
	tree := &Tree{Nodes: []Node{
		{Name: "+w", Parent: -1, Group: true, Parallel: Parallel{On: true, Limit: 2}, Error: rescue, Export: params.Of("x", 1)},
		{Name: "+a", Parent: 0, Config: shared, Timeout: 5 * time.Second, Error: rescue},
		{Name: "+b", Parent: 0, Config: shared, After: []int32{1}, Retry: Retry{Limit: 2, Interval: time.Second, Exponential: true, Max: time.Minute}},
		{Name: "+g", Parent: 0, Group: true, Options: params.Of("_retry", params.Template("${n}"))},
		{Name: "+c", Parent: 3, Background: true, Config: params.Of("empty", params.Of())},
	}}
	if err := tree.Link(); err != nil {
		t.Fatal(err)
	}
	return tree
}

// values compares what events and trees say, not how it is held.
func values() cmp.Options {
	return cmp.Options{
		cmp.AllowUnexported(
			Tree{}, Node{}, AttemptStarted{}, TaskMoved{}, AttemptFacts{}, Value{}, SLA{}, Insert{}, Result{},
		),
		cmp.Comparer(func(a, b *params.Map) bool { return a.Equal(b) }),
	}
}

func TestEventsRoundTrip(t *testing.T) {
	objects := newMemObjects()
	kinds := map[reflect.Type]bool{}
	for _, e := range everyEvent(t, objects) {
		kinds[reflect.TypeOf(e)] = true
		line, err := EncodeEvent(e)
		if err != nil {
			t.Fatalf("encode %T: %v", e, err)
		}
		if bytes.ContainsRune(line, '\n') {
			t.Errorf("%T takes more than one line: %s", e, line)
		}
		got, err := DecodeEvent(line, objects)
		if err != nil {
			t.Fatalf("decode %s: %v", line, err)
		}
		if diff := cmp.Diff(e, got, values()); diff != "" {
			t.Errorf("%T changes on its way (-want +got):\n%s", e, diff)
		}
		again, err := EncodeEvent(got)
		if err != nil || !bytes.Equal(line, again) {
			t.Errorf("encoded again: %s, want %s (%v)", again, line, err)
		}
	}
	if got, want := len(kinds), 14; got != want {
		t.Errorf("%d kinds of events are covered, want %d", got, want)
	}
}

func TestLargeValuesAreNamed(t *testing.T) {
	objects := &mapObjects{newMemObjects(), map[string]*params.Map{"big": params.Of("k", "v")}}
	want := &TaskMoved{By: Succeeded, To: Success, Result: &Result{Store: Value{Ref: "big", Map: objects.maps["big"]}}}
	line, err := EncodeEvent(want)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(line), `"k"`) {
		t.Errorf("the value is copied into the event: %s", line)
	}
	got, err := DecodeEvent(line, objects)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Event(want), got, values()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

type mapObjects struct {
	*memObjects
	maps map[string]*params.Map
}

func (o *mapObjects) Map(ref string) (*params.Map, error) {
	if m := o.maps[ref]; m != nil {
		return m, nil
	}
	return o.memObjects.Map(ref)
}

func TestDecodeEventRefuses(t *testing.T) {
	for _, c := range []struct{ what, line, want string }{
		{"no JSON", `moved`, "decode event"},
		{"another kind", `{"e":"teleported","at":1}`, `"teleported": this version does not know it`},
		{"another field", `{"e":"killed","at":1,"a":2,"mood":"bad"}`, "mood"},
		{"text behind the event", `{"e":"killed","at":1,"a":2} {}`, "after"},
		{"another trigger", `{"e":"moved","a":1,"t":1,"by":"wished","to":"ready"}`, `trigger "wished"`},
		{"another state", `{"e":"moved","a":1,"t":1,"by":"opened","to":"happy"}`, `state "happy"`},
		{"another kind of block", `{"e":"sla_missed","blocks":[{"k":"lego","base":1}]}`, `block kind "lego"`},
		{"a block of another field", `{"e":"sla_missed","blocks":[{"k":"sub","base":1,"x":1}]}`, `"x"`},
		{"an unknown tree", `{"e":"sla_missed","blocks":[{"k":"sub","base":1,"tree":{"ref":"gone"}}]}`, "no tree gone"},
		{"a tree without content", `{"e":"sla_missed","blocks":[{"k":"sub","base":1,"tree":{}}]}`, "neither name nor content"},
		{"no tree", `{"e":"started","session":{},"facts":{}}`, "without its session, attempt or tree"},
		{"an unknown workflow", `{"e":"started","session":{},"facts":{},"tree":{"ref":"gone"}}`, "no tree gone"},
		{"a tree of another version", `{"e":"started","session":{},"facts":{},"tree":{"tree":{"v":9,"maps":[],"nodes":[]}}}`, "format 9"},
		{"unknown parameters", `{"e":"started","session":{},"facts":{"Params":{"ref":"gone"}},"tree":{"tree":{"v":1,"maps":[],"nodes":[{"n":"+w","p":-1}]}}}`, "no map gone"},
		{"an unknown manifest", `{"e":"deployed","manifest":"gone","ids":[1,2,3]}`, "no manifest gone"},
		{"too few ids", `{"e":"deployed","manifest":"m1","ids":[1]}`, "four first ids"},
		{"a backfill without sessions", `{"e":"backfilled","facts":{},"tree":{"ref":"t"}}`, "without its attempt, tree or sessions"},
		{"a backfill of an unknown tree", `{"e":"backfilled","facts":{},"tree":{"ref":"gone"},"sessions":[{"id":1}]}`, "no tree gone"},
		{"a backfill with unknown parameters", `{"e":"backfilled","facts":{},"tree":{"tree":{"v":1,"maps":[],"nodes":[{"n":"+w","p":-1}]}},"sessions":[{"id":1,"params":{"ref":"gone"}}]}`, "no map gone"},
		{"a backfill of an unknown resume", `{"e":"backfilled","facts":{"Resume":{"ref":"gone"}},"tree":{"tree":{"v":1,"maps":[],"nodes":[{"n":"+w","p":-1}]}},"sessions":[{"id":1}]}`, "no map gone"},
		{"no alert", `{"e":"alert","id":1}`, "without an alert"},
		{"an unknown state object", `{"e":"moved","by":"opened","to":"ready","state":{"ref":"gone"}}`, "no map gone"},
		{"an unknown result", `{"e":"moved","by":"opened","to":"ready","result":{"export":{"ref":"gone"}}}`, "no map gone"},
		{"an unknown store", `{"e":"moved","by":"opened","to":"ready","result":{"store":{"ref":"gone"}}}`, "no map gone"},
		{"an unknown error", `{"e":"moved","by":"opened","to":"ready","failure":{"ref":"gone"}}`, "no map gone"},
		{"a value that is no object", `{"e":"moved","by":"opened","to":"ready","failure":{"map":[1]}}`, "not an object"},
		{"an empty value", `{"e":"moved","by":"opened","to":"ready","failure":{}}`, "decode event"},
	} {
		t.Run(c.what, func(t *testing.T) {
			_, err := DecodeEvent([]byte(c.line), newMemObjects())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestEncodeEventNeedsANamedManifest(t *testing.T) {
	if _, err := EncodeEvent(&Deployed{Manifest: &Manifest{}}); err == nil {
		t.Error("a manifest without a name was encoded")
	}
}

func TestTreesRoundTrip(t *testing.T) {
	want := sampleTree(t)
	data, err := EncodeTree(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeTree(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, values()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.Nodes[1].Config != got.Nodes[2].Config || got.Nodes[0].Error != got.Nodes[1].Error {
		t.Error("what nodes share is copied")
	}
	if n := strings.Count(string(data), "run ${x}"); n != 1 {
		t.Errorf("a shared object is written %d times, want once", n)
	}
}

func TestDecodeTreeRefuses(t *testing.T) {
	for _, c := range []struct{ what, data, want string }{
		{"no JSON", `{`, "decode task tree"},
		{"another version", `{"v":2,"maps":[],"nodes":[{"n":"+w","p":-1}]}`, "format 2 is not known, only 1"},
		{"another field", `{"v":1,"maps":[],"nodes":[{"n":"+w","p":-1,"zz":1}]}`, "zz"},
		{"text behind it", `{"v":1,"maps":[],"nodes":[{"n":"+w","p":-1}]}{}`, "after"},
		{"no nodes", `{"v":1,"maps":[],"nodes":[]}`, "without a root"},
		{"a root with a parent", `{"v":1,"maps":[],"nodes":[{"n":"+w","p":0}]}`, "without a root"},
		{"a parent behind", `{"v":1,"maps":[],"nodes":[{"n":"+w","p":-1},{"n":"+a","p":2},{"n":"+b","p":0}]}`, "before its parent"},
		{"two roots", `{"v":1,"maps":[],"nodes":[{"n":"+w","p":-1},{"n":"+a","p":-1}]}`, "before its parent"},
		{"no depth-first order", `{"v":1,"maps":[],"nodes":[{"n":"+w","p":-1},{"n":"+a","p":0},{"n":"+b","p":0},{"n":"+c","p":1}]}`, "depth-first"},
		{"waiting for a later sibling", `{"v":1,"maps":[],"nodes":[{"n":"+w","p":-1},{"n":"+a","p":0,"a":[2]},{"n":"+b","p":0}]}`, "no earlier sibling"},
		{"waiting for a stranger", `{"v":1,"maps":[],"nodes":[{"n":"+w","p":-1},{"n":"+a","p":0,"a":[0]}]}`, "no earlier sibling"},
		{"a missing map", `{"v":1,"maps":[],"nodes":[{"n":"+w","p":-1,"c":1}]}`, "no map 1"},
		{"a missing subtree", `{"v":1,"maps":[],"nodes":[{"n":"+w","p":-1,"e":1}]}`, "no subtree 1"},
		{"a list for a map", `{"v":1,"maps":[[]],"nodes":[{"n":"+w","p":-1,"c":1}]}`, "not an object"},
		{"a broken map", `{"v":1,"maps":[null],"nodes":[{"n":"+w","p":-1,"c":1}]}`, "map 0"},
		{"a null subtree", `{"v":1,"maps":[],"trees":[null],"nodes":[{"n":"+w","p":-1}]}`, "subtree 0"},
		{"a broken subtree", `{"v":1,"maps":[],"trees":[{"v":7,"maps":[],"nodes":[]}],"nodes":[{"n":"+w","p":-1}]}`, "format 7"},
	} {
		t.Run(c.what, func(t *testing.T) {
			_, err := DecodeTree([]byte(c.data))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want one with %q", err, c.want)
			}
		})
	}
}
