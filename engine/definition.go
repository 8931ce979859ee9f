package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gitdag/engine/dig"
	"gitdag/engine/flow"
	"gitdag/engine/params"
	"gitdag/engine/schedule"
)

// definitionVersion is the format of a stored definition.
const definitionVersion = 1

// Definition is a workflow of one revision, as it is kept.
type Definition struct {
	Timezone string
	Zone     *time.Location
	// Config is the top level of the file, as the API shows it.
	Config *params.Map
	// Schedule is nil for a workflow that is not scheduled.
	Schedule *schedule.Schedule
	SLA      *SLA
	// Tree names the task tree; Root is the tree itself where nothing is named.
	Tree string
	Root *flow.Tree
}

// SLA is a workflow's `sla:` block.
type SLA struct {
	Rule schedule.SLA
	// Tree is what else the block contains; nil for nothing.
	Tree *flow.Tree
}

// wireDefinition is the form in which a definition is kept. Schedule and SLA
// are kept as their author wrote them: what they mean is looked up in a newer
// binary's rules, never in an old reading of them.
type wireDefinition struct {
	Version  int             `json:"v"`
	Timezone string          `json:"timezone"`
	Config   json.RawMessage `json:"config"`
	Tree     string          `json:"tree"`
	SLA      json.RawMessage `json:"sla,omitempty"` // encoded tree
}

// encodeDefinition returns the object of a checked workflow.
func encodeDefinition(w *dig.Workflow, tree string) ([]byte, error) {
	d := wireDefinition{Version: definitionVersion, Timezone: w.Timezone, Config: params.Encode(w.Config), Tree: tree}
	if w.SLA != nil && w.SLA.Tree != nil {
		data, err := flow.EncodeTree(w.SLA.Tree)
		if err != nil {
			return nil, err
		}
		d.SLA = data
	}
	return json.Marshal(&d)
}

// definition reads a stored definition.
func (o *objects) definition(ref string) (*Definition, error) {
	data, err := o.store.Read(ref)
	if err != nil {
		return nil, fmt.Errorf("read workflow definition: %w", err)
	}
	var w wireDefinition
	if err := json.Unmarshal(data, &w); err != nil {
		return nil, fmt.Errorf("object %s: %w", ref, err)
	}
	if w.Version != definitionVersion {
		return nil, fmt.Errorf("object %s: format %d of a workflow definition is not known", ref, w.Version)
	}
	d := &Definition{Timezone: w.Timezone, Tree: w.Tree}
	if d.Zone, err = time.LoadLocation(w.Timezone); err != nil {
		if d.Zone, err = dig.Zone(w.Timezone); err != nil {
			return nil, fmt.Errorf("object %s: %w", ref, err)
		}
	}
	v, err := params.Decode(w.Config)
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", ref, err)
	}
	d.Config, _ = v.(*params.Map)
	if err := d.read(w.SLA); err != nil {
		return nil, fmt.Errorf("object %s: %w", ref, err)
	}
	return d, nil
}

// renew keeps the objects of a definition that is not live from being swept
// before the start that names it once more is durable.
func (o *objects) renew(ref string) error {
	definition, err := o.store.Read(ref)
	if err != nil {
		return fmt.Errorf("read workflow definition: %w", err)
	}
	var w wireDefinition
	if err := json.Unmarshal(definition, &w); err != nil {
		return fmt.Errorf("object %s: %w", ref, err)
	}
	tree, err := o.store.Read(w.Tree)
	if err != nil {
		return fmt.Errorf("read task tree: %w", err)
	}
	_, err = o.store.PutAll([][]byte{definition, tree})
	return err
}

// read works out the schedule and the SLA from the configuration.
func (d *Definition) read(slaTree []byte) error {
	if m := mapAt(d.Config, "schedule"); m != nil {
		s, err := schedule.Parse(dig.Fields(m), d.Zone)
		if s == nil {
			return err
		}
		d.Schedule = s
	}
	m := mapAt(d.Config, "sla")
	if m == nil {
		return nil
	}
	rule, _, err := schedule.ParseSLA(dig.Fields(m))
	if err != nil {
		return err
	}
	d.SLA = &SLA{Rule: rule}
	if slaTree != nil {
		if d.SLA.Tree, err = flow.DecodeTree(slaTree); err != nil {
			return err
		}
	}
	return nil
}

// deadline returns what an attempt that starts at start must keep.
func (d *Definition) deadline(start time.Time) flow.SLA {
	if d.SLA == nil {
		return flow.SLA{}
	}
	return flow.SLA{
		At:    d.SLA.Rule.Trigger(start, d.Zone).UTC(),
		Alert: d.SLA.Rule.Alert, Fail: d.SLA.Rule.Fail, Tree: d.SLA.Tree,
	}
}

// tick converts a schedule's tick; the zero value stands for none.
func tick(t schedule.Tick, ok bool) flow.TickFacts {
	if !ok {
		return flow.TickFacts{}
	}
	return flow.TickFacts{Session: t.Session.UTC(), Run: t.Run.UTC()}
}

func mapAt(m *params.Map, key string) *params.Map {
	v, _ := m.Lookup(key)
	sub, _ := v.(*params.Map)
	return sub
}

// errNoDefinition is returned for a workflow that is not live.
var errNoDefinition = errors.New("the workflow is not live")
