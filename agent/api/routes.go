package api

import "net/http"

// listing is the answer that holds a list under one key.
type listing struct {
	key string
	of  any // an element
}

// routes are all there are.
func (s *server) routes() []route {
	all := append(s.ourRoutes(), s.projectRoutes()...)
	all = append(all, s.workflowRoutes()...)
	all = append(all, s.scheduleRoutes()...)
	all = append(all, s.attemptRoutes()...)
	if s.admin {
		all = append(all, route{path: "/api/admin/attempts/{id}/userinfo", admin: true, get: &operation{
			do: s.userInfo, summary: "What is kept of who pushed the revision that an attempt runs", answer: anyObject{},
		}})
	}
	return append(all, s.documentRoutes()...)
}

// ourRoutes are those of the agent itself, and the version.
func (s *server) ourRoutes() []route {
	return []route{
		{path: "/livez", get: &operation{do: s.livez, summary: "Tells that the process answers", kind: plain}},
		{path: "/readyz", get: &operation{do: s.readyz, summary: "Tells whether every repository has been read once", kind: plain}},
		{path: "/api/version", get: &operation{do: s.showVersion, summary: "The version of the server", answer: Version{}}},
		{path: "/api/version/check", get: &operation{
			do: s.versionCheck, summary: "Tells a client whether it may go on", query: "client", answer: VersionCheck{},
		}},
		{path: "/api/status", get: &operation{do: s.showStatus, summary: "What the agent is and does", answer: Status{}}},
		{path: "/api/sync", post: &operation{
			do: s.syncNow, summary: "Has repositories polled at once", query: "repo",
			body: anyObject{}, bare: true, answer: Synced{}, status: http.StatusAccepted,
		}},
	}
}

func (s *server) projectRoutes() []route {
	return []route{
		{
			path: "/api/projects",
			get: &operation{
				do: s.projects, summary: "Live projects by ascending id, or the one of a name",
				query: "name name_pattern last_id count", answer: listing{"projects", Project{}},
			},
			put: &operation{
				do: s.push, summary: "Pushes a revision of a project",
				query:    "project revision schedule_from",
				bodyKind: gzipped, body: binary{}, answer: Project{},
			},
		},
		{
			path: "/api/projects/{id}",
			get:  &operation{do: s.project, summary: "A project", answer: Project{}},
			del:  &operation{do: s.deleteProject, summary: "Deletes a pushed project; answers with what it was", answer: Project{}},
		},
		{path: "/api/projects/{id}/revisions", get: &operation{
			do: s.revisions, summary: "The revisions of a project, newest first, or the one of a name",
			query: "name last_id page_size count", answer: listing{"revisions", Revision{}},
		}},
		{path: "/api/projects/{id}/archive", get: &operation{
			do: s.archive, summary: "The files of a revision as tar.gz", query: "revision direct_download", kind: gzipped,
		}},
		{path: "/api/projects/{id}/workflows", get: &operation{
			do: s.projectWorkflows, summary: "The workflows of a revision by name", query: "revision name", answer: listing{"workflows", Workflow{}},
		}},
		{path: "/api/projects/{id}/workflows/{name}", get: &operation{
			do: s.projectWorkflow, summary: "A workflow of a revision", query: "revision", answer: Workflow{},
		}},
		{path: "/api/projects/{id}/schedules", get: &operation{
			do: s.projectSchedules, summary: "The schedules of a project by ascending id, or that of a workflow",
			query: "workflow last_id page_size count", answer: listing{"schedules", Schedule{}},
		}},
		{path: "/api/projects/{id}/sessions", get: &operation{
			do: s.projectSessions, summary: "The sessions of a project, newest first",
			query: "workflow last_id page_size", answer: listing{"sessions", Session{}},
		}},
		{path: "/api/projects/{id}/secrets", get: &operation{
			do: s.secrets, summary: "The keys of a project's secrets", answer: listing{"secrets", Secret{}},
		}},
		{
			path: "/api/projects/{id}/secrets/{key}",
			put:  &operation{do: s.setSecret, summary: "Sets a secret", body: SecretRequest{}, answer: Secret{}},
			del:  &operation{do: s.deleteSecret, summary: "Removes a secret, if it is there", answer: Secret{}},
		},
		{path: "/api/projects/{id}/workflow", get: &operation{
			do: s.namedWorkflow, summary: "A workflow of a revision", query: "revision name", answer: Workflow{},
		}},
		{path: "/api/project", get: &operation{
			do: s.namedProject, summary: "The project of a name", query: "name", answer: Project{},
		}},
	}
}

