package client

import (
	"context"
	"net/http"
	"net/url"

	"gitdag/agent/api"
)

// Start starts an attempt. The error is a [*Conflict] if the session has one of
// the name.
func (c *Client) Start(ctx context.Context, in api.StartRequest) (api.Attempt, error) {
	var a api.Attempt
	err := c.decode(ctx, call{method: http.MethodPut, path: []string{"api", "attempts"}, body: in}, &a)
	return a, err
}

// Kill asks for the end of an attempt and returns it as it is then.
func (c *Client) Kill(ctx context.Context, attempt api.ID) (api.Attempt, error) {
	var a api.Attempt
	err := c.decode(ctx, call{
		method: http.MethodPost, path: []string{"api", "attempts", attempt.String(), "kill"}, body: struct{}{},
	}, &a)
	return a, err
}

// Sessions lists sessions, newest first.
func (c *Client) Sessions(ctx context.Context, p Page) ([]api.Session, error) {
	l, err := c.lists(ctx, p.query(), "api", "sessions")
	return l.Sessions, err
}

// ProjectSessions lists the sessions of a project, newest first: of one
// workflow, or of all if that is "".
func (c *Client) ProjectSessions(ctx context.Context, project api.ID, workflow string, p Page) ([]api.Session, error) {
	q := p.query()
	if workflow != "" {
		q.Set("workflow", workflow)
	}
	l, err := c.lists(ctx, q, "api", "projects", project.String(), "sessions")
	return l.Sessions, err
}

// Session asks for one session.
func (c *Client) Session(ctx context.Context, id api.ID) (api.Session, error) {
	var s api.Session
	err := c.get(ctx, &s, nil, "api", "sessions", id.String())
	return s, err
}

// Attempts lists the newest attempt of each session, newest first.
func (c *Client) Attempts(ctx context.Context, p Page) ([]api.Attempt, error) {
	l, err := c.lists(ctx, p.query(), "api", "attempts")
	return l.Attempts, err
}

// SessionAttempts lists the attempts of a session, newest first.
func (c *Client) SessionAttempts(ctx context.Context, session api.ID, p Page) ([]api.Attempt, error) {
	l, err := c.lists(ctx, p.query(), "api", "sessions", session.String(), "attempts")
	return l.Attempts, err
}

// Attempt asks for one attempt.
func (c *Client) Attempt(ctx context.Context, id api.ID) (api.Attempt, error) {
	var a api.Attempt
	err := c.get(ctx, &a, nil, "api", "attempts", id.String())
	return a, err
}

// Tasks lists the tasks of an attempt.
func (c *Client) Tasks(ctx context.Context, attempt api.ID) ([]api.Task, error) {
	l, err := c.lists(ctx, nil, "api", "attempts", attempt.String(), "tasks")
	return l.Tasks, err
}

// SessionTime has a time, with an offset or as the workflow's clock shows it,
// moved to where a mode puts it: "hour", "day" or "" for where it is.
func (c *Client) SessionTime(ctx context.Context, workflow api.ID, text, mode string) (api.SessionTime, error) {
	q := url.Values{"session_time": {text}}
	if mode != "" {
		q.Set("mode", mode)
	}
	var t api.SessionTime
	err := c.get(ctx, &t, q, "api", "workflows", workflow.String(), "truncated_session_time")
	return t, err
}
