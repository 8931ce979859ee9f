package mail

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/quotedprintable"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitdag/notify"
	"gitdag/notify/mail/mailtest"
)

func alert() notify.Alert {
	zone := time.FixedZone("NZDT", 12*3600)
	return notify.Alert{
		Key: "7", Kind: notify.AttemptFailed, At: time.Date(2031, 4, 4, 17, 19, 40, 0, time.UTC),
		Project: "tide_tables", Workflow: "harbor_report", ProjectID: 12, SessionID: 7710, DefinitionID: 903, Attempt: 9021,
		Session: time.Date(2031, 4, 5, 0, 0, 0, 0, zone), Timezone: "Pacific/Auckland",
		SessionUUID: "5e0c4b1e-02d7-4b7b-9f0e-8f6a2f0d9c11", RevisionName: "rel-2031.04.05",
		Task: "+harbor_report+load", Message: "no <tide> today", Link: "https://gitdag.example.com/api/attempts/9021",
	}
}

func options(s *mailtest.Server) Options {
	return Options{
		Host: s.Host, Port: s.Port, RootCAs: s.Roots, Timeout: 5 * time.Second,
		From: "Robot <robot@example.com>", To: []string{"ann@example.com"},
	}
}

func sender(t *testing.T, o Options) *Sender {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func send(t *testing.T, o Options) error {
	t.Helper()
	_, err := sender(t, o).Send(t.Context(), alert())
	return err
}

// body returns a message's text as a reader sees it.
func body(t *testing.T, m mailtest.Message) string {
	t.Helper()
	parsed := m.Parse(t)
	if got, want := parsed.Header.Get("Content-Transfer-Encoding"), "quoted-printable"; got != want {
		t.Errorf("got encoding %q, want %q", got, want)
	}
	text, err := io.ReadAll(quotedprintable.NewReader(parsed.Body))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}

// upper is a template language: names in ${} by their values.
type upper struct{ fail bool }

func (u upper) Text(_ context.Context, template string, vars []byte) (string, error) {
	if u.fail {
		return "", errors.New("nonsense is not defined")
	}
	values := map[string]any{}
	if err := json.Unmarshal(vars, &values); err != nil {
		return "", err
	}
	for name, value := range values {
		template = strings.ReplaceAll(template, "${"+name+"}", fmt.Sprint(value))
	}
	return template, nil
}

func TestMessage(t *testing.T) {
	server := mailtest.New(t, mailtest.Options{})
	o := options(server)
	o.To = []string{"ann@example.com", `"Böb" <bob@example.com>`}
	o.Cc, o.Bcc = []string{"carol@example.com"}, []string{"dan@example.com"}
	o.Subject = "Täglich\r\nBcc: eve@example.com"
	if err := send(t, o); err != nil {
		t.Fatal(err)
	}
	if len(server.Messages()) != 1 {
		t.Fatalf("got %d messages, want 1", len(server.Messages()))
	}
	m := server.Messages()[0]
	if d := cmp.Diff([]string{"ann@example.com", "bob@example.com", "carol@example.com", "dan@example.com"}, m.To); d != "" {
		t.Errorf("recipients (-want +got):\n%s", d)
	}
	header := m.Parse(t).Header
	for name, want := range map[string]string{
		"From": `"Robot" <robot@example.com>`, "To": "<ann@example.com>, =?utf-8?q?B=C3=B6b?= <bob@example.com>",
		"Cc": "<carol@example.com>", "Bcc": "", "Subject": "=?UTF-8?q?T=C3=A4glich?=", "Auto-Submitted": "auto-generated",
		"Content-Type": "text/plain; charset=UTF-8", "User-Agent": "", "X-Mailer": "",
	} {
		if got := header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	want := `FAILED  tide_tables/harbor_report  session 2031-04-05 00:00 NZDT  +harbor_report+load  no <tide> today
  Attempt: 9021
    https://gitdag.example.com/api/attempts/9021

message: Workflow session attempt failed
date: 2031-04-04T17:19:40Z
site id: 0
project id: 12
project name: tide_tables
workflow name: harbor_report
revision: rel-2031.04.05
attempt id: 9021
session id: 7710
task name: +harbor_report^failure-alert
time zone: Pacific/Auckland
session uuid: 5e0c4b1e-02d7-4b7b-9f0e-8f6a2f0d9c11
session time: 2031-04-05T00:00:00+12:00
`
	if d := cmp.Diff(want, body(t, m)); d != "" {
		t.Errorf("body (-want +got):\n%s", d)
	}
}

func TestBodies(t *testing.T) {
	for _, tt := range []struct {
		name     string
		change   func(*Options)
		kind     string
		want     string
		contains bool
	}{
		{"template", func(o *Options) {
			o.BodyTemplate, o.Evaluator = "${message} of ${workflow_name}, attempt ${attempt_id}: ${error}\n.\n..\n", upper{}
		}, "text/plain", "Workflow session attempt failed of harbor_report, attempt 9021: no <tide> today\n.\n..\n", false},
		{"HTML template", func(o *Options) {
			o.HTML, o.BodyTemplate, o.Evaluator = true, "<b>${workflow_name}</b>", upper{}
		}, "text/html", "<b>harbor_report</b>", false},
		{"HTML", func(o *Options) { o.HTML = true }, "text/html", "no &lt;tide&gt; today", true},
	} {
		server := mailtest.New(t, mailtest.Options{})
		o := options(server)
		tt.change(&o)
		if err := send(t, o); err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		m := server.Messages()[0]
		if got := m.Parse(t).Header.Get("Content-Type"); !strings.HasPrefix(got, tt.kind) {
			t.Errorf("%s: got type %q, want %q", tt.name, got, tt.kind)
		}
		got := body(t, m)
		if tt.contains && !strings.Contains(got, tt.want) || !tt.contains && strings.TrimRight(got, "\n") != strings.TrimRight(tt.want, "\n") {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.name, got, tt.want)
		}
	}
}

// A template that passed the trial and fails later costs its words, not the alert.
func TestTemplateThatFailsLater(t *testing.T) {
	server := mailtest.New(t, mailtest.Options{})
	o := options(server)
	o.BodyTemplate, o.Evaluator = "${nonsense}", upper{}
	s := sender(t, o)
	s.opts.Evaluator = upper{fail: true}
	if _, err := s.Send(t.Context(), alert()); err != nil {
		t.Fatal(err)
	}
	got := body(t, server.Messages()[0])
	for _, want := range []string{"FAILED  tide_tables/harbor_report", "could not be used: nonsense is not defined"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
}

func TestConnections(t *testing.T) {
	password := notify.Literal("canary-pw")
	for _, tt := range []struct {
		name   string
		server mailtest.Options
		change func(*Options)
		secure bool
		user   string
	}{
		{"in the clear", mailtest.Options{}, func(*Options) {}, false, ""},
		{"STARTTLS when offered", mailtest.Options{STARTTLS: true}, func(*Options) {}, true, ""},
		{"STARTTLS not wanted", mailtest.Options{STARTTLS: true}, func(o *Options) { o.TLS = Never }, false, ""},
		{"TLS at once", mailtest.Options{Implicit: true}, func(o *Options) { o.TLS = Implicit }, true, ""},
		{"login in the clear", mailtest.Options{User: "joe", Password: "canary-pw"}, func(o *Options) {
			o.Username, o.Password = "joe", password
		}, false, "joe"},
		{"login over STARTTLS", mailtest.Options{User: "joe", Password: "canary-pw", STARTTLS: true, Mechanisms: []string{"LOGIN"}}, func(o *Options) {
			o.Username, o.Password = "joe", password
		}, true, "joe"},
		{"login over TLS", mailtest.Options{User: "joe", Password: "canary-pw", Implicit: true, Mechanisms: []string{"CRAM-MD5", "LOGIN", "PLAIN"}}, func(o *Options) {
			o.Username, o.Password, o.TLS = "joe", password, Implicit
		}, true, "joe"},
		{"the greeting's name differs from ours", mailtest.Options{STARTTLS: true}, func(o *Options) { o.Host = "localhost" }, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := mailtest.New(t, tt.server)
			o := options(server)
			tt.change(&o)
			if err := send(t, o); err != nil {
				t.Fatal(err)
			}
			m := server.Messages()[0]
			if m.Secure != tt.secure || m.User != tt.user {
				t.Errorf("got secure %v, user %q, want %v, %q", m.Secure, m.User, tt.secure, tt.user)
			}
		})
	}
}

func TestFailures(t *testing.T) {
	answers := func(kv ...string) mailtest.Options {
		o := mailtest.Options{Answers: map[string][]string{}}
		for i := 0; i < len(kv); i += 2 {
			o.Answers[kv[i]] = append(o.Answers[kv[i]], kv[i+1])
		}
		return o
	}
	for _, tt := range []struct {
		name   string
		server mailtest.Options
		change func(*Options)
		class  notify.Class
		reason string
	}{
		{"closed for now", answers("CONNECT", "421 too busy"), nil, notify.Temporary, `421 "too busy"`},
		{"no mail here", answers("CONNECT", "554 no"), nil, notify.Permanent, `554 "no"`},
		{"greylisted", answers("RCPT", "450 4.2.0 later"), nil, notify.Temporary, `450 "4.2.0 later"`},
		{"unknown recipient", answers("RCPT", "550 5.1.1 who?"), nil, notify.Permanent, `550 "5.1.1 who?"`},
		{"sender refused", answers("MAIL", "553 not you"), nil, notify.Permanent, `553 "not you"`},
		{"no room", answers("BODY", "452 full"), nil, notify.Temporary, `452 "full"`},
		{"content refused", answers("BODY", "554 spam"), nil, notify.Permanent, `554 "spam"`},
		{"hangs up at once", answers("CONNECT", mailtest.HangUp), nil, notify.Temporary, "EOF"},
		{"hangs up in the middle", answers("DATA", mailtest.HangUp), nil, notify.Temporary, "EOF"},
		{"says nothing", answers("CONNECT", mailtest.Silence), func(o *Options) { o.Timeout = 50 * time.Millisecond }, notify.Temporary, "timeout"},
		{"stops answering", answers("BODY", mailtest.Silence), func(o *Options) { o.Timeout = 100 * time.Millisecond }, notify.Temporary, "timeout"},
		{"no such server", mailtest.Options{}, func(o *Options) { o.Port = 1 }, notify.Temporary, "connection refused"},
		{"wrong password", mailtest.Options{User: "joe", Password: "right"}, func(o *Options) {
			o.Username, o.Password = "joe", notify.Literal("canary")
		}, notify.Permanent, `535 "5.7.8 auth`},
		{"no login offered", mailtest.Options{}, func(o *Options) { o.Username, o.Password = "joe", notify.Literal("canary") }, notify.Temporary, "AUTH"},
		{"a password's file is gone", mailtest.Options{}, func(o *Options) { o.Username, o.Password = "joe", notify.File("gone") }, notify.Temporary, "read secret"},
		{"a certificate of nobody's", mailtest.Options{STARTTLS: true}, func(o *Options) { o.RootCAs = nil }, notify.Temporary, "certificate"},
		{"TLS at once, from a server that begins in the clear", mailtest.Options{}, func(o *Options) { o.TLS = Implicit }, notify.Temporary, "TLS"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := mailtest.New(t, tt.server)
			o := options(server)
			if tt.change != nil {
				tt.change(&o)
			}
			got := notify.OutcomeOf(send(t, o))
			if got.Class != tt.class || !strings.Contains(got.Reason, tt.reason) || !strings.HasPrefix(got.Reason, "mail: ") {
				t.Errorf("got %v %q, want %v with %q", got.Class, got.Reason, tt.class, tt.reason)
			}
			if strings.Contains(got.Reason, "canary") {
				t.Errorf("the password is in %q", got.Reason)
			}
			if n := len(server.Messages()); n != 0 && tt.name != "stops answering" {
				t.Errorf("got %d messages, want none", n)
			}
		})
	}
}

