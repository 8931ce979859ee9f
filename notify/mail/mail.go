// Package mail delivers alerts through an SMTP server: one message an alert, plain or
// HTML, with a body of its own or one that a template makes of Digdag's notification.
//
// It knows package notify and go-mail, the latter in deliver.go only, and no template
// language: the caller passes an Evaluator. Settings and template are tried at
// construction, so that a mistake is known before the first alert.
//
// Invariant: a template that fails costs its own words, never the alert: the message
// goes out with the usual body. No error of this package contains the password.
package mail

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"html"
	"net/mail"
	"strings"
	"time"

	"gitdag/notify"
)

const (
	connectTimeout = 10 * time.Second
	sendTimeout    = 60 * time.Second
	plainPort      = 25
	implicitPort   = 465
	maxSubject     = 200
)

// TLS says how the connection is encrypted.
type TLS int

// The ways.
const (
	WhenOffered TLS = iota // STARTTLS if the server offers it, else in the clear
	Implicit               // TLS from the first byte
	Never
)

// Evaluator replaces each `${…}` of a template by its value. The variables are the keys
// of one JSON object.
type Evaluator interface {
	Text(ctx context.Context, template string, vars []byte) (string, error)
}

// Options says who is written to and through which server.
type Options struct {
	Host         string
	Port         int            // default 25, or 465 with Implicit
	TLS          TLS            // a server that offers TLS must have a certificate for Host
	RootCAs      *x509.CertPool // who may have signed it; nil: the system's
	Username     string         // empty: no authentication
	Password     notify.Source  // of Username
	From         string
	To, Cc, Bcc  []string // each one address, with a name or without
	Subject      string   // default: the message's first line
	HTML         bool
	BodyTemplate string        // default: all that there is to tell
	Evaluator    Evaluator     // needed with BodyTemplate
	Timeout      time.Duration // of a delivery, after the connection; default 60s
}

// Sender is a notify.Sender for one server and one list of people. It may be used
// concurrently.
type Sender struct {
	opts        Options
	from        *mail.Address
	to, cc, bcc []*mail.Address
}

// New returns a sender. It evaluates the template for a made-up alert and talks to
// nobody. Its error is a *notify.SettingError.
func New(o Options) (*Sender, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	o.Port = cmp.Or(o.Port, map[bool]int{true: implicitPort, false: plainPort}[o.TLS == Implicit])
	o.Timeout = cmp.Or(o.Timeout, sendTimeout)
	s := &Sender{opts: o}
	from, err := addresses("from", []string{o.From})
	if err != nil {
		return nil, err
	}
	s.from = from[0]
	for _, list := range []struct {
		name  string
		texts []string
		into  *[]*mail.Address
	}{{"to", o.To, &s.to}, {"cc", o.Cc, &s.cc}, {"bcc", o.Bcc, &s.bcc}} {
		if *list.into, err = addresses(list.name, list.texts); err != nil {
			return nil, err
		}
	}
	if o.BodyTemplate != "" {
		if _, err := s.evaluate(context.Background(), sample()); err != nil {
			return nil, &notify.SettingError{Name: "body_template_file", Reason: err.Error()}
		}
	}
	return s, nil
}

func (o *Options) validate() error {
	wrong := func(name, reason string) error { return &notify.SettingError{Name: name, Reason: reason} }
	switch {
	case strings.TrimSpace(o.Host) == "":
		return wrong("host", "it is required")
	case o.Port < 0 || o.Port > 65535:
		return wrong("port", fmt.Sprintf("it must be between 1 and 65535, not %d", o.Port))
	case o.From == "":
		return wrong("from", "it is required")
	case len(o.To)+len(o.Cc)+len(o.Bcc) == 0:
		return wrong("to", "it is required")
	case o.Username != "" && o.Password == nil:
		return wrong("password", "it is required with a username")
	case o.Timeout < 0:
		return wrong("timeout", "it must not be negative")
	case o.BodyTemplate != "" && o.Evaluator == nil:
		return wrong("body_template_file", "nothing can evaluate it")
	}
	return nil
}

