package soak

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gitdag/bench/agenttest"
)

// The project that is pushed, and its one workflow: scheduled, so that it can
// be backfilled.
const (
	pushedProject  = "pushed"
	pushedWorkflow = "steps"
)

// pushed is what is known of the pushed project: what the agent has
// acknowledged, and what it may have done when no answer came.
type pushed struct {
	e    *epoch
	next int // number of the next revision, and of the next backfill

	// revisions are the acknowledged ones in order, live those of which any may
	// be the live one.
	revisions []string
	live      []string
	// schedule is its id; "" while it is not known.
	schedule  string
	disabled  []bool   // those of which any may be so
	scheduled []string // likewise the next session times; empty: whatever it is
	backfills []*backfill
	// dropped are waiting attempts whose end was acknowledged.
	dropped map[uint64]bool
}

// backfill is one that was asked for.
type backfill struct {
	name     string
	count    int
	attempts []uint64 // empty: no answer came
}

// wire types: the parts that are looked at.
type (
	wireSchedule struct {
		ID               string  `json:"id"`
		NextScheduleTime string  `json:"nextScheduleTime"`
		DisabledAt       *string `json:"disabledAt"`
	}
	wireAttempt struct {
		ID          uint64 `json:"id,string"`
		SessionTime string `json:"sessionTime"`
		Name        string `json:"retryAttemptName"`
		Done        bool   `json:"done"`
		Success     bool   `json:"success"`
	}
)

// settled tells whether an error leaves no doubt: the agent has answered.
func settled(err error) bool {
	var refused *agenttest.Refused
	return err == nil || errors.As(err, &refused)
}

// unexpected fails the test for an answer other than those allowed.
func (p *pushed) unexpected(err error, allowed ...int) {
	p.e.t.Helper()
	var refused *agenttest.Refused
	if errors.As(err, &refused) && !slices.Contains(append(allowed, http.StatusServiceUnavailable), refused.Status) {
		p.e.t.Errorf("%v", err)
	}
}

// random returns something to do: it asks the agent, and takes note. It may be
// called on a goroutine of its own while nothing else is.
func (p *pushed) random() func(api *agenttest.API) {
	if p.schedule == "" {
		return p.push()
	}
	switch p.e.random.IntN(10) {
	case 0, 1:
		return p.push()
	case 2, 3, 4:
		return p.backfill()
	case 5, 6:
		return p.kill()
	case 7:
		return p.skip()
	}
	return p.toggle()
}

func (p *pushed) push() func(*agenttest.API) {
	p.next++
	revision := fmt.Sprintf("r%d", p.next)
	var w strings.Builder
	fmt.Fprintf(&w, "timezone: UTC\nschedule: {daily>: 03:00:00}\n_export: {revision: %s}\n", revision)
	for i := range 1 + p.e.random.IntN(3) {
		fmt.Fprintf(&w, "+t%d: %s\n", i, p.e.marks.Task(float64(p.e.random.IntN(200))/1000))
	}
	archive, err := agenttest.Tarball(map[string]string{pushedWorkflow + ".dig": w.String()})
	if err != nil {
		p.e.t.Fatal(err)
	}
	r := agenttest.Request{
		Method: http.MethodPut, Type: "application/gzip", Body: archive,
		Path: "/api/projects?" + url.Values{"project": {pushedProject}, "revision": {revision}}.Encode(),
	}
	return func(api *agenttest.API) {
		_, err := api.Ask(r)
		p.unexpected(err)
		switch {
		case err == nil:
			p.revisions = append(p.revisions, revision)
			p.live = []string{revision}
		case !settled(err):
			p.live = append(p.live, revision)
		}
		p.find(api)
	}
}

// find looks for the schedule, once.
func (p *pushed) find(api *agenttest.API) {
	var list struct{ Schedules []wireSchedule }
	if p.schedule != "" || len(p.revisions) == 0 || api.Into(&list, agenttest.Get("/api/schedules")) != nil {
		return
	}
	if len(list.Schedules) != 1 {
		p.e.t.Errorf("%d schedules, want 1", len(list.Schedules))
		return
	}
	p.schedule, p.disabled = list.Schedules[0].ID, []bool{false}
}

