package flow

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"time"
)

// snapshotVersion is the format of an encoded state.
const snapshotVersion = 1

// wireLine is one line of a snapshot: the counters first, then one thing a
// line.
type wireLine struct {
	Version int       `json:"v,omitempty"`
	Last    *Counters `json:"last,omitempty"`

	Repo     *Repo         `json:"repo,omitempty"`
	Project  *wireProject  `json:"project,omitempty"`
	Schedule *wireSchedule `json:"schedule,omitempty"`
	Session  *SessionFacts `json:"session,omitempty"`
	Attempt  *wireAttempt  `json:"attempt,omitempty"`
	Block    *wireBlock    `json:"block,omitempty"`
	Alert    *Pending      `json:"alert,omitempty"`
	Health   *wireHealth   `json:"health,omitempty"`
}

type wireProject struct {
	ID                       uint64
	Name, Repo, Path         string
	Tree, Checkout, Revision string
	Commit                   Commit
	CreatedAt, UpdatedAt     time.Time
	DeletedAt                time.Time `json:",omitzero"`
	Workflows                []wireWorkflow
	// RevisionID and Archive are those of the live revision, Older the ones
	// before it, newest first.
	RevisionID uint64         `json:",omitempty"`
	Archive    *Archive       `json:",omitempty"`
	Older      []wireRevision `json:",omitempty"`
}

type wireRevision struct {
	ID                   uint64
	Name, Tree, Checkout string
	Commit               Commit
	CreatedAt            time.Time
	Archive              *Archive `json:",omitempty"`
	Workflows            []wireWorkflow
}

type wireWorkflow struct {
	ID                  uint64
	Name, Timezone, Ref string
	Revision            string `json:",omitempty"`
	Tasks               int
}

type wireSchedule struct {
	ID, Project  uint64
	Workflow     string
	Timezone     string
	Hash         string
	CatchUp      CatchUp       `json:",omitempty"`
	SkipOvertime bool          `json:",omitempty"`
	SkipDelay    time.Duration `json:",omitempty"`
	Next         *wireTick     `json:",omitempty"`
	Last         time.Time     `json:",omitzero"`
	Backlog      []wireTick    `json:",omitempty"`
	CreatedAt    time.Time
	UpdatedAt    time.Time
	Disabled     time.Time `json:",omitzero"`
	Tries        int       `json:",omitempty"`
}

type wireAttempt struct {
	Session    uint64
	Facts      *wireFacts
	CreatedAt  int64
	FinishedAt int64 `json:",omitempty"`
	Killed     bool  `json:",omitempty"`
	Done       bool  `json:",omitempty"`
	Succeeded  bool  `json:",omitempty"`
	SLAMissed  bool  `json:",omitempty"`
	// Tree is set for an attempt that waits, and After for one that waits for
	// another one.
	Tree  *wireTreeRef `json:",omitempty"`
	After uint64       `json:",omitempty"`
}

// wireBlock belongs to the attempt of the last attempt line.
type wireBlock struct {
	Kind  string       `json:"k"`
	Base  uint64       `json:"base"`
	Owner uint64       `json:"owner,omitempty"`
	Name  string       `json:"name,omitempty"`
	Tree  *wireTreeRef `json:"tree,omitempty"`
	At    int64        `json:"at"`
	// Behind is the base of the ^sub that a ^check waits for.
	Behind uint64    `json:"behind,omitempty"`
	Rows   []wireRow `json:"rows,omitempty"` // of the tasks that have moved
}

type wireRow struct {
	Node      int32     `json:"n"`
	State     TaskState `json:"s,omitempty"`
	Flags     TaskFlags `json:"f,omitempty"`
	Execution int32     `json:"x,omitempty"`
	Retries   int32     `json:"r,omitempty"`
	Started   int64     `json:"st,omitempty"`
	Updated   int64     `json:"u,omitempty"`
	Due       int64     `json:"d,omitempty"`
	More      *wireMore `json:"m,omitempty"`
}

type wireMore struct {
	Wait     int64         `json:"wait,omitempty"`
	State    *wireValue    `json:"state,omitempty"`
	Result   *wireResult   `json:"result,omitempty"`
	Failed   *wireValue    `json:"failed,omitempty"`
	Note     string        `json:"note,omitempty"`
	Parallel *wireParallel `json:"parallel,omitempty"`
	Retry    *wireRetry    `json:"retry,omitempty"`
}

type wireHealth struct {
	Project  uint64
	Workflow string
	Health   Health
}

