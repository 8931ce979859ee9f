package api

import (
	"cmp"
	"context"
	"slices"

	"gitdag/engine/flow"
)

// The state forgets old revisions. What it does not keep any more is known by
// the attempts that ran it, live or over.

// former returns what the newest attempt that ran a definition tells of it, or
// [ErrNotFound].
func (s *server) former(ctx context.Context, id uint64) (*flow.AttemptFacts, error) {
	var facts *flow.AttemptFacts
	s.Engine.View(func(state *flow.State) {
		for a := range state.AttemptsBefore(0) {
			if a.Definition == id && a.Ref != "" {
				found := a.AttemptFacts
				facts = &found
				return
			}
		}
	})
	if facts != nil {
		return facts, nil
	}
	past, err := s.History.Ran(ctx, id)
	if err != nil {
		return nil, err
	}
	return &past.Attempt, nil
}

// formerOf is [server.former] for a definition that is not live and can be
// started, as its project is live; nil for one that is live.
func (s *server) formerOf(ctx context.Context, id uint64) (*flow.AttemptFacts, error) {
	live := false
	s.Engine.View(func(state *flow.State) { live = state.Workflow(id) != nil })
	if live {
		return nil, nil
	}
	facts, err := s.former(ctx, id)
	if err != nil {
		return nil, err
	}
	if facts.ProjectName = s.projectName(facts.Project); facts.ProjectName == "" {
		return nil, ErrNotFound
	}
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
		for a := range state.AttemptsBefore(0) {
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