func (p *pushed) backfill() func(*agenttest.API) {
	p.next++
	b := &backfill{name: fmt.Sprintf("b%d", p.next), count: 1 + p.e.random.IntN(5)}
	from := time.Now().UTC().AddDate(0, 0, -10-p.e.random.IntN(300)).Format(time.RFC3339)
	r := agenttest.Send(http.MethodPost, "/api/schedules/"+p.schedule+"/backfill", map[string]any{
		"fromTime": from, "attemptName": b.name, "count": b.count, "dryRun": false,
	})
	return func(api *agenttest.API) {
		var out struct{ Attempts []wireAttempt }
		err := api.Into(&out, r)
		p.unexpected(err)
		if err != nil && settled(err) {
			return
		}
		p.backfills = append(p.backfills, b)
		for _, a := range out.Attempts {
			b.attempts = append(b.attempts, a.ID)
		}
		if err == nil && len(out.Attempts) != b.count {
			p.e.t.Errorf("a backfill of %d has %d attempts", b.count, len(out.Attempts))
		}
	}
}

// kill kills an attempt of one of the last backfills, as a rule one that waits.
func (p *pushed) kill() func(*agenttest.API) {
	var all []uint64
	for _, b := range p.backfills[max(0, len(p.backfills)-2):] {
		if len(b.attempts) > 0 {
			all = append(all, b.attempts[len(b.attempts)/2:]...)
		}
	}
	if len(all) == 0 {
		return p.backfill()
	}
	id := all[p.e.random.IntN(len(all))]
	return func(api *agenttest.API) {
		var a wireAttempt
		err := api.Into(&a, agenttest.Request{Method: http.MethodPost, Path: fmt.Sprintf("/api/attempts/%d/kill", id)})
		p.unexpected(err, http.StatusConflict)
		if err == nil && a.Done && !a.Success {
			p.dropped[id] = true
		}
	}
}

func (p *pushed) skip() func(*agenttest.API) {
	p.next++
	to := time.Now().UTC().AddDate(0, 0, 30+p.next).Truncate(24 * time.Hour)
	r := agenttest.Send(http.MethodPost, "/api/schedules/"+p.schedule+"/skip", map[string]any{
		"nextTime": to.Format(time.RFC3339), "dryRun": false,
	})
	return func(api *agenttest.API) {
		var s wireSchedule
		err := api.Into(&s, r)
		p.unexpected(err)
		switch {
		case err == nil:
			p.scheduled = []string{s.NextScheduleTime}
		case !settled(err):
			p.scheduled = nil
		}
	}
}

func (p *pushed) toggle() func(*agenttest.API) {
	what := "enable"
	disable := p.e.random.IntN(2) == 0
	if disable {
		what = "disable"
	}
	r := agenttest.Send(http.MethodPost, "/api/schedules/"+p.schedule+"/"+what, struct{}{})
	return func(api *agenttest.API) {
		_, err := api.Ask(r)
		p.unexpected(err)
		switch {
		case err == nil:
			p.disabled = []bool{disable}
		case !settled(err):
			p.disabled = append(p.disabled, disable)
		}
	}
}

// look compares what the agent shows with what it has acknowledged.
func (p *pushed) look(api *agenttest.API) {
	t := p.e.t
	t.Helper()
	if p.schedule == "" {
		return
	}
	var s wireSchedule
	if err := api.Into(&s, agenttest.Get("/api/schedules/%s", p.schedule)); err != nil {
		t.Errorf("the schedule: %v", err)
		return
	}
	if disabled := s.DisabledAt != nil; !slices.Contains(p.disabled, disabled) {
		t.Errorf("disabled %v, want one of %v", disabled, p.disabled)
	} else {
		p.disabled = []bool{disabled}
	}
	if p.scheduled != nil && !slices.Contains(p.scheduled, s.NextScheduleTime) {
		t.Errorf("the next session is %s, want one of %v", s.NextScheduleTime, p.scheduled)
	}
	p.scheduled = []string{s.NextScheduleTime}
	p.lookAtRevisions(api)
}

