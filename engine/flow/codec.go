package flow

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"gitdag/engine/params"
)

// Objects finds what events name instead of holding it. The values that it
// returns are shared and must not change.
type Objects interface {
	Tree(ref string) (*Tree, error)
	Map(ref string) (*params.Map, error)
	Manifest(ref string) (*Manifest, error)
}

// Schema is the version of what stands in a journal: events, snapshots and the
// objects that they name. It rises with each event or field that an older
// version does not know; what older versions wrote is always read.
const Schema = 2

// EncodeEvent returns the line that stands for an event in the journal.
// Trees, manifests and large values must have been given their names.
func EncodeEvent(e Event) ([]byte, error) {
	if m, ok := e.(*TaskMoved); ok {
		return appendMoved(nil, m)
	}
	w, err := wireOf(e)
	if err != nil {
		return nil, err
	}
	return json.Marshal(w)
}

// DecodeEvent reads a line that [EncodeEvent] wrote. An event or a field that
// this version does not know is an error.
func DecodeEvent(line []byte, objects Objects) (Event, error) {
	var w wireEvent
	if err := strict(line, &w); err != nil {
		return nil, fmt.Errorf("decode event: %w", err)
	}
	e, err := w.event(objects)
	if err != nil {
		return nil, fmt.Errorf("decode event %q: %w", w.Kind, err)
	}
	return e, nil
}

// wireEvent is the union of all events; each kind uses a part of it.
type wireEvent struct {
	Kind string `json:"e"`
	At   int64  `json:"at,omitempty"`

	Attempt  uint64        `json:"a,omitempty"`
	Task     uint64        `json:"t,omitempty"`
	By       string        `json:"by,omitempty"`
	To       string        `json:"to,omitempty"`
	Due      int64         `json:"due,omitempty"`
	State    *wireValue    `json:"state,omitempty"`
	Retries  int32         `json:"retries,omitempty"`
	Result   *wireResult   `json:"result,omitempty"`
	Retry    *wireRetry    `json:"retry,omitempty"`
	Parallel *wireParallel `json:"parallel,omitempty"`
	Failure  *wireValue    `json:"failure,omitempty"`
	Blocks   []wireInsert  `json:"blocks,omitempty"`
	Note     string        `json:"note,omitempty"`

	Session *SessionFacts `json:"session,omitempty"`
	Facts   *wireFacts    `json:"facts,omitempty"`
	Tree    *wireTreeRef  `json:"tree,omitempty"`
	Base    uint64        `json:"base,omitempty"`
	Success bool          `json:"success,omitempty"`

	Sessions []wireBackfilled `json:"sessions,omitempty"`

	Manifest string      `json:"manifest,omitempty"`
	IDs      []uint64    `json:"ids,omitempty"`
	Schedule uint64      `json:"schedule,omitempty"`
	Last     int64       `json:"last,omitempty"`
	Next     *wireTick   `json:"next,omitempty"`
	Backlog  *[]wireTick `json:"backlog,omitempty"`
	Disabled *bool       `json:"disabled,omitempty"`
	Tries    int         `json:"tries,omitempty"`

	ID     uint64  `json:"id,omitempty"`
	Alert  *Alert  `json:"alert,omitempty"`
	Thread *Thread `json:"thread,omitempty"`
	Why    string  `json:"why,omitempty"`
}

// wireBackfilled is a session of a backfill; what it shares with the attempt is
// left out.
type wireBackfilled struct {
	ID     uint64     `json:"id"`
	UUID   string     `json:"uuid"`
	Time   int64      `json:"s"` // seconds since the epoch
	Index  int        `json:"n"`
	Params *wireValue `json:"params,omitempty"`
}

// wireValue is a [Value]: its name, or the object itself.
type wireValue struct {
	Ref string          `json:"ref,omitempty"`
	Map json.RawMessage `json:"map,omitempty"`
}

type wireResult struct {
	Export *wireValue `json:"export,omitempty"`
	Store  *wireValue `json:"store,omitempty"`
	Reset  []string   `json:"reset,omitempty"`
}