// What the server says may repeat what it was given.
func TestPasswordIsNotRepeated(t *testing.T) {
	server := mailtest.New(t, mailtest.Options{User: "joe", Password: "x", Answers: map[string][]string{"AUTH": {"535 canary-pw is wrong"}}})
	o := options(server)
	o.Username, o.Password = "joe", notify.Literal("canary-pw")
	got := notify.OutcomeOf(send(t, o))
	if !strings.Contains(got.Reason, `535 "*** is wrong"`) {
		t.Errorf("got %q", got.Reason)
	}
	text := fmt.Sprintf("%v %+v %#v", sender(t, o), sender(t, o), o)
	if strings.Contains(text, "canary-pw") {
		t.Errorf("the password is in %s", text)
	}
}

// A message that was taken is delivered, whatever follows.
func TestDelivered(t *testing.T) {
	for _, answers := range []map[string][]string{
		{"BODY": {mailtest.ThenEnd}},
		{"QUIT": {mailtest.HangUp}},
		{"QUIT": {"500 no"}},
		{"QUIT": {mailtest.Silence}},
	} {
		server := mailtest.New(t, mailtest.Options{Answers: answers})
		start := time.Now()
		if err := send(t, options(server)); err != nil {
			t.Errorf("%v: %v", answers, err)
		}
		if got := len(server.Messages()); got != 1 {
			t.Errorf("%v: got %d messages, want 1", answers, got)
		}
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("%v: took %s", answers, took)
		}
	}
}

