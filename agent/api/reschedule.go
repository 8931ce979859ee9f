package api

import (
	"net/http"
	"time"

	"gitdag/engine/flow"
	"gitdag/engine/params"
)

// changing returns the schedule of the path, to change it.
func (s *server) changing(r *request) (*timer, error) {
	of, err := s.timer(r)
	if err == nil && s.Schedules == nil {
		err = notOffered("change schedules")
	}
	return of, err
}

// set disables or enables a schedule and answers with what has become of it.
func (s *server) set(w http.ResponseWriter, r *request, in SetSchedule) error {
	if err := s.Schedules.SetSchedule(r.Context(), in); err != nil {
		return r.lookUp("schedule", err)
	}
	after, err := s.timer(r)
	if err != nil {
		return err
	}
	return writeJSON(w, r.Request, http.StatusOK, &after.ScheduleSummary)
}

// disable takes any body, and none.
func (s *server) disable(w http.ResponseWriter, r *request) error {
	of, err := s.changing(r)
	if err != nil {
		return err
	}
	return s.set(w, r, SetSchedule{Schedule: uint64(of.ID), Disabled: true})
}

// enable also takes a request without a body (Q32).
func (s *server) enable(w http.ResponseWriter, r *request) error {
	body, err := r.body(true)
	if err != nil {
		return err
	}
	of, err := s.changing(r)
	if err != nil {
		return err
	}
	in := SetSchedule{Schedule: uint64(of.ID)}
	skip, err := params.Optional(object(body), "skipSchedule", params.Bool, false)
	if err != nil {
		return badf("%v", err)
	}
	if skip {
		to, err := localAt(body, "nextTime", of.zone)
		if err != nil {
			return err
		}
		if to.IsZero() {
			to = s.Now()
		}
		in.SkipTo = &to
	}
	return s.set(w, r, in)
}

func (s *server) skip(w http.ResponseWriter, r *request) error {
	body, err := r.body(false)
	if err != nil {
		return err
	}
	of, err := s.changing(r)
	if err != nil {
		return err
	}
	in, err := skipOf(body, of)
	if err != nil {
		return err
	}
	next, err := s.Schedules.Skip(r.Context(), in)
	if err != nil {
		return r.lookUp("schedule", err)
	}
	if !in.DryRun {
		if of, err = s.timer(r); err != nil {
			return err
		}
	}
	of.setNext(next, of.zone)
	return writeJSON(w, r.Request, http.StatusOK, &of.ScheduleSummary)
}

// skipOf reads the body of a skip.
func skipOf(body *params.Map, of *timer) (in Skip, err error) {
	in.Schedule = uint64(of.ID)
	if in.DryRun, err = params.Required(body, "dryRun", params.Bool); err != nil {
		return in, badf("%v", err)
	}
	if in.To, err = localAt(body, "nextTime", of.zone); err != nil {
		return in, err
	}
	if in.Run, err = instantAt(body, "nextRunTime"); err != nil {
		return in, err
	}
	if in.From, err = instantAt(body, "fromTime"); err != nil {
		return in, err
	}
	count, err := countAt(body)
	switch {
	case err != nil:
		return in, err
	case !in.To.IsZero():
	case in.From.IsZero() || count == nil:
		return in, badf("either nextTime or both fromTime and count are required")
	default:
		in.Count = *count
	}
	return in, nil
}

// backfill answers with the attempts as they began, in the order in which they
// run.
func (s *server) backfill(w http.ResponseWriter, r *request) error {
	body, err := r.body(false)
	if err != nil {
		return err
	}
	of, err := s.changing(r)
	if err != nil {
		return err
	}
	in, err := backfillOf(body)
	if err != nil {
		return err
	}
	in.Schedule = uint64(of.ID)
	done, err := s.Schedules.Backfill(r.Context(), in)
	if err != nil {
		return r.lookUp("schedule", err)
	}
	out := BackfillResult{ID: of.ID, Project: of.Project, Workflow: of.Workflow, Attempts: []Attempt{}}
	for i, session := range done.Sessions {
		attempt := s.planned(of, session, in.Name)
		if !in.DryRun {
			begun, err := s.begun(r.Context(), done.Attempts[i])
			if err != nil {
				return err
			}
			attempt = begun
		}
		out.Attempts = append(out.Attempts, attempt)
	}
	return writeJSON(w, r.Request, http.StatusOK, out)
}

// planned is an attempt that a backfill would start.
func (s *server) planned(of *timer, session time.Time, name string) Attempt {
	record := &flow.Record{Session: flow.SessionFacts{UUID: randomUUID()}, CreatedAt: s.Now()}
	a := s.attemptOf(record)
	a.Project, a.Workflow = of.Project, WorkflowRef{of.Workflow.Name, optionalID(uint64(of.Workflow.ID))}
	a.SessionTime, a.RetryAttemptName = Local{session.In(of.zone)}, optional(name)
	return a
}

// backfillOf reads the body of a backfill.
func backfillOf(body *params.Map) (in Backfill, err error) {
	if in.DryRun, err = params.Required(body, "dryRun", params.Bool); err != nil {
		return in, badf("%v", err)
	}
	if in.From, err = instantAt(body, "fromTime"); err != nil {
		return in, err
	}
	if in.Name, err = nameAt(body, "attemptName"); err != nil {
		return in, err
	}
	if in.From.IsZero() || in.Name == "" {
		return in, badf("fromTime and attemptName are required")
	}
	if in.Count, err = countAt(body); err != nil {
		return in, err
	}
	if in.Count != nil && *in.Count < 0 {
		return in, badf("count must be 0 or more: %d", *in.Count)
	}
	if given, _ := body.Lookup("params"); given != nil {
		in.Params, err = paramsOf(given)
	}
	return in, err
}

// instantAt reads a time; the zero value if there is none.
func instantAt(body *params.Map, key string) (time.Time, error) {
	v, _ := body.Lookup(key)
	if v == nil {
		return time.Time{}, nil
	}
	text, _ := v.(string)
	t, ok := parseInstant(text)
	if !ok {
		return t, badf("%s must be an ISO date and time with an offset", key)
	}
	return t, nil
}

// localAt reads a time with an offset, or one of the zone; the zero value if
// there is none.
func localAt(body *params.Map, key string, zone *time.Location) (time.Time, error) {
	v, _ := object(body).Lookup(key)
	if v == nil {
		return time.Time{}, nil
	}
	text, _ := v.(string)
	t, ok := parseLocalOrInstant(text, zone)
	if !ok {
		return t, badf("Invalid timestamp format: %s", params.AppendJSON(nil, v))
	}
	return t, nil
}

// countAt reads how many; nil if that is not said.
func countAt(body *params.Map) (*int, error) {
	if v, _ := body.Lookup("count"); v == nil {
		return nil, nil
	}
	n, err := params.Required(body, "count", params.Int)
	if err != nil {
		return nil, badf("%v", err)
	}
	return &n, nil
}
