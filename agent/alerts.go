package agent

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"gitdag/engine"
	"gitdag/engine/dig"
	"gitdag/engine/flow"
	"gitdag/engine/tasklog"
	"gitdag/notify"
	"gitdag/notify/slack"
)

// channelName is the name of the one channel.
const channelName = "slack"

// alerter delivers the engine's alerts through the configured channel.
type alerter struct {
	courier notify.Courier
	routes  []notify.Route
	logs    *tasklog.Store
	url     string // under which people reach the agent; empty if unknown
	log     *slog.Logger
}

// newAlerter makes the channel that the configuration names. fallback is where
// alerts go without one.
func newAlerter(c *Config, fallback notify.Sender, logs *tasklog.Store, log *slog.Logger) (*alerter, error) {
	a := &alerter{logs: logs, url: strings.TrimRight(c.ExternalURL, "/"), log: log}
	sender := fallback
	if s := c.Alerts.Slack; s != (Slack{}) {
		o := slack.Options{Channel: s.Channel, APIURL: s.APIURL}
		switch {
		case s.WebhookURLFile != "":
			o.Webhook = notify.File(s.WebhookURLFile)
		case s.WebhookURL != "":
			o.Webhook = notify.Literal(s.WebhookURL)
		default:
			o.Token = notify.File(s.TokenFile)
		}
		var err error
		if sender, err = slack.New(o); err != nil {
			return nil, err
		}
	}
	if sender == nil {
		sender = notify.Logger{Log: log}
	}
	a.courier = notify.Courier{Channels: map[string]notify.Sender{channelName: sender}, Log: log}
	a.routes = []notify.Route{notify.Everything(channelName)}
	return a, nil
}

// deliver makes one try to send an alert.
func (a *alerter) deliver(ctx context.Context, d *flow.Deliver) engine.Delivery {
	alert := a.alert(d)
	targets, reason := notify.Decide(a.routes, alert)
	if len(targets) == 0 {
		a.log.Debug("an alert goes nowhere", "alert", d.ID, "reason", string(reason))
		return engine.Delivery{Thread: d.Thread}
	}
	out, err := a.courier.Deliver(ctx, alert, targets[0], d.Tries)
	switch {
	case err != nil:
		return engine.Delivery{Why: err.Error(), Retry: time.Now().Add(time.Second)}
	case out.Action == notify.Delivered:
		return engine.Delivery{Thread: flow.Thread{Channel: out.Receipt.Channel, TS: out.Receipt.TS}}
	case out.Action == notify.GiveUp:
		return engine.Delivery{Why: out.Reason}
	}
	return engine.Delivery{Why: out.Reason, Retry: out.At}
}

// alert fills in what a message shows.
func (a *alerter) alert(d *flow.Deliver) notify.Alert {
	f := &d.Alert
	session := f.Session
	if zone, err := dig.Zone(f.Timezone); err == nil && !session.IsZero() {
		session = session.In(zone)
	}
	alert := notify.Alert{
		Key: strconv.FormatUint(d.ID, 10), Kind: notify.Kind(f.Kind), At: f.At,
		Repo: f.Repo, Project: f.Project, Workflow: f.Workflow, Session: session,
		Attempt: f.Attempt, Task: f.Task, Message: f.Message, Diagnostics: f.Details,
		ProjectID: f.ProjectID, SessionID: f.SessionID, DefinitionID: f.Definition, SessionUUID: f.SessionUUID,
		Timezone: f.Timezone, RevisionName: f.Revision,
		Revision: toNotify(f.Commit, f.Revision), Count: f.Failures,
		Duration: f.Duration, Next: f.Next,
		Thread: notify.Receipt{Channel: d.Thread.Channel, TS: d.Thread.TS},
	}
	if f.Failures > 1 || f.Kind != flow.AlertFailed {
		// A first failure fails since now.
		alert.Since, alert.FailingSince = f.Since, notify.Commit{ID: f.SinceRev}
	}
	if a.url != "" && f.Attempt != 0 {
		alert.Link = a.url + "/api/attempts/" + strconv.FormatUint(f.Attempt, 10)
	}
	if f.Attempt != 0 && f.TaskID != 0 {
		lines, err := a.logs.Tail(f.Attempt, f.TaskID, notify.LogLines+ownLines)
		if err != nil {
			a.log.Warn("the log for an alert could not be read", "attempt", f.Attempt, "err", err)
		}
		alert.LogTail = printed(lines)
	}
	return alert
}

func toNotify(c flow.Commit, revision string) notify.Commit {
	if c.ID == "" {
		c.ID = revision
	}
	return notify.Commit{ID: c.ID, Author: c.Author, Subject: c.Subject}
}