type wireInsert struct {
	Kind string       `json:"k"`
	Base uint64       `json:"base"`
	Name string       `json:"name,omitempty"`
	Tree *wireTreeRef `json:"tree,omitempty"`
}

// wireTreeRef is a tree: its name, or the tree itself where it is small.
type wireTreeRef struct {
	Ref  string    `json:"ref,omitempty"`
	Tree *wireTree `json:"tree,omitempty"`
}

func treeRefOf(t *Tree) *wireTreeRef {
	switch {
	case t == nil:
		return nil
	case t.Ref != "":
		return &wireTreeRef{Ref: t.Ref}
	}
	return &wireTreeRef{Tree: newTreeEncoder().tree(t)}
}

func (w *wireTreeRef) tree(objects Objects) (*Tree, error) {
	switch {
	case w == nil:
		return nil, nil
	case w.Ref != "":
		return objects.Tree(w.Ref)
	case w.Tree == nil:
		return nil, fmt.Errorf("a tree has neither name nor content")
	}
	return w.Tree.tree()
}

type wireTick struct {
	Session int64 `json:"s"` // seconds since the epoch
	Run     int64 `json:"r"` // milliseconds
}

type wireFacts struct {
	AttemptFacts
	// These stand in for the fields of the same names.
	Params *wireValue `json:"Params,omitempty"`
	Resume *wireValue `json:"Resume,omitempty"`
	SLA    *wireSLA   `json:"SLA,omitempty"`
}

type wireSLA struct {
	At    int64        `json:"at"`
	Alert bool         `json:"alert,omitempty"`
	Fail  bool         `json:"fail,omitempty"`
	Tree  *wireTreeRef `json:"tree,omitempty"`
}

var blockNames = [...]string{"static", "sub", "check", "error", "alert", "sla", "round"}

func (k BlockKind) String() string { return blockNames[k] }

func valueOf(v Value) *wireValue {
	switch {
	case v.Ref != "":
		return &wireValue{Ref: v.Ref}
	case v.Map.Len() == 0:
		return nil
	}
	return &wireValue{Map: params.Encode(v.Map)}
}

func (w *wireValue) value(objects Objects) (Value, error) {
	if w == nil {
		return Value{}, nil
	}
	if w.Ref != "" {
		m, err := objects.Map(w.Ref)
		return Value{Ref: w.Ref, Map: m}, err
	}
	m, err := decodeMap(w.Map)
	return Value{Map: m}, err
}

func tickOf(t TickFacts) *wireTick {
	if t.Run.IsZero() {
		return nil
	}
	return &wireTick{t.Session.Unix(), t.Run.UnixMilli()}
}

func (w *wireTick) tick() TickFacts {
	if w == nil {
		return TickFacts{}
	}
	return TickFacts{time.Unix(w.Session, 0).UTC(), time.UnixMilli(w.Run).UTC()}
}

func ticksOf(list []TickFacts) *[]wireTick {
	if list == nil {
		return nil
	}
	w := make([]wireTick, len(list))
	for i := range list {
		w[i] = *tickOf(list[i])
	}
	return &w
}

func (w *wireEvent) backlog() []TickFacts {
	if w.Backlog == nil {
		return nil
	}
	list := make([]TickFacts, len(*w.Backlog))
	for i := range *w.Backlog {
		list[i] = (*w.Backlog)[i].tick()
	}
	return list
}

func insertsOf(blocks []Insert) []wireInsert {
	var w []wireInsert
	for i := range blocks {
		b := &blocks[i]
		w = append(w, wireInsert{Kind: b.Kind.String(), Base: b.Base, Name: b.Name, Tree: treeRefOf(b.Tree)})
	}
	return w
}

func inserts(w []wireInsert, objects Objects) ([]Insert, error) {
	var blocks []Insert
	for i := range w {
		kind := slices.Index(blockNames[:], w[i].Kind)
		if kind < 0 {
			return nil, fmt.Errorf("block kind %q is not known", w[i].Kind)
		}
		t, err := w[i].Tree.tree(objects)
		if err != nil {
			return nil, err
		}
		blocks = append(blocks, Insert{Base: w[i].Base, Kind: BlockKind(kind), Name: w[i].Name, Tree: t})
	}
	return blocks, nil
}