func TestSendStops(t *testing.T) {
	for _, verb := range []string{"CONNECT", "EHLO", "RCPT"} {
		server := mailtest.New(t, mailtest.Options{Answers: map[string][]string{verb: {mailtest.Silence}}})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		start := time.Now()
		_, err := sender(t, options(server)).Send(ctx, alert())
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got %v, want %v", verb, err, context.DeadlineExceeded)
		}
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("%s: took %s", verb, took)
		}
	}
}

func TestWrongSettings(t *testing.T) {
	good := func() Options {
		return Options{Host: "localhost", From: "a@example.com", To: []string{"b@example.com"}}
	}
	if _, err := New(good()); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		change func(*Options)
		want   string
	}{
		{func(o *Options) { o.Host = " " }, "host: it is required"},
		{func(o *Options) { o.Port = 70000 }, "port: it must be between 1 and 65535, not 70000"},
		{func(o *Options) { o.From = "" }, "from: it is required"},
		{func(o *Options) { o.From = "robot" }, `from: "robot" is not a mail address`},
		{func(o *Options) { o.To = nil }, "to: it is required"},
		{func(o *Options) { o.To = []string{"a b c"} }, `to: "a b c" is not a mail address`},
		{func(o *Options) { o.Cc = []string{"x@y\r\nBcc: z@y"} }, `cc: "x@y\r\nBcc: z@y" is not a mail address`},
		{func(o *Options) { o.Bcc = []string{""} }, `bcc: "" is not a mail address`},
		{func(o *Options) { o.Username = "joe" }, "password: it is required with a username"},
		{func(o *Options) { o.Timeout = -1 }, "timeout: it must not be negative"},
		{func(o *Options) { o.BodyTemplate = "x" }, "body_template_file: nothing can evaluate it"},
		{func(o *Options) { o.BodyTemplate, o.Evaluator = "${nonsense}", upper{fail: true} }, "body_template_file: nonsense is not defined"},
	} {
		o := good()
		tt.change(&o)
		_, err := New(o)
		var setting *notify.SettingError
		if !errors.As(err, &setting) || err.Error() != tt.want {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
	o := good()
	o.TLS = Implicit
	if s := sender(t, o); s.opts.Port != implicitPort {
		t.Errorf("got port %d, want %d", s.opts.Port, implicitPort)
	}
}

// The made-up alert has a value for each key, so that a template which takes one of
// them apart passes the trial.
func TestSampleIsWhole(t *testing.T) {
	var values map[string]any
	if err := json.NewDecoder(bytes.NewReader(notify.Payload(sample()))).Decode(&values); err != nil {
		t.Fatal(err)
	}
	if len(values) != 32 {
		t.Errorf("got %d keys, want all of them", len(values))
	}
	for key, value := range values {
		if value == nil {
			t.Errorf("%s is null", key)
		}
	}
}
