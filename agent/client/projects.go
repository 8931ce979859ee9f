package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"gitdag/agent/api"
)

// Filter selects a part of a list of projects or workflows. Without a Size all
// pages are read.
type Filter struct {
	Page
	// Pattern is a part of the name; "" for any.
	Pattern string
	// Order is asc or desc, by id; only for workflows, where "" means asc.
	Order string
}

func (f Filter) query() url.Values {
	q := f.sized("count")
	if f.Pattern != "" {
		q.Set("name_pattern", f.Pattern)
	}
	if f.Order != "" {
		q.Set("order", f.Order)
	}
	return q
}

// pages reads one page of a list, or all if the filter names no size.
func pages[T any](f Filter, read func(url.Values) ([]T, error), id func(*T) api.ID) ([]T, error) {
	if f.Size != 0 {
		return read(f.query())
	}
	f.Size = fullPage
	all := []T{}
	for {
		page, err := read(f.query())
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if len(page) < fullPage {
			return all, nil
		}
		f.LastID = id(&page[len(page)-1])
	}
}

// Projects lists projects, the oldest first.
func (c *Client) Projects(ctx context.Context, f Filter) ([]api.Project, error) {
	return pages(f, func(q url.Values) ([]api.Project, error) {
		l, err := c.lists(ctx, q, "api", "projects")
		return l.Projects, err
	}, func(p *api.Project) api.ID { return p.ID })
}

// Project looks a project up by its name.
func (c *Client) Project(ctx context.Context, name string) (api.Project, error) {
	l, err := c.lists(ctx, url.Values{"name": {name}}, "api", "projects")
	if err != nil {
		return api.Project{}, err
	}
	if len(l.Projects) == 0 {
		return api.Project{}, notFound("there is no project %q", name)
	}
	return l.Projects[0], nil
}

// Push is an archive that becomes a revision of a project.
type Push struct {
	Project, Revision string
	// ScheduleFrom is when new and changed schedules begin; zero for now.
	ScheduleFrom time.Time
	// Archive is a tar.gz of Size bytes.
	Archive io.Reader
	Size    int64
}

// Push uploads a revision and returns the project with it.
func (c *Client) Push(ctx context.Context, p Push) (api.Project, error) {
	q := url.Values{"project": {p.Project}, "revision": {p.Revision}}
	if !p.ScheduleFrom.IsZero() {
		q.Set("schedule_from", p.ScheduleFrom.UTC().Format(time.RFC3339))
	}
	var project api.Project
	err := c.decode(ctx, call{
		method: http.MethodPut, path: []string{"api", "projects"}, query: q, upload: &upload{p.Archive, p.Size},
	}, &project)
	return project, err
}

// DeleteProject deletes a project and returns it as it was.
func (c *Client) DeleteProject(ctx context.Context, id api.ID) (api.Project, error) {
	var p api.Project
	err := c.decode(ctx, call{method: http.MethodDelete, path: []string{"api", "projects", id.String()}}, &p)
	return p, err
}

// maxHops is how often an archive may lie elsewhere.
const maxHops = 10

// Archive opens the archive of a revision, a tar.gz, also where it lies in an
// object store. The caller closes it.
func (c *Client) Archive(ctx context.Context, project api.ID, revision string) (io.ReadCloser, error) {
	q := url.Values{"revision": {revision}}
	response, err := c.open(ctx, c.direct(q), "api", "projects", project.String(), "archive")
	var moved *elsewhere
	for hops := 0; errors.As(err, &moved); hops++ {
		if hops == maxHops {
			return nil, fmt.Errorf("the archive of revision %s moved more than %d times", revision, maxHops)
		}
		response, err = c.fetch(ctx, moved.to)
	}
	if err != nil {
		return nil, err
	}
	return response.Body, nil
}

// direct adds to a query whether the answer may be an address of an object
// store.
func (c *Client) direct(q url.Values) url.Values {
	if c.indirect {
		q.Set("direct_download", "false")
	}
	return q
}

// fetch asks an address that the agent has named, without what is the agent's
// alone: the token and the other headers.
func (c *Client) fetch(ctx context.Context, from *url.URL) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("make a request: %w", err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		var outer *url.Error
		if errors.As(err, &outer) {
			err = outer.Err // without the URL, which lets in whoever has it
		}
		return nil, fmt.Errorf("download from %s: %w", from.Host, err)
	}
	return succeeded(response)
}

// Workflows lists the live workflows of all projects.
func (c *Client) Workflows(ctx context.Context, f Filter) ([]api.Workflow, error) {
	if f.Order == "" {
		f.Order = "asc"
	}
	return pages(f, func(q url.Values) ([]api.Workflow, error) {
		l, err := c.lists(ctx, q, "api", "workflows")
		return l.Workflows, err
	}, func(w *api.Workflow) api.ID { return w.ID })
}

// ProjectWorkflows lists the live workflows of a project.
func (c *Client) ProjectWorkflows(ctx context.Context, project api.ID) ([]api.Workflow, error) {
	l, err := c.lists(ctx, nil, "api", "projects", project.String(), "workflows")
	return l.Workflows, err
}

// Workflow looks a workflow up by its name in a revision of its project; "" is
// the one that is live.
func (c *Client) Workflow(ctx context.Context, project api.Named, name, revision string) (api.Workflow, error) {
	q := url.Values{"name": {name}}
	in := ""
	if revision != "" {
		q.Set("revision", revision)
		in = " of revision " + revision
	}
	l, err := c.lists(ctx, q, "api", "projects", project.ID.String(), "workflows")
	if err != nil {
		return api.Workflow{}, err
	}
	if len(l.Workflows) == 0 {
		return api.Workflow{}, notFound("there is no workflow %q in project %q%s", name, project.Name, in)
	}
	return l.Workflows[0], nil
}
