package api

import (
	"cmp"
	"context"
	"slices"

	"gitdag/engine/flow"
)

// A definition that is not live any more is known by the attempts that ran it,
// live or over, and can be started again. Its project must be live.

// formerOf returns what the newest attempt that ran a definition tells of it;
// nil for a definition that is live, [ErrNotFound] for one that is not known.
func (s *server) formerOf(ctx context.Context, id uint64) (*flow.AttemptFacts, error) {
	var facts *flow.AttemptFacts
	live := false
	s.Engine.View(func(state *flow.State) {
		if live = state.Workflow(id) != nil; live {
			return
		}
		for _, a := range state.Attempts() {
			if a.Definition == id && a.Ref != "" {
				found := a.AttemptFacts
				facts = &found
			}
		}
	})
	if live {
		return nil, nil
	}
	if facts == nil {
		past, err := s.History.Ran(ctx, id)
		if err != nil {
			return nil, err
		}
		facts = &past.Attempt
	}
	name := s.projectName(facts.Project)
	if name == "" {
		return nil, ErrNotFound
	}
	facts.ProjectName = name
	return facts, nil
}

// formerRevision returns the workflows of a revision that have run, by name.
func (s *server) formerRevision(ctx context.Context, project uint64, revision string) ([]found, error) {
	newest := map[string]found{}
	add := func(a *flow.AttemptFacts) {
		if have, ok := newest[a.Workflow]; a.Ref != "" && (!ok || have.ID < ID(a.Definition)) {
			newest[a.Workflow] = foundIn(a)
		}
	}
	s.Engine.View(func(state *flow.State) {
		for _, a := range state.Attempts() {
			if a.Project == project && a.Revision == revision {
				add(&a.AttemptFacts)
			}
		}
	})
	past, err := s.History.RanOf(ctx, project, revision)
	if err != nil {
		return nil, err
	}
	for _, r := range past {
		add(&r.Attempt)
	}
	name := s.projectName(project)
	list := make([]found, 0, len(newest))
	for _, f := range newest {
		f.Project.Name = name
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b found) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

// foundIn is the workflow that an attempt ran.
func foundIn(a *flow.AttemptFacts) found {
	return found{Workflow: Workflow{
		ID: ID(a.Definition), Name: a.Workflow, Project: Named{ID(a.Project), a.ProjectName},
		Revision: a.Revision, Timezone: a.Timezone,
	}, ref: a.Ref, former: true}
}

// projectName returns the name of a live project; "" if it is gone.
func (s *server) projectName(id uint64) (name string) {
	s.Engine.View(func(state *flow.State) {
		if p := state.Project(id); p != nil {
			name = p.Name
		}
	})
	return name
}