// Encode writes the state's value. Two states that were reached by the same
// events are written alike.
func (s *State) Encode(w io.Writer) error {
	b := bufio.NewWriter(w)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	last := s.last
	err := e.Encode(wireLine{Version: snapshotVersion, Last: &last})
	put := func(l wireLine) {
		if err == nil {
			err = e.Encode(l)
		}
	}
	for _, r := range s.Repos() {
		put(wireLine{Repo: r})
	}
	for _, p := range s.Projects() {
		put(wireLine{Project: encodeProject(p)})
	}
	for _, p := range s.graves {
		put(wireLine{Project: encodeProject(p)})
	}
	for _, x := range s.Schedules() {
		put(wireLine{Schedule: encodeSchedule(x)})
	}
	for _, x := range s.Sessions() {
		put(wireLine{Session: &x.SessionFacts})
	}
	for _, a := range s.Attempts() {
		put(wireLine{Attempt: encodeAttempt(a)})
		for _, blk := range a.blocks {
			put(wireLine{Block: encodeBlock(blk)})
		}
	}
	for _, p := range s.Alerts() {
		put(wireLine{Alert: p})
	}
	for _, h := range s.healthLines() {
		put(wireLine{Health: h})
	}
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	return b.Flush()
}

func (s *State) healthLines() []*wireHealth {
	var lines []*wireHealth
	for k, h := range s.health {
		lines = append(lines, &wireHealth{k.project, k.name, *h})
	}
	sort.Slice(lines, func(i, j int) bool {
		if lines[i].Project != lines[j].Project {
			return lines[i].Project < lines[j].Project
		}
		return lines[i].Workflow < lines[j].Workflow
	})
	return lines
}

func encodeProject(p *Project) *wireProject {
	w := &wireProject{
		ID: p.ID, Name: p.Name, Repo: p.Repo, Path: p.Path, Tree: p.Tree, Checkout: p.Checkout,
		Revision: p.Revision, Commit: p.Commit, CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt, DeletedAt: p.DeletedAt,
	}
	for i, r := range p.revisions {
		x := wireRevision{
			ID: r.ID, Name: r.Name, Tree: r.Tree, Checkout: r.Checkout, Commit: r.Commit,
			CreatedAt: r.CreatedAt, Archive: r.Archive,
		}
		for _, f := range r.Workflows {
			x.Workflows = append(x.Workflows, wireWorkflow{f.ID, f.Name, f.Timezone, f.Ref, "", f.Tasks})
		}
		if i == 0 {
			w.RevisionID, w.Archive, w.Workflows = x.ID, x.Archive, x.Workflows
			continue
		}
		w.Older = append(w.Older, x)
	}
	return w
}

func encodeSchedule(x *Schedule) *wireSchedule {
	w := &wireSchedule{
		ID: x.ID, Project: x.Project.ID, Workflow: x.Workflow, Timezone: x.Timezone, Hash: x.Hash,
		CatchUp: x.CatchUp, SkipOvertime: x.SkipOvertime, SkipDelay: x.SkipDelay,
		Next: tickOf(x.Next), Last: x.Last, CreatedAt: x.CreatedAt, UpdatedAt: x.UpdatedAt, Disabled: x.Disabled,
		Tries: x.Tries,
	}
	if backlog := ticksOf(x.Backlog); backlog != nil {
		w.Backlog = *backlog
	}
	return w
}

func encodeAttempt(a *Attempt) *wireAttempt {
	return &wireAttempt{
		Session: a.Session.ID, Facts: factsOf(&a.AttemptFacts), CreatedAt: a.CreatedAt.UnixMilli(),
		FinishedAt: int64(stampOf(a.FinishedAt)), Killed: a.Killed, Done: a.Done,
		Succeeded: a.Succeeded, SLAMissed: a.SLAMissed, Tree: treeRefOf(a.tree), After: a.After,
	}
}

func encodeBlock(b *Block) *wireBlock {
	w := &wireBlock{Kind: b.Kind.String(), Base: b.Base, At: int64(b.at0)}
	if b.owner != nil {
		w.Owner = b.owner.ID()
	}
	if b.behind != nil {
		w.Behind = b.behind.Base
	}
	switch b.Kind {
	case StaticBlock, SubBlock, CheckBlock:
		w.Tree = treeRefOf(b.Tree)
	case SLABlock:
		w.Name = b.Tree.Root().Name
	}
	for i := range b.tasks {
		if row := encodeRow(&b.tasks[i]); row != nil {
			w.Rows = append(w.Rows, *row)
		}
	}
	return w
}

// encodeRow returns nil for a task that is as it was inserted.
func encodeRow(t *Task) *wireRow {
	if t.state == Blocked && t.flags == 0 {
		return nil
	}
	r := &wireRow{
		Node: t.node, State: t.state, Flags: t.flags, Execution: t.execution, Retries: t.retries,
		Started: int64(t.started), Updated: int64(t.updated), Due: int64(t.due),
	}
	m := t.more
	if m == nil {
		return r
	}
	w := wireMore{
		Wait: m.wait, State: valueOf(m.state), Result: resultOf(&m.result), Failed: valueOf(m.failed), Note: m.note,
	}
	if n := t.Node(); m.parallel != n.Parallel {
		w.Parallel = &wireParallel{m.parallel.On, m.parallel.Limit}
	}
	if m.retry != t.Node().Retry {
		w.Retry = &wireRetry{m.retry.Limit, m.retry.Interval.Milliseconds(), m.retry.Exponential, m.retry.Max.Milliseconds()}
	}
	if w != (wireMore{}) {
		r.More = &w
	}
	return r
}
