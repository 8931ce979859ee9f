package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gitdag/engine/flow"
	"gitdag/engine/params"
)

// format is the version of the files in the archive.
const format = 1

// The kinds of files.
const (
	attemptKind = "attempt"
	expiredKind = "expired"
)

// FormatError reports a file that a newer version of gitdag wrote.
type FormatError struct {
	File   string
	Format int
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("%s has format %d and this version reads formats up to %d: use the version that wrote it or a newer one",
		e.File, e.Format, format)
}

// Summary is what is known of a finished attempt without its tasks: what a
// row of a list shows.
type Summary struct {
	Session flow.SessionFacts
	// Attempt is without the tree of its SLA.
	Attempt    flow.AttemptFacts
	CreatedAt  time.Time
	FinishedAt time.Time
	Killed     bool
	Succeeded  bool
	Tasks      int
}

// mark opens every file: what it is and which version wrote it. It is read
// before anything else.
type mark struct {
	Kind   string `json:"gitdag"`
	Format int    `json:"format"`
}

func (m mark) check(kind, file string) error {
	switch {
	case m.Kind != kind || m.Format < 1:
		return fmt.Errorf("%s is not an archive file of kind %q", file, kind)
	case m.Format > format:
		return &FormatError{File: file, Format: m.Format}
	}
	return nil
}

// wireHead is the first line of an attempt's file.
type wireHead struct {
	mark
	Session    wireSession `json:"session"`
	Attempt    wireAttempt `json:"attempt"`
	CreatedAt  time.Time   `json:"createdAt"`
	FinishedAt time.Time   `json:"finishedAt"`
	Killed     bool        `json:"killed,omitempty"`
	Succeeded  bool        `json:"succeeded"`
	Tasks      int         `json:"tasks"`
}

type wireSession struct {
	ID       uint64    `json:"id"`
	UUID     string    `json:"uuid"`
	Project  uint64    `json:"project"`
	Workflow string    `json:"workflow"`
	Time     time.Time `json:"time"`
}

type wireAttempt struct {
	ID          uint64          `json:"id"`
	Index       int             `json:"index"`
	RetryName   string          `json:"retryName,omitempty"`
	Project     uint64          `json:"project"`
	ProjectName string          `json:"projectName"`
	Workflow    string          `json:"workflow"`
	Definition  uint64          `json:"definition"`
	Ref         string          `json:"ref,omitempty"`
	Revision    string          `json:"revision"`
	Commit      wireCommit      `json:"commit,omitzero"`
	Checkout    string          `json:"checkout,omitempty"`
	Timezone    string          `json:"timezone"`
	Params      json.RawMessage `json:"params,omitempty"`
	SLA         *wireSLA        `json:"sla,omitempty"`
	Scheduled   uint64          `json:"scheduled,omitempty"`
	CaughtUp    bool            `json:"caughtUp,omitempty"`
}

type wireCommit struct {
	ID      string    `json:"id"`
	Author  string    `json:"author,omitempty"`
	Email   string    `json:"email,omitempty"`
	Subject string    `json:"subject,omitempty"`
	Time    time.Time `json:"time,omitzero"`
}

type wireSLA struct {
	At    time.Time `json:"at"`
	Alert bool      `json:"alert,omitempty"`
	Fail  bool      `json:"fail,omitempty"`
}

// wireTask is one of the other lines.
type wireTask struct {
	ID        uint64          `json:"id"`
	Parent    uint64          `json:"parent,omitempty"`
	FullName  string          `json:"fullName"`
	Group     bool            `json:"group,omitempty"`
	State     string          `json:"state"`
	Canceling bool            `json:"canceling,omitempty"`
	Execution int             `json:"execution,omitempty"`
	Retries   int             `json:"retries,omitempty"`
	Upstreams []uint64        `json:"upstreams,omitempty"`
	Config    json.RawMessage `json:"config,omitempty"`
	Export    json.RawMessage `json:"export,omitempty"`
	Returned  json.RawMessage `json:"returned,omitempty"`
	Store     json.RawMessage `json:"store,omitempty"`
	OpState   json.RawMessage `json:"opState,omitempty"`
	Error     json.RawMessage `json:"error,omitempty"`
	Note      string          `json:"note,omitempty"`
	StartedAt time.Time       `json:"startedAt,omitzero"`
	UpdatedAt time.Time       `json:"updatedAt,omitzero"`
	RetryAt   time.Time       `json:"retryAt,omitzero"`
}