func (s *server) workflowRoutes() []route {
	return []route{
		{path: "/api/workflows", get: &operation{
			do: s.workflows, summary: "The live workflows of all projects by id",
			query: "order name_pattern search_project_name last_id count", answer: listing{"workflows", Workflow{}},
		}},
		{path: "/api/workflows/{id}", get: &operation{do: s.workflow, summary: "A workflow definition of any revision", answer: Workflow{}}},
		{path: "/api/workflows/{id}/truncated_session_time", get: &operation{
			do: s.truncatedSessionTime, summary: "A time as a session time of a workflow",
			query: "session_time mode", answer: SessionTime{},
		}},
		{path: "/api/workflow", get: &operation{
			do: s.siteWorkflow, summary: "The workflow of a name in a project", query: "project revision name", answer: Workflow{},
		}},
	}
}

func (s *server) scheduleRoutes() []route {
	return []route{
		{path: "/api/schedules", get: &operation{
			do: s.schedules, summary: "All schedules by ascending id", query: "last_id page_size count", answer: listing{"schedules", Schedule{}},
		}},
		{path: "/api/schedules/{id}", get: &operation{do: s.schedule, summary: "A schedule", answer: Schedule{}}},
		{path: "/api/schedules/{id}/skip", post: &operation{
			do: s.skip, summary: "Moves a schedule on", body: SkipRequest{}, answer: ScheduleSummary{},
		}},
		{path: "/api/schedules/{id}/backfill", post: &operation{
			do: s.backfill, summary: "Starts attempts of what a schedule had in the past", body: BackfillRequest{}, answer: BackfillResult{},
		}},
		{path: "/api/schedules/{id}/disable", post: &operation{
			do: s.disable, summary: "Holds a schedule up", body: anyObject{}, bare: true, answer: ScheduleSummary{},
		}},
		{path: "/api/schedules/{id}/enable", post: &operation{
			do: s.enable, summary: "Lets a schedule go on", body: EnableRequest{}, bare: true, answer: ScheduleSummary{},
		}},
	}
}

func (s *server) attemptRoutes() []route {
	attempts := listing{"attempts", Attempt{}}
	return []route{
		{path: "/api/sessions", get: &operation{
			do: s.sessions, summary: "All sessions, newest first", query: "last_id page_size", answer: listing{"sessions", Session{}},
		}},
		{path: "/api/sessions/{id}", get: &operation{do: s.session, summary: "A session", answer: Session{}}},
		{path: "/api/sessions/{id}/attempts", get: &operation{
			do: s.sessionAttempts, summary: "The attempts of a session, newest first", query: "last_id page_size", answer: attempts,
		}},
		{
			path: "/api/attempts",
			get: &operation{
				do: s.attempts, summary: "Attempts, newest first: the newest of each session, or all",
				query: "project workflow include_retried last_id page_size", answer: attempts,
			},
			put: &operation{do: s.start, summary: "Starts an attempt", body: StartRequest{}, answer: Attempt{}, conflict: Attempt{}},
		},
		{path: "/api/attempts/{id}", get: &operation{do: s.attempt, summary: "An attempt", answer: Attempt{}}},
		{path: "/api/attempts/{id}/retries", get: &operation{
			do: s.retries, summary: "All attempts of the session of an attempt, oldest first", answer: attempts,
		}},
		{path: "/api/attempts/{id}/tasks", get: &operation{
			do: s.tasks, summary: "The tasks of an attempt by ascending id", answer: listing{"tasks", Task{}},
		}},
		{path: "/api/attempts/{id}/kill", post: &operation{
			do: s.kill, summary: "Asks for the end of an attempt", body: anyObject{}, bare: true, answer: Attempt{},
		}},
		{path: "/api/logs/{id}/files", get: &operation{
			do: s.logFiles, summary: "The logs of an attempt by name",
			query: "task exact direct_download", answer: listing{"files", LogFile{}},
		}},
		{path: "/api/logs/{id}/files/{name}", get: &operation{
			do: s.logFile, summary: "What a log has now, as gzip", query: "offset direct_download", kind: gzipped,
		}},
	}
}