func factsOf(f *AttemptFacts) *wireFacts {
	w := &wireFacts{AttemptFacts: *f, Params: valueOf(f.Params), Resume: valueOf(f.Resume)}
	if !f.SLA.At.IsZero() {
		w.SLA = &wireSLA{At: f.SLA.At.UnixMilli(), Alert: f.SLA.Alert, Fail: f.SLA.Fail, Tree: treeRefOf(f.SLA.Tree)}
	}
	return w
}

func (w *wireFacts) facts(objects Objects) (f AttemptFacts, err error) {
	f = w.AttemptFacts
	if f.Params, err = w.Params.value(objects); err != nil {
		return f, err
	}
	if f.Resume, err = w.Resume.value(objects); err != nil || w.SLA == nil {
		return f, err
	}
	f.SLA = SLA{At: time.UnixMilli(w.SLA.At).UTC(), Alert: w.SLA.Alert, Fail: w.SLA.Fail}
	f.SLA.Tree, err = w.SLA.Tree.tree(objects)
	return f, err
}

// appendMoved writes the most frequent event without reflection.
func appendMoved(b []byte, e *TaskMoved) ([]byte, error) {
	b = append(b, `{"e":"moved","at":`...)
	b = strconv.AppendInt(b, int64(e.At), 10)
	b = append(b, `,"a":`...)
	b = strconv.AppendUint(b, e.Attempt, 10)
	b = append(b, `,"t":`...)
	b = strconv.AppendUint(b, e.Task, 10)
	b = append(b, `,"by":"`...)
	b = append(b, e.By.String()...)
	b = append(b, `","to":"`...)
	b = append(b, e.To.String()...)
	b = append(b, '"')
	rest := wireMoved{
		Due: int64(e.Due), State: valueOf(e.State), Retries: e.Retries,
		Note: e.Note,
	}
	if e.Result != nil {
		rest.Result = resultOf(e.Result)
	}
	if e.Retry != nil {
		rest.Retry = &wireRetry{e.Retry.Limit, e.Retry.Interval.Milliseconds(), e.Retry.Exponential, e.Retry.Max.Milliseconds()}
	}
	if e.Parallel != nil {
		rest.Parallel = &wireParallel{e.Parallel.On, e.Parallel.Limit}
	}
	if e.Failure != nil {
		rest.Failure = valueOf(*e.Failure)
	}
	rest.Blocks = insertsOf(e.Blocks)
	if rest.empty() {
		return append(b, '}'), nil
	}
	more, err := json.Marshal(&rest)
	if err != nil {
		return nil, err
	}
	b = append(b, ',')
	return append(b, more[1:]...), nil
}

// wireMoved is the part of a move that most moves do not have.
type wireMoved struct {
	Due      int64         `json:"due,omitempty"`
	State    *wireValue    `json:"state,omitempty"`
	Retries  int32         `json:"retries,omitempty"`
	Result   *wireResult   `json:"result,omitempty"`
	Retry    *wireRetry    `json:"retry,omitempty"`
	Parallel *wireParallel `json:"parallel,omitempty"`
	Failure  *wireValue    `json:"failure,omitempty"`
	Blocks   []wireInsert  `json:"blocks,omitempty"`
	Note     string        `json:"note,omitempty"`
}

func (w *wireMoved) empty() bool {
	return w.Due == 0 && w.State == nil && w.Retries == 0 && w.Result == nil && w.Retry == nil &&
		w.Parallel == nil && w.Failure == nil && len(w.Blocks) == 0 && w.Note == ""
}

// resultOf returns nil for a result without content.
func resultOf(r *Result) *wireResult {
	w := &wireResult{Export: valueOf(r.Export), Store: valueOf(r.Store), Reset: r.Reset}
	if w.Export == nil && w.Store == nil && len(w.Reset) == 0 {
		return nil
	}
	return w
}

func (w *wireResult) result(objects Objects) (*Result, error) {
	if w == nil {
		return nil, nil
	}
	r := &Result{Reset: w.Reset}
	var err error
	if r.Export, err = w.Export.value(objects); err != nil {
		return nil, err
	}
	r.Store, err = w.Store.value(objects)
	return r, err
}
