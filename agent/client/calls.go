package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"gitdag/agent/api"
)

// Page selects a part of a list: Size entries behind LastID in the list's order.
// Zero values leave the choice to the agent.
type Page struct {
	LastID api.ID
	Size   int
}

func (p Page) query() url.Values { return p.sized("page_size") }

// sized calls the size as the list does.
func (p Page) sized(size string) url.Values {
	q := url.Values{}
	if p.LastID != 0 {
		q.Set("last_id", p.LastID.String())
	}
	if p.Size != 0 {
		q.Set(size, strconv.Itoa(p.Size))
	}
	return q
}

// fullPage is how many entries a list has unless told otherwise.
const fullPage = 100

// Full tells whether so many entries fill the page: there may be more behind it.
func (p Page) Full(entries int) bool {
	if p.Size == 0 {
		return entries >= fullPage
	}
	return entries >= p.Size
}

// lists are the answers of which each has one.
type lists struct {
	Projects  []api.Project
	Workflows []api.Workflow
	Schedules []api.Schedule
	Sessions  []api.Session
	Attempts  []api.Attempt
	Tasks     []api.Task
	Files     []api.LogFile
}

func (c *Client) lists(ctx context.Context, query url.Values, path ...string) (l lists, err error) {
	return l, c.get(ctx, &l, query, path...)
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
