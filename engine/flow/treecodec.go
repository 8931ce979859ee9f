package flow

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"time"

	"gitdag/engine/params"
)

// treeVersion is the format of an encoded tree; a change of it is a change of
// the journal's format.
const treeVersion = 1

// wireTree is the encoded form of a tree. Maps and subtrees stand in tables,
// since the iterations of a loop share theirs.
type wireTree struct {
	Version int               `json:"v"`
	Maps    []json.RawMessage `json:"maps"`
	Trees   []*wireTree       `json:"trees,omitempty"`
	Nodes   []wireNode        `json:"nodes"`
}

type wireNode struct {
	Name       string        `json:"n"`
	Parent     int32         `json:"p"`
	Group      bool          `json:"g,omitempty"`
	Background bool          `json:"b,omitempty"`
	After      []int32       `json:"a,omitempty"`
	Parallel   *wireParallel `json:"par,omitempty"`
	Retry      *wireRetry    `json:"ret,omitempty"`
	Options    int           `json:"o,omitempty"` // 1 + index of a map; 0 for none
	Config     int           `json:"c,omitempty"`
	Export     int           `json:"x,omitempty"`
	Error      int           `json:"e,omitempty"` // 1 + index of a tree
	Timeout    int64         `json:"t,omitempty"` // milliseconds
}

type wireParallel struct {
	On    bool `json:"on"`
	Limit int  `json:"limit,omitempty"`
}

type wireRetry struct {
	Limit       int   `json:"limit"`
	Interval    int64 `json:"interval,omitempty"` // milliseconds
	Exponential bool  `json:"exp,omitempty"`
	Max         int64 `json:"max,omitempty"`
}

func wireRetryOf(r Retry) *wireRetry {
	if r == (Retry{}) {
		return nil
	}
	return &wireRetry{r.Limit, r.Interval.Milliseconds(), r.Exponential, r.Max.Milliseconds()}
}

func (w *wireRetry) retry() Retry {
	if w == nil {
		return Retry{}
	}
	ms := time.Millisecond
	return Retry{w.Limit, time.Duration(w.Interval) * ms, w.Exponential, time.Duration(w.Max) * ms}
}

func wireParallelOf(p Parallel) *wireParallel {
	if p == (Parallel{}) {
		return nil
	}
	return &wireParallel{p.On, p.Limit}
}

func (w *wireParallel) parallel() Parallel {
	if w == nil {
		return Parallel{}
	}
	return Parallel{w.On, min(w.Limit, math.MaxInt32)}
}

// EncodeTree returns the form in which a tree is kept as an object.
func EncodeTree(t *Tree) ([]byte, error) {
	return json.Marshal(newTreeEncoder().tree(t))
}

type treeEncoder struct {
	maps  map[*params.Map]int
	trees map[*Tree]int
	out   *wireTree
}

func newTreeEncoder() *treeEncoder {
	return &treeEncoder{
		maps: map[*params.Map]int{}, trees: map[*Tree]int{},
		out: &wireTree{Version: treeVersion, Maps: []json.RawMessage{}},
	}
}

func (e *treeEncoder) tree(t *Tree) *wireTree {
	e.out.Nodes = make([]wireNode, len(t.Nodes))
	for i := range t.Nodes {
		n := &t.Nodes[i]
		e.out.Nodes[i] = wireNode{
			Name: n.Name, Parent: n.Parent, Group: n.Group, Background: n.Background, After: n.After,
			Parallel: wireParallelOf(n.Parallel), Retry: wireRetryOf(n.Retry),
			Options: e.object(n.Options), Config: e.object(n.Config), Export: e.object(n.Export),
			Error: e.subtree(n.Error), Timeout: n.Timeout.Milliseconds(),
		}
	}
	return e.out
}

func (e *treeEncoder) object(m *params.Map) int {
	if m == nil {
		return 0
	}
	i, ok := e.maps[m]
	if !ok {
		e.out.Maps = append(e.out.Maps, params.Encode(m))
		i = len(e.out.Maps)
		e.maps[m] = i
	}
	return i
}

func (e *treeEncoder) subtree(t *Tree) int {
	if t == nil {
		return 0
	}
	i, ok := e.trees[t]
	if !ok {
		e.out.Trees = append(e.out.Trees, newTreeEncoder().tree(t))
		i = len(e.out.Trees)
		e.trees[t] = i
	}
	return i
}

// DecodeTree reads what [EncodeTree] wrote.
func DecodeTree(data []byte) (*Tree, error) {
	var w wireTree
	if err := strict(data, &w); err != nil {
		return nil, fmt.Errorf("decode task tree: %w", err)
	}
	return w.tree()
}

func (w *wireTree) tree() (*Tree, error) {
	if w.Version != treeVersion {
		return nil, fmt.Errorf("decode task tree: format %d is not known, only %d", w.Version, treeVersion)
	}
	maps := make([]*params.Map, len(w.Maps))
	for i := range w.Maps {
		m, err := decodeMap(w.Maps[i])
		if err != nil {
			return nil, fmt.Errorf("decode task tree: map %d: %w", i, err)
		}
		maps[i] = m
	}
	trees := make([]*Tree, len(w.Trees))
	for i := range w.Trees {
		if w.Trees[i] == nil {
			return nil, fmt.Errorf("decode task tree: subtree %d is null", i)
		}
		t, err := w.Trees[i].tree()
		if err != nil {
			return nil, err
		}
		trees[i] = t
	}
	t := &Tree{Nodes: make([]Node, len(w.Nodes))}
	for i := range w.Nodes {
		n, err := w.Nodes[i].node(maps, trees)
		if err != nil {
			return nil, fmt.Errorf("decode task tree: node %d: %w", i, err)
		}
		t.Nodes[i] = n
	}
	return t, t.Link()
}

func (w *wireNode) node(maps []*params.Map, trees []*Tree) (Node, error) {
	for _, i := range []int{w.Options, w.Config, w.Export} {
		if i < 0 || i > len(maps) {
			return Node{}, fmt.Errorf("no map %d", i)
		}
	}
	if w.Error < 0 || w.Error > len(trees) {
		return Node{}, fmt.Errorf("no subtree %d", w.Error)
	}
	n := Node{
		Name: w.Name, Parent: w.Parent, Group: w.Group, Background: w.Background, After: w.After,
		Parallel: w.Parallel.parallel(), Retry: w.Retry.retry(), Timeout: time.Duration(w.Timeout) * time.Millisecond,
	}
	pick := func(i int) *params.Map {
		if i == 0 {
			return nil
		}
		return maps[i-1]
	}
	n.Options, n.Config, n.Export = pick(w.Options), pick(w.Config), pick(w.Export)
	if w.Error > 0 {
		n.Error = trees[w.Error-1]
	}
	return n, nil
}

// strict decodes one JSON value and refuses fields that it does not know, and
// anything behind the value.
func strict(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("text after the value")
	}
	return nil
}

func decodeMap(data []byte) (*params.Map, error) {
	v, err := params.Decode(data)
	if err != nil {
		return nil, err
	}
	m, ok := v.(*params.Map)
	if !ok {
		return nil, fmt.Errorf("not an object")
	}
	return m, nil
}