func addresses(name string, texts []string) ([]*mail.Address, error) {
	var list []*mail.Address
	for _, text := range texts {
		a, err := mail.ParseAddress(text)
		if err != nil {
			return nil, &notify.SettingError{Name: name, Reason: fmt.Sprintf("%q is not a mail address", text)}
		}
		list = append(list, a)
	}
	return list, nil
}

// Send delivers the alert. Its error is a *notify.Error, or wraps that of ctx.
func (s *Sender) Send(ctx context.Context, a notify.Alert) (notify.Receipt, error) {
	var password notify.Secret
	if s.opts.Username != "" {
		var err error
		if password, err = s.opts.Password(); err != nil {
			return notify.Receipt{}, &notify.Error{Reason: "mail: " + err.Error()}
		}
	}
	err := s.deliver(ctx, s.subject(a), s.body(ctx, a), password.Reveal())
	return notify.Receipt{}, outcome(ctx, err, password.Reveal())
}

func (s *Sender) subject(a notify.Alert) string {
	return notify.Excerpt(cmp.Or(s.opts.Subject, notify.Render(a).Title), maxSubject)
}

func (s *Sender) body(ctx context.Context, a notify.Alert) string {
	note := ""
	if s.opts.BodyTemplate != "" {
		text, err := s.evaluate(ctx, a)
		if err == nil {
			return text
		}
		note = "\nThe template of this message could not be used: " + notify.Excerpt(err.Error(), maxSubject) + "\n"
	}
	text := notify.Render(a).String() + "\n" + list(a) + note
	if s.opts.HTML {
		return "<pre>" + html.EscapeString(text) + "</pre>\n"
	}
	return text
}

func (s *Sender) evaluate(ctx context.Context, a notify.Alert) (string, error) {
	return s.opts.Evaluator.Text(ctx, s.opts.BodyTemplate, notify.Payload(a))
}

// list writes what Digdag's notification holds, one value a line.
func list(a notify.Alert) string {
	values := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(notify.Payload(a)))
	d.UseNumber()
	if err := d.Decode(&values); err != nil {
		panic("mail: " + err.Error()) // we wrote it ourselves
	}
	var b strings.Builder
	for _, line := range []struct{ label, key string }{
		{"message", "message"},
		{"date", "timestamp"},
		{"site id", "site_id"},
		{"project id", "project_id"},
		{"project name", "project_name"},
		{"workflow name", "workflow_name"},
		{"revision", "revision"},
		{"attempt id", "attempt_id"},
		{"session id", "session_id"},
		{"task name", "task_name"},
		{"time zone", "timezone"},
		{"session uuid", "session_uuid"},
		{"session time", "session_time"},
	} {
		value := values[line.key]
		if value == nil {
			value = ""
		}
		b.WriteString(strings.TrimRight(fmt.Sprintf("%s: %v", line.label, value), " ") + "\n")
	}
	return b.String()
}

// sample is an alert with a value for every key of the notification.
func sample() notify.Alert {
	at := time.Unix(0, 0).UTC()
	return notify.Alert{
		Key: "0", Kind: notify.AttemptFailed, At: at, Repo: "repository", Project: "project", Workflow: "workflow",
		Session: at, Attempt: 1, Task: "+workflow+task", ProjectID: 1, SessionID: 1, DefinitionID: 1,
		SessionUUID: "00000000-0000-0000-0000-000000000000", Timezone: "UTC", RevisionName: "revision",
		Message: "message", LogTail: []string{"line"}, Diagnostics: []string{"file:1:1: error: message"},
		Revision: commit(), FailingSince: commit(), Changes: []notify.Commit{commit()},
		Link: "https://example.com/", Since: at.Add(1), Count: 2, Duration: time.Second, Usual: time.Second,
		Deadline: at.Add(1), Next: at.Add(1),
	}
}

func commit() notify.Commit {
	return notify.Commit{ID: "0000000000", Author: "author", Subject: "subject", Link: "https://example.com/"}
}
