package client

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"gitdag/agent/api"
)

// Conflict is the error of a start whose session has an attempt of its name
// already.
type Conflict struct{ Attempt api.Attempt }

func (e *Conflict) Error() string {
	return fmt.Sprintf("the session has attempt %s of this name already", e.Attempt.ID)
}

// conflict tells a refused start, whose answer is an attempt, from another
// refusal.
func conflict(refused *Refused, text []byte) error {
	var a api.Attempt
	if json.Unmarshal(text, &a) == nil && a.ID != 0 {
		return &Conflict{a}
	}
	return refused
}

// Page selects a part of a list: Size entries older than LastID. Zero values
// leave the choice to the agent.
type Page struct {
	LastID api.ID
	Size   int
}

func (p Page) query() url.Values {
	q := url.Values{}
	if p.LastID != 0 {
		q.Set("last_id", p.LastID.String())
	}
	if p.Size != 0 {
		q.Set("page_size", strconv.Itoa(p.Size))
	}
	return q
}

// Status asks what the agent is and does.
func (c *Client) Status(ctx context.Context) (*api.Status, error) {
	var s api.Status
	return &s, c.get(ctx, &s, nil, "api", "status")
}

// Version asks for the agent's version; it needs no token.
func (c *Client) Version(ctx context.Context) (string, error) {
	var v api.Version
	err := c.get(ctx, &v, nil, "api", "version")
	return v.Version, err
}

// Ready asks once whether the agent is ready; it needs no token.
func (c *Client) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	response, err := c.send(ctx, call{method: http.MethodGet, path: []string{"readyz"}})
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// Sync has a repository polled at once, or all of them if the name is empty,
// and returns their names.
func (c *Client) Sync(ctx context.Context, repo string) ([]string, error) {
	to := call{method: http.MethodPost, path: []string{"api", "sync"}, body: struct{}{}}
	if repo != "" {
		to.query = url.Values{"repo": {repo}}
	}
	var synced api.Synced
	err := c.decode(ctx, to, &synced)
	return synced.Repositories, err
}

// Project looks a project up by its name.
func (c *Client) Project(ctx context.Context, name string) (api.Project, error) {
	var list struct{ Projects []api.Project }
	if err := c.get(ctx, &list, url.Values{"name": {name}}, "api", "projects"); err != nil {
		return api.Project{}, err
	}
	if len(list.Projects) == 0 {
		return api.Project{}, notFound("there is no project %q", name)
	}
	return list.Projects[0], nil
}

// Workflow looks a live workflow up by its name.
func (c *Client) Workflow(ctx context.Context, project api.Project, name string) (api.Workflow, error) {
	return c.WorkflowAt(ctx, api.Named{ID: project.ID, Name: project.Name}, name, "")
}

// WorkflowAt looks a workflow up by its name in a revision of its project; ""
// is the one that is live.
func (c *Client) WorkflowAt(ctx context.Context, project api.Named, name, revision string) (api.Workflow, error) {
	q := url.Values{"name": {name}}
	in := ""
	if revision != "" {
		q.Set("revision", revision)
		in = " of revision " + revision
	}
	var list struct{ Workflows []api.Workflow }
	if err := c.get(ctx, &list, q, "api", "projects", project.ID.String(), "workflows"); err != nil {
		return api.Workflow{}, err
	}
	if len(list.Workflows) == 0 {
		return api.Workflow{}, notFound("there is no workflow %q in project %q%s", name, project.Name, in)
	}
	return list.Workflows[0], nil
}

func notFound(format string, args ...any) error {
	return &Refused{Status: http.StatusNotFound, Message: fmt.Sprintf(format, args...)}
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

// Attempts lists the newest attempt of each session, newest first.
func (c *Client) Attempts(ctx context.Context, p Page) ([]api.Attempt, error) {
	return c.attempts(ctx, p, "api", "attempts")
}

// SessionAttempts lists the attempts of a session, newest first.
func (c *Client) SessionAttempts(ctx context.Context, session api.ID, p Page) ([]api.Attempt, error) {
	return c.attempts(ctx, p, "api", "sessions", session.String(), "attempts")
}

func (c *Client) attempts(ctx context.Context, p Page, path ...string) ([]api.Attempt, error) {
	var list struct{ Attempts []api.Attempt }
	err := c.get(ctx, &list, p.query(), path...)
	return list.Attempts, err
}

// Attempt asks for one attempt.
func (c *Client) Attempt(ctx context.Context, id api.ID) (api.Attempt, error) {
	var a api.Attempt
	err := c.get(ctx, &a, nil, "api", "attempts", id.String())
	return a, err
}

// Tasks lists the tasks of an attempt.
func (c *Client) Tasks(ctx context.Context, attempt api.ID) ([]api.Task, error) {
	var list struct{ Tasks []api.Task }
	err := c.get(ctx, &list, nil, "api", "attempts", attempt.String(), "tasks")
	return list.Tasks, err
}

// Schedules lists all schedules, page by page.
func (c *Client) Schedules(ctx context.Context) ([]api.Schedule, error) {
	const size = 100
	all := []api.Schedule{}
	for page := (Page{Size: size}); ; {
		var list struct{ Schedules []api.Schedule }
		if err := c.get(ctx, &list, page.query(), "api", "schedules"); err != nil {
			return nil, err
		}
		all = append(all, list.Schedules...)
		if len(list.Schedules) < size {
			return all, nil
		}
		page.LastID = all[len(all)-1].ID
	}
}

// Logs lists the logs of those tasks of an attempt whose names begin with a
// prefix.
func (c *Client) Logs(ctx context.Context, attempt api.ID, prefix string) ([]api.LogFile, error) {
	q := url.Values{}
	if prefix != "" {
		q.Set("task", prefix)
	}
	var list struct{ Files []api.LogFile }
	err := c.get(ctx, &list, q, "api", "logs", attempt.String(), "files")
	return list.Files, err
}

// Log returns what a log has from an offset on. The caller closes it. A log that
// is cut off on its way ends early, and can be asked for again from there.
func (c *Client) Log(ctx context.Context, attempt api.ID, name string, offset int64) (io.ReadCloser, error) {
	to := call{method: http.MethodGet, path: []string{"api", "logs", attempt.String(), "files", name}}
	if offset > 0 {
		to.query = url.Values{"offset": {strconv.FormatInt(offset, 10)}}
	}
	response, err := c.send(ctx, to)
	if err != nil {
		return nil, err
	}
	unpacked, err := gzip.NewReader(response.Body)
	if err != nil && !cutOff(err) {
		response.Body.Close()
		return nil, fmt.Errorf("read log %s: %w", name, err)
	}
	return &logReader{unpacked, response.Body}, nil
}

// logReader unpacks a log. Packed is nil for one without any content.
type logReader struct {
	packed *gzip.Reader
	body   io.Closer
}

func (r *logReader) Read(p []byte) (int, error) {
	if r.packed == nil {
		return 0, io.EOF
	}
	n, err := r.packed.Read(p)
	if cutOff(err) {
		err = io.EOF
	}
	return n, err
}

func (r *logReader) Close() error { return r.body.Close() }

func cutOff(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) }
