package api

import (
	"net/http"
	"time"

	"gitdag/engine/flow"
	"gitdag/engine/schedule"
)

func (s *server) projectSchedules(w http.ResponseWriter, r *request) error {
	after, size, err := r.page([]string{"page_size", "count"}, 0)
	if err != nil {
		return err
	}
	list := []Schedule{}
	err = s.inProject(r, func(state *flow.State, p *flow.Project) {
		if r.has("workflow") {
			if x := p.Schedule(r.query("workflow")); x != nil {
				list = append(list, s.scheduleOf(x))
			}
			return
		}
		list = s.schedulesOf(state, after, size, p)
	})
	if err != nil {
		return err
	}
	return writeList(w, r, "schedules", list)
}

func (s *server) schedules(w http.ResponseWriter, r *request) error {
	after, size, err := r.page([]string{"page_size", "count"}, 0)
	if err != nil {
		return err
	}
	var list []Schedule
	s.Engine.View(func(state *flow.State) { list = s.schedulesOf(state, after, size, nil) })
	return writeList(w, r, "schedules", list)
}

// schedulesOf lists a page of the schedules of a project, of all if that is nil.
func (s *server) schedulesOf(state *flow.State, after uint64, size int, of *flow.Project) []Schedule {
	list := []Schedule{}
	for _, x := range state.Schedules() {
		if len(list) == size {
			break
		}
		if x.ID > after && (of == nil || x.Project == of) {
			list = append(list, s.scheduleOf(x))
		}
	}
	return list
}

func (s *server) schedule(w http.ResponseWriter, r *request) error {
	found, err := s.timer(r)
	if err != nil {
		return err
	}
	return writeJSON(w, r.Request, http.StatusOK, found.Schedule)
}

// timer is a schedule with the zone of its times.
type timer struct {
	ScheduleSummary
	zone *time.Location
}

// timer returns the schedule of the path's id.
func (s *server) timer(r *request) (*timer, error) {
	id, err := r.id()
	if err != nil {
		return nil, err
	}
	var found *timer
	s.Engine.View(func(state *flow.State) {
		if x := state.Schedule(id); x != nil {
			found = &timer{ScheduleSummary{
				Schedule: s.scheduleOf(x), CreatedAt: Instant{x.CreatedAt}, UpdatedAt: Instant{x.UpdatedAt},
			}, s.zone(x.Timezone)}
		}
	})
	if found == nil {
		return nil, r.missing("schedule")
	}
	return found, nil
}

func (s *server) scheduleOf(x *flow.Schedule) Schedule {
	w := Schedule{
		ID: ID(x.ID), Project: named(x.Project), Workflow: Named{Name: x.Workflow}, DisabledAt: Instant{x.Disabled},
	}
	if found := x.Project.Workflow(x.Workflow); found != nil {
		w.Workflow.ID = ID(found.ID)
	}
	w.setNext(x.Upcoming(), s.zone(x.Timezone))
	return w
}

// setNext sets what comes next: never for a schedule that has ended.
func (x *Schedule) setNext(next flow.TickFacts, zone *time.Location) {
	if next.Run.IsZero() {
		next = flow.TickFacts{Session: schedule.Never, Run: schedule.Never}
	}
	x.NextRunTime, x.NextScheduleTime = Instant{next.Run}, Local{next.Session.In(zone)}
}