// headOf returns the first line for a record. It refuses a record that could
// not be found again.
func headOf(r *flow.Record) (*wireHead, error) {
	a := &r.Attempt
	switch {
	case a.ID == 0 || r.Session.ID == 0:
		return nil, errors.New("a record needs an attempt and a session")
	case r.FinishedAt.IsZero():
		return nil, errors.New("the attempt is not finished")
	case a.Params.Ref != "" && a.Params.Map == nil:
		return nil, fmt.Errorf("the parameters are named %s and not loaded", a.Params.Ref)
	}
	h := &wireHead{
		mark:    mark{attemptKind, format},
		Session: wireSession(r.Session),
		Attempt: wireAttempt{
			ID: a.ID, Index: a.Index, RetryName: a.RetryName,
			Project: a.Project, ProjectName: a.ProjectName, Workflow: a.Workflow,
			Definition: a.Definition, Ref: a.Ref, Revision: a.Revision, Commit: wireCommit(a.Commit), Checkout: a.Checkout,
			Timezone: a.Timezone, Params: encodeMap(a.Params.Map), Scheduled: a.Scheduled, CaughtUp: a.CaughtUp,
		},
		CreatedAt: r.CreatedAt.UTC(), FinishedAt: r.FinishedAt.UTC(),
		Killed: r.Killed, Succeeded: r.Succeeded, Tasks: len(r.Tasks),
	}
	if !a.SLA.At.IsZero() {
		h.Attempt.SLA = &wireSLA{a.SLA.At, a.SLA.Alert, a.SLA.Fail}
	}
	return h, nil
}

// decodeHead reads a first line.
func decodeHead(line []byte, file string) (*wireHead, error) {
	var m mark
	if err := json.Unmarshal(line, &m); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	if err := m.check(attemptKind, file); err != nil {
		return nil, err
	}
	h := &wireHead{}
	if err := json.Unmarshal(line, h); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return h, nil
}

func (h *wireHead) summary() (Summary, error) {
	w := &h.Attempt
	object, err := decodeMap(w.Params)
	if err != nil {
		return Summary{}, fmt.Errorf("read the parameters of attempt %d: %w", w.ID, err)
	}
	s := Summary{
		Session: flow.SessionFacts(h.Session),
		Attempt: flow.AttemptFacts{
			ID: w.ID, Index: w.Index, RetryName: w.RetryName,
			Project: w.Project, ProjectName: w.ProjectName, Workflow: w.Workflow,
			Definition: w.Definition, Ref: w.Ref, Revision: w.Revision, Commit: flow.Commit(w.Commit), Checkout: w.Checkout,
			Timezone: w.Timezone, Params: flow.Value{Map: object}, Scheduled: w.Scheduled, CaughtUp: w.CaughtUp,
		},
		CreatedAt: h.CreatedAt, FinishedAt: h.FinishedAt,
		Killed: h.Killed, Succeeded: h.Succeeded, Tasks: h.Tasks,
	}
	if w.SLA != nil {
		s.Attempt.SLA = flow.SLA{At: w.SLA.At, Alert: w.SLA.Alert, Fail: w.SLA.Fail}
	}
	return s, nil
}

func taskOf(r *flow.Row) *wireTask {
	return &wireTask{
		ID: r.ID, Parent: r.Parent, FullName: r.FullName, Group: r.Group, State: r.State.String(),
		Canceling: r.Canceling, Execution: r.Execution, Retries: r.Retries, Upstreams: r.Upstreams,
		Config: encodeMap(r.Config), Export: encodeMap(r.Export), Returned: encodeMap(r.Returned),
		Store: encodeMap(r.Store), OpState: encodeMap(r.OpState), Error: encodeMap(r.Error),
		Note: r.Note, StartedAt: r.StartedAt, UpdatedAt: r.UpdatedAt, RetryAt: r.RetryAt,
	}
}

func (w *wireTask) row() (flow.Row, error) {
	r := flow.Row{
		ID: w.ID, Parent: w.Parent, FullName: w.FullName, Group: w.Group,
		Canceling: w.Canceling, Execution: w.Execution, Retries: w.Retries, Upstreams: w.Upstreams,
		Note: w.Note, StartedAt: w.StartedAt, UpdatedAt: w.UpdatedAt, RetryAt: w.RetryAt,
	}
	var err error
	if r.State, err = stateNamed(w.State); err != nil {
		return r, err
	}
	for _, object := range []struct {
		to   **params.Map
		text json.RawMessage
	}{
		{&r.Config, w.Config},
		{&r.Export, w.Export},
		{&r.Returned, w.Returned},
		{&r.Store, w.Store},
		{&r.OpState, w.OpState},
		{&r.Error, w.Error},
	} {
		if *object.to, err = decodeMap(object.text); err != nil {
			return r, err
		}
	}
	return r, nil
}

func stateNamed(name string) (flow.TaskState, error) {
	for s := flow.Blocked; s <= flow.Canceled; s++ {
		if s.String() == name {
			return s, nil
		}
	}
	return 0, fmt.Errorf("task state %q is not known", name)
}

// encodeMap keeps nil, which is left out, apart from an empty object.
func encodeMap(m *params.Map) json.RawMessage {
	if m == nil {
		return nil
	}
	return params.Encode(m)
}

func decodeMap(text json.RawMessage) (*params.Map, error) {
	switch {
	case text == nil:
		return nil, nil
	case string(text) == "{}":
		return params.NewMap(0), nil
	}
	v, err := params.Decode(text)
	if err != nil {
		return nil, err
	}
	m, ok := v.(*params.Map)
	if !ok {
		return nil, fmt.Errorf("%s is not an object", text)
	}
	return m, nil
}
