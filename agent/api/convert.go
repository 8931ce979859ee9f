package api

import (
	"strconv"
	"time"

	"gitdag/engine/dig"
	"gitdag/engine/flow"
	"gitdag/engine/params"
	"gitdag/engine/tasklog"
)

// zone returns a workflow's zone. Zones are read from files, so they are kept;
// only those of deployed workflows are ever asked for.
func (s *server) zone(name string) *time.Location {
	if z, ok := s.zones.Load(name); ok {
		return z.(*time.Location)
	}
	z, err := dig.Zone(name)
	if err != nil {
		z = time.UTC // deployed by a version that knew the name
	}
	s.zones.Store(name, z)
	return z
}

func object(m *params.Map) *params.Map {
	if m == nil {
		return params.NewMap(0)
	}
	return m
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func optionalID(id uint64) *ID {
	if id == 0 {
		return nil
	}
	v := ID(id)
	return &v
}

func projectOf(p *flow.Project) Project {
	out := Project{
		ID: ID(p.ID), Name: p.Name, Revision: p.Revision, CreatedAt: Instant{p.CreatedAt}, UpdatedAt: Instant{p.UpdatedAt},
	}
	out.ArchiveType, out.ArchiveMD5 = archiveOf(p.RevisionNamed(p.Revision))
	return out
}

func named(p *flow.Project) Named { return Named{ID(p.ID), p.Name} }

func (s *server) attemptOf(r *flow.Record) Attempt {
	a := &r.Attempt
	return Attempt{
		Status: status(r), ID: ID(a.ID), Index: a.Index,
		Project:   Named{ID(a.Project), a.ProjectName},
		Workflow:  WorkflowRef{a.Workflow, optionalID(a.Definition)},
		SessionID: ID(r.Session.ID), SessionUUID: r.Session.UUID, SessionTime: s.inZone(r.Session.Time, a.Timezone),
		RetryAttemptName: optional(a.RetryName),
		Done:             done(r), Success: r.Succeeded, CancelRequested: r.Killed, Params: object(a.Params.Map),
		CreatedAt: Instant{r.CreatedAt}, FinishedAt: Instant{r.FinishedAt},
	}
}

func (s *server) sessionOf(r *flow.Record) Session {
	a := s.attemptOf(r)
	return Session{
		ID: a.SessionID, Project: a.Project, Workflow: a.Workflow,
		SessionUUID: a.SessionUUID, SessionTime: a.SessionTime,
		LastAttempt: &LastAttempt{
			ID: a.ID, RetryAttemptName: a.RetryAttemptName, Done: a.Done, Success: a.Success,
			CancelRequested: a.CancelRequested, Params: a.Params, CreatedAt: a.CreatedAt, FinishedAt: a.FinishedAt,
		},
	}
}

func taskOf(r flow.Row) Task {
	t := Task{
		ID: ID(r.ID), FullName: r.FullName, ParentID: optionalID(r.Parent),
		Config: object(r.Config), Upstreams: make([]ID, len(r.Upstreams)),
		State: r.State.String(), CancelRequested: r.Canceling,
		ExportParams: object(r.Export), StoreParams: object(r.Store), StateParams: object(r.OpState),
		UpdatedAt: Instant{r.UpdatedAt}, RetryAt: Instant{r.RetryAt}, StartedAt: Instant{r.StartedAt},
		Error: object(r.Error), IsGroup: r.Group,
	}
	for i, id := range r.Upstreams {
		t.Upstreams[i] = ID(id)
	}
	if r.Export.Len() > 0 {
		t.Config = t.Config.Clone()
		t.Config.Set("_export", r.Export)
	}
	if r.Returned.Len() > 0 {
		t.ExportParams = params.Merge(t.ExportParams, r.Returned)
	}
	if r.Retries > 0 {
		t.StateParams = t.StateParams.Clone()
		t.StateParams.Set("retry_count", params.Number(strconv.Itoa(r.Retries)))
	}
	if r.State == flow.RetryWaiting { // what failed before is not its error yet
		t.Error = object(nil)
	}
	return t
}

func logFileOf(i *tasklog.Info) LogFile {
	return LogFile{FileName: i.Name, FileSize: i.Size, TaskName: i.FullName, FileTime: Instant{i.Time}, AgentID: i.Agent}
}
