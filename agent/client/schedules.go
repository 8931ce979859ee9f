package client

import (
	"context"
	"net/http"
	"net/url"

	"gitdag/agent/api"
)

// Schedules lists all schedules, page by page.
func (c *Client) Schedules(ctx context.Context) ([]api.Schedule, error) {
	all := []api.Schedule{}
	for page := (Page{}); ; page.LastID = all[len(all)-1].ID {
		l, err := c.lists(ctx, page.query(), "api", "schedules")
		if err != nil {
			return nil, err
		}
		all = append(all, l.Schedules...)
		if len(l.Schedules) < fullPage {
			return all, nil
		}
	}
}

// ProjectSchedules lists a page of the schedules of a project; the one behind
// the last is empty.
func (c *Client) ProjectSchedules(ctx context.Context, project api.ID, p Page) ([]api.Schedule, error) {
	l, err := c.lists(ctx, p.query(), "api", "projects", project.String(), "schedules")
	return l.Schedules, err
}

// ScheduleOf looks up the schedule of a workflow.
func (c *Client) ScheduleOf(ctx context.Context, project api.Named, workflow string) (api.Schedule, error) {
	l, err := c.lists(ctx, url.Values{"workflow": {workflow}}, "api", "projects", project.ID.String(), "schedules")
	if err != nil {
		return api.Schedule{}, err
	}
	if len(l.Schedules) == 0 {
		return api.Schedule{}, notFound("there is no schedule of a workflow %q in project %q", workflow, project.Name)
	}
	return l.Schedules[0], nil
}

// Schedule asks for one schedule.
func (c *Client) Schedule(ctx context.Context, id api.ID) (api.Schedule, error) {
	var s api.Schedule
	err := c.get(ctx, &s, nil, "api", "schedules", id.String())
	return s, err
}

// Disable stops a schedule until it is enabled.
func (c *Client) Disable(ctx context.Context, schedule api.ID) (api.ScheduleSummary, error) {
	return c.summary(ctx, schedule, "disable", struct{}{})
}

// Enable has a schedule go on.
func (c *Client) Enable(ctx context.Context, schedule api.ID) (api.ScheduleSummary, error) {
	return c.summary(ctx, schedule, "enable", struct{}{})
}

// Skip moves a schedule on.
func (c *Client) Skip(ctx context.Context, schedule api.ID, in api.SkipRequest) (api.ScheduleSummary, error) {
	return c.summary(ctx, schedule, "skip", in)
}

func (c *Client) summary(ctx context.Context, schedule api.ID, action string, body any) (api.ScheduleSummary, error) {
	var s api.ScheduleSummary
	err := c.decode(ctx, c.ofSchedule(schedule, action, body), &s)
	return s, err
}

// Backfill starts attempts of what a schedule had in the past.
func (c *Client) Backfill(ctx context.Context, schedule api.ID, in api.BackfillRequest) (api.BackfillResult, error) {
	var r api.BackfillResult
	err := c.decode(ctx, c.ofSchedule(schedule, "backfill", in), &r)
	return r, err
}

func (*Client) ofSchedule(schedule api.ID, action string, body any) call {
	return call{method: http.MethodPost, path: []string{"api", "schedules", schedule.String(), action}, body: body}
}
