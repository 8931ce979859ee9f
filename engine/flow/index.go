package flow

import "slices"

// counts are what follows from the attempts and alerts, kept so that no step
// has to look through all of them. They are no part of the state's value.
type counts struct {
	active  int // attempts that are not over
	waiting int // those of them that have yet to begin
	// unfinished are the attempts of a workflow that are not over.
	unfinished map[workflowKey]map[uint64]*Attempt
	// successors are the attempts that wait for another one, by that one's id.
	successors map[uint64]*Attempt
	// incidents are the pending alerts of each incident, oldest first.
	incidents map[string][]uint64
}

func newCounts() counts {
	return counts{
		unfinished: map[workflowKey]map[uint64]*Attempt{},
		successors: map[uint64]*Attempt{},
		incidents:  map[string][]uint64{},
	}
}

// enter counts an attempt in that is not over.
func (s *State) enter(a *Attempt) {
	if a.Done {
		return
	}
	s.active++
	if a.Waiting {
		s.waiting++
	}
	if a.After != 0 {
		s.successors[a.After] = a
	}
	key := workflowKey{a.Project, a.Workflow}
	if s.unfinished[key] == nil {
		s.unfinished[key] = map[uint64]*Attempt{}
	}
	s.unfinished[key][a.ID] = a
	if sched := s.schedule[a.Scheduled]; a.CaughtUp && sched != nil {
		sched.catching = a.ID
	}
}

// leave takes an attempt that is over out of the counts, and lets the one that
// waits for it follow the one that it has waited for itself.
func (s *State) leave(a *Attempt) {
	s.active--
	if a.Waiting {
		s.waiting--
	}
	a.Waiting, a.tree = false, nil
	key := workflowKey{a.Project, a.Workflow}
	if delete(s.unfinished[key], a.ID); len(s.unfinished[key]) == 0 {
		delete(s.unfinished, key)
	}
	if sched := s.schedule[a.Scheduled]; a.CaughtUp && sched != nil && sched.catching == a.ID {
		sched.catching = 0
	}
	next := s.successors[a.ID]
	delete(s.successors, a.ID)
	if a.After != 0 {
		delete(s.successors, a.After)
	}
	if next != nil {
		next.After = a.After
	}
	if next != nil && next.After != 0 {
		s.successors[next.After] = next
	}
	a.After = 0
}

// line puts an attempt that waits for nothing but room into the queue.
func (s *State) line(a *Attempt) {
	if i, found := slices.BinarySearch(s.queue, a.ID); !found {
		s.queue = slices.Insert(s.queue, i, a.ID)
	}
}
