package notify

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
)

// maxError bounds the error text of a payload, in characters: a program may cut it
// further, and an output of many megabytes must not become a request.
const maxError = 16_000

// payload is an alert as programs read it: Digdag's notification first, with its names
// and types, then what Digdag does not tell. Absent values are null, so that a template
// may name any key.
type payload struct {
	Timestamp    string  `json:"timestamp"`
	Message      string  `json:"message"`
	Site         int     `json:"site_id"`
	ProjectID    *uint64 `json:"project_id"`
	Project      *string `json:"project_name"`
	Workflow     *string `json:"workflow_name"`
	Revision     *string `json:"revision"`
	Attempt      *uint64 `json:"attempt_id"`
	SessionID    *uint64 `json:"session_id"`
	Task         *string `json:"task_name"`
	Timezone     *string `json:"timezone"`
	SessionUUID  *string `json:"session_uuid"`
	SessionTime  *string `json:"session_time"`
	DefinitionID *uint64 `json:"workflow_definition_id"`

	Event        Kind            `json:"event"`
	Title        string          `json:"title"`
	Error        *string         `json:"error"`
	FailedTask   *string         `json:"failed_task"`
	Link         *string         `json:"link"`
	Repository   *string         `json:"repository"`
	Commit       *payloadCommit  `json:"commit"`
	FailingSince *string         `json:"failing_since"`
	FirstFailed  *payloadCommit  `json:"failing_since_commit"`
	Failures     *int            `json:"failures"`
	Duration     *float64        `json:"duration_seconds"`
	Usual        *float64        `json:"usual_duration_seconds"`
	Deadline     *string         `json:"deadline"`
	Next         *string         `json:"next_run"`
	Diagnostics  []string        `json:"diagnostics"`
	Changes      []payloadCommit `json:"changes"`
	Log          []string        `json:"log"`
	Key          *string         `json:"alert_key"`
}

type payloadCommit struct {
	ID      string `json:"id"`
	Author  string `json:"author,omitempty"`
	Subject string `json:"subject,omitempty"`
	Link    string `json:"link,omitempty"`
}

// Payload writes an alert as one JSON object: Digdag's notification (its ids are
// numbers here), followed by keys of our own. It is a function of the alert alone.
func Payload(a Alert) []byte {
	m := Render(a)
	p := payload{
		Timestamp: a.At.UTC().Format("2006-01-02T15:04:05Z"),
		Message:   a.digdagMessage(m.Title),
		ProjectID: present(a.ProjectID), Project: present(a.Project), Workflow: present(a.Workflow),
		Revision: present(a.RevisionName), Attempt: present(a.Attempt), SessionID: present(a.SessionID),
		Task: present(a.digdagTask()), Timezone: present(a.Timezone), SessionUUID: present(a.SessionUUID),
		SessionTime: present(a.instant(a.Session)), DefinitionID: present(a.DefinitionID),

		Event: a.Kind, Title: m.Title, Link: present(a.Link), Repository: present(a.Repo),
		Commit: a.Revision.payload(), FirstFailed: a.FailingSince.payload(),
		FailingSince: present(a.instant(a.Since)), Failures: present(a.Count),
		Duration: present(a.Duration.Seconds()), Usual: present(a.Usual.Seconds()),
		Deadline: present(a.instant(a.Deadline)), Next: present(a.instant(a.Next)),
		Diagnostics: a.Diagnostics, Key: present(a.Key),
	}
	if p.Revision == nil {
		p.Revision = present(a.Revision.ID)
	}
	if a.Kind != Notice {
		p.Error, p.FailedTask = present(capped(a.Message, maxError)), present(a.Task)
	}
	if len(m.Log) > 0 {
		p.Log = m.Log
	}
	for _, c := range a.Changes {
		if c := c.payload(); c != nil {
			p.Changes = append(p.Changes, *c)
		}
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false) // people read it too
	if err := e.Encode(p); err != nil {
		panic("notify: " + err.Error()) // texts and finite numbers only: it cannot fail
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n"))
}

// digdagMessage is what Digdag says of an event. Of one that it does not know the
// title says it.
func (a Alert) digdagMessage(title string) string {
	switch a.Kind {
	case AttemptFailed:
		return "Workflow session attempt failed"
	case SLAMissed:
		return "SLA violation"
	case TimedOut:
		return "Workflow execution timeout"
	case Notice:
		return capped(a.Message, maxError)
	default:
		return title
	}
}

// digdagTask is the task that Digdag names: the one that stands for the notification.
func (a Alert) digdagTask() string {
	root := "+" + a.Workflow
	switch {
	case a.Workflow == "":
		return a.Task
	case a.Kind == AttemptFailed:
		return root + "^failure-alert"
	case a.Kind == SLAMissed:
		return root + "^sla^alert"
	case a.Kind == TimedOut && a.Task == "":
		return root
	default:
		return a.Task
	}
}

// instant writes a time in the session's zone, with its offset; "" for none.
func (a Alert) instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	if !a.Session.IsZero() {
		t = t.In(a.Session.Location())
	}
	return t.Format("2006-01-02T15:04:05-07:00")
}

func (c Commit) payload() *payloadCommit {
	if c.ID == "" {
		return nil
	}
	return &payloadCommit{ID: c.ID, Author: c.Author, Subject: strings.TrimSpace(c.Subject), Link: c.Link}
}

// present returns nil for the zero value.
func present[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}