func (p *pushed) lookAtRevisions(api *agenttest.API) {
	t := p.e.t
	t.Helper()
	var projects struct {
		Projects []struct{ ID, Revision string }
	}
	if err := api.Into(&projects, agenttest.Get("/api/projects?name=%s", pushedProject)); err != nil || len(projects.Projects) != 1 {
		t.Errorf("the pushed project: %d, %v", len(projects.Projects), err)
		return
	}
	now := projects.Projects[0]
	if !slices.Contains(p.live, now.Revision) {
		t.Errorf("revision %s is live, want one of %v", now.Revision, p.live)
	}
	p.live = []string{now.Revision}
	var list struct{ Revisions []struct{ Revision string } }
	if err := api.Into(&list, agenttest.Get("/api/projects/%s/revisions", now.ID)); err != nil {
		t.Errorf("the revisions: %v", err)
		return
	}
	kept := map[string]int{}
	for _, r := range list.Revisions {
		kept[r.Revision]++
	}
	for name, n := range kept {
		if n > 1 {
			t.Errorf("revision %s is there %d times", name, n)
		}
	}
	for _, name := range p.revisions[max(0, len(p.revisions)-5):] {
		if kept[name] == 0 {
			t.Errorf("revision %s was acknowledged and is not there", name)
		}
	}
}

// finish compares the attempts of all backfills with what was acknowledged,
// once all are over and archived.
func (p *pushed) finish(api *agenttest.API) {
	t := p.e.t
	t.Helper()
	if p.schedule == "" {
		return
	}
	p.look(api)
	byName := map[string][]wireAttempt{}
	for last := ""; ; {
		var page struct{ Attempts []wireAttempt }
		if err := api.Into(&page, agenttest.Get("/api/attempts?project=%s&include_retried=true%s", pushedProject, last)); err != nil {
			t.Fatal(err)
		}
		if len(page.Attempts) == 0 {
			break
		}
		for _, a := range page.Attempts {
			byName[a.Name] = append(byName[a.Name], a)
			last = fmt.Sprintf("&last_id=%d", a.ID)
		}
	}
	for _, b := range p.backfills {
		found := byName[b.name]
		delete(byName, b.name)
		slices.Reverse(found)
		p.compare(b, found)
	}
	delete(byName, "") // a tick, if the time has come
	if len(byName) > 0 {
		t.Errorf("attempts that nobody asked for: %v", slices.Collect(maps.Keys(byName)))
	}
}

// compare looks at one backfill: all of it or, unless it was acknowledged,
// nothing; each session once; each attempt behind the one before it.
func (p *pushed) compare(b *backfill, found []wireAttempt) {
	t := p.e.t
	t.Helper()
	if len(found) == 0 && len(b.attempts) == 0 {
		return
	}
	var ids []uint64
	sessions := map[string]bool{}
	for _, a := range found {
		ids = append(ids, a.ID)
		sessions[a.SessionTime] = true
	}
	if len(found) != b.count || len(sessions) != b.count || len(b.attempts) > 0 && !slices.Equal(ids, b.attempts) {
		t.Errorf("backfill %s of %d, acknowledged as %v: attempts %v of %d sessions", b.name, b.count, b.attempts, ids, len(sessions))
	}
	var before *agenttest.Archived
	for _, id := range ids {
		a, err := agenttest.ReadArchived(p.e.data, id)
		if err != nil {
			t.Error(err)
			return
		}
		if before != nil && !a.Started.IsZero() && a.Started.Before(before.FinishedAt) {
			t.Errorf("attempt %d of backfill %s started at %v, before the one ahead of it ended at %v", id, b.name, a.Started, before.FinishedAt)
		}
		if p.dropped[id] && (a.Tasks > 0 || !a.Killed || a.Succeeded) {
			t.Errorf("attempt %d was dropped while it waited, and has %d tasks, killed %v, success %v", id, a.Tasks, a.Killed, a.Succeeded)
		}
		before = a
	}
}
