package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"gitdag/engine"
	"gitdag/engine/dig"
	"gitdag/engine/expr"
	"gitdag/engine/flow"
	"gitdag/engine/params"
	"gitdag/notify"
	"gitdag/notify/mail"
	"gitdag/notify/shell"
	"gitdag/notify/webhook"
)

// notification is what all keys of Digdag's notifications begin with (server.md 3.7).
const notification = "notification."

// notificationSender makes the channel that a configuration in Digdag's form names;
// nil if it names none. Wrong settings are errors that name the key.
func (c *cli) notificationSender(config properties) (notify.Sender, error) {
	r := &settings{values: config.below(notification), prefix: notification}
	kind := r.text("type", "")
	var build func(*settings) (notify.Sender, error)
	switch kind {
	case "":
		return nil, nil
	case "http":
		build = newWebhook
	case "mail":
		build = newMail
	case "shell":
		build = c.newShell
	default:
		return nil, r.wrong("type", fmt.Sprintf("must be mail, http or shell, not %q", kind))
	}
	backoff := notify.Backoff{
		Retries: r.number("retries", 10), First: r.millis("min_retry_wait", 1000), Longest: r.millis("max_retry_wait", 30_000),
		MaxAsked: 5 * time.Minute, // of a service's Retry-After: somebody may be waiting for `run`
		Stubborn: true,            // as Digdag: any error is tried again
	}
	prefix := notification + kind + "."
	of := &settings{values: config.below(prefix), prefix: prefix}
	sender, err := build(of)
	var setting *notify.SettingError
	switch {
	case r.err != nil:
		return nil, r.err
	case of.err != nil: // what follows from it is no news
		return nil, of.err
	case errors.As(err, &setting):
		return nil, of.wrong(setting.Name, setting.Reason)
	case err != nil:
		return nil, err
	}
	return notify.WithBackoff(sender, backoff), nil
}

func newWebhook(r *settings) (notify.Sender, error) {
	o := webhook.Options{Method: r.text("method", "")}
	if address := r.text("url", ""); address != "" {
		o.URL = notify.Literal(address)
	}
	for _, key := range slices.Sorted(maps.Keys(r.values)) {
		if name, ok := strings.CutPrefix(key, "headers."); ok {
			o.Headers = append(o.Headers, webhook.Header{Name: name, Value: notify.Literal(r.values[key])})
		}
	}
	return webhook.New(o)
}

// newShell gives the command this process's environment: it is the administrator's own.
func (c *cli) newShell(r *settings) (notify.Sender, error) {
	return shell.New(shell.Options{Command: r.text("command", ""), Timeout: r.millis("timeout", 30_000), Environ: c.environ()})
}

func newMail(r *settings) (notify.Sender, error) {
	o := mail.Options{
		Host: r.text("host", ""), Port: r.number("port", 0), Username: r.text("username", ""),
		Password: notify.Literal(r.values["password"]),
		From:     r.text("from", ""), To: r.list("to"), Cc: r.list("cc"), Bcc: r.list("bcc"),
		Subject: r.text("subject", "Digdag Notification"), HTML: r.flag("html", false),
		Evaluator: bodyTemplates{expr.New(expr.Options{})},
	}
	r.flag("debug", false) // accepted: there is nothing to show
	switch tls := r.flag("tls", true); {
	case r.flag("ssl", false):
		o.TLS = mail.Implicit
	case !tls:
		o.TLS = mail.Never
	}
	if file := r.text("body_template_file", ""); file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, r.wrong("body_template_file", err.Error())
		}
		o.BodyTemplate = string(text)
	}
	return mail.New(o)
}

// bodyTemplates evaluates the bodies of mails as workflows evaluate their texts.
type bodyTemplates struct{ evaluator *expr.Evaluator }

// Text implements [mail.Evaluator].
func (t bodyTemplates) Text(ctx context.Context, template string, vars []byte) (string, error) {
	value, err := params.Parse(vars)
	if err != nil {
		return "", err
	}
	object, _ := value.(*params.Map)
	name, _ := object.Lookup("timezone")
	text, _ := params.Text(name)
	zone, err := dig.Zone(text)
	if err != nil {
		zone = time.UTC // an alert that is about no workflow
	}
	return t.evaluator.Text(ctx, template, object, zone)
}

// settings reads the values of a configuration and keeps the first error.
type settings struct {
	values map[string]string
	prefix string
	err    error
}

func (r *settings) wrong(key, reason string) error {
	return fmt.Errorf("configuration: %s%s: %s", r.prefix, key, reason)
}

func (r *settings) note(key, reason string) {
	if r.err == nil {
		r.err = r.wrong(key, reason)
	}
}

// text returns a value without the space around it; without one or with an empty one
// the default.
func (r *settings) text(key, missing string) string {
	if text := strings.TrimSpace(r.values[key]); text != "" {
		return text
	}
	return missing
}

func (r *settings) number(key string, missing int) int {
	text := r.text(key, strconv.Itoa(missing))
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		r.note(key, fmt.Sprintf("must be a number of 0 or more, not %q", text))
	}
	return int(n)
}

func (r *settings) millis(key string, missing int) time.Duration {
	return time.Duration(r.number(key, missing)) * time.Millisecond
}

func (r *settings) flag(key string, missing bool) bool {
	text := r.text(key, strconv.FormatBool(missing))
	switch strings.ToLower(text) {
	case "true":
		return true
	case "false":
		return false
	}
	r.note(key, fmt.Sprintf("must be true or false, not %q", text))
	return missing
}

// list reads one text, or a JSON list of texts.
func (r *settings) list(key string) []string {
	text := r.text(key, "")
	if text == "" {
		return nil
	}
	if !strings.HasPrefix(text, "[") {
		return []string{text}
	}
	var list []string
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		r.note(key, fmt.Sprintf("must be an address or a JSON list of addresses, not %s", text))
	}
	return list
}

// localDelivery sends the alerts of a run; nil if there is no channel.
func localDelivery(sender notify.Sender) func(context.Context, *flow.Deliver) engine.Delivery {
	if sender == nil {
		return nil
	}
	const channel = "notification"
	courier := notify.Courier{
		Channels: map[string]notify.Sender{channel: sender},
		Log:      slog.New(slog.DiscardHandler), // the run itself tells what became of an alert
	}
	return func(ctx context.Context, d *flow.Deliver) engine.Delivery {
		out, err := courier.Deliver(ctx, localAlert(d), notify.Target{Channel: channel}, d.Tries)
		switch {
		case err != nil: // the run is over
			return engine.Delivery{Why: err.Error()}
		case out.Action == notify.Delivered:
			return engine.Delivery{}
		}
		// No time: it was given up.
		return engine.Delivery{Why: strings.TrimPrefix(out.Reason, channel+": "), Retry: out.At}
	}
}

// localAlert fills in what is known in a run.
func localAlert(d *flow.Deliver) notify.Alert {
	f := &d.Alert
	session := f.Session
	if zone, err := dig.Zone(f.Timezone); err == nil {
		session = session.In(zone)
	}
	return notify.Alert{
		Key: strconv.FormatUint(d.ID, 10), Kind: notify.Kind(f.Kind), At: f.At,
		Project: f.Project, Workflow: f.Workflow, Session: session, Attempt: f.Attempt, Task: f.Task,
		ProjectID: f.ProjectID, SessionID: f.SessionID, DefinitionID: f.Definition,
		SessionUUID: f.SessionUUID, Timezone: f.Timezone, RevisionName: f.Revision,
		Message: f.Message, Diagnostics: f.Details, Duration: f.Duration,
	}
}
