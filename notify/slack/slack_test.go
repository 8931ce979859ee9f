package slack

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitdag/notify"
)

func send(t *testing.T, s *Sender, a notify.Alert) notify.Receipt {
	t.Helper()
	r, err := s.Send(t.Context(), a)
	if err != nil {
		t.Fatalf("%s: %v", a.Key, err)
	}
	return r
}

func expect(t *testing.T, w *workspace, want string) {
	t.Helper()
	if d := cmp.Diff(strings.TrimLeft(want, "\n"), w.transcript()); d != "" {
		t.Errorf("channel (-want +got):\n%s", d)
	}
}

const (
	lineFailed    = "FAILED  billing/daily_load  session 2026-11-23 00:00 JST  +daily_load+load  Command failed with code 1"
	lineRecovered = "RECOVERED  billing/daily_load  session 2026-11-23 00:00 JST  after 2 failures, 45m"
)

func TestBotKeepsOneMessageAnIncident(t *testing.T) {
	w := newWorkspace(t)
	s := w.bot(t)
	first := send(t, s, failure1())
	if want := (notify.Receipt{Channel: "C1", TS: "100.0"}); first != want {
		t.Errorf("first failure: got %v, want %v", first, want)
	}
	if again := send(t, s, failure2(first)); again != first {
		t.Errorf("second failure: got receipt %v, want the first one's %v", again, first)
	}
	if last := send(t, s, recovery(first)); last != first {
		t.Errorf("recovery: got receipt %v, want the first one's %v", last, first)
	}
	expect(t, w, `
100.0 edited good: `+lineRecovered+`
101.0 in 100.0 danger: `+lineFailed+`
102.0 in 100.0: `+lineRecovered+`
calls: post post update post
`)
	meta := w.posts[0].form.Get("metadata")
	if want := `{"event_type":"gitdag_alert","event_payload":{"incident":"billing/daily_load","key":"attempt/12/failed","kind":"attempt_failed"}}`; meta != want {
		t.Errorf("metadata: got %s, want %s", meta, want)
	}
	if got := w.posts[0].form.Get("unfurl_links"); got != "false" {
		t.Errorf("unfurl_links: got %q, want false", got)
	}
}

func TestRecoveryOfALongOutageIsToldToTheChannel(t *testing.T) {
	w := newWorkspace(t)
	s := w.bot(t)
	a := recovery(send(t, s, failure1()))
	a.At = a.Since.Add(2 * time.Hour)
	send(t, s, a)
	if p := w.posts[1]; !p.broadcast {
		t.Errorf("got the answer %v, want it broadcast", p)
	}
}

func TestBotRecoveryWithoutThread(t *testing.T) {
	w := newWorkspace(t)
	send(t, w.bot(t), recovery(notify.Receipt{}))
	expect(t, w, "100.0 good: "+lineRecovered+"\ncalls: post\n")
}

func TestFirstMessageDeleted(t *testing.T) {
	t.Run("recovery", func(t *testing.T) {
		w := newWorkspace(t)
		s := w.bot(t)
		first := send(t, s, failure1())
		w.posts[0].deleted = true
		if got, want := send(t, s, recovery(first)), (notify.Receipt{Channel: "C1", TS: "101.0"}); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
		expect(t, w, "100.0 deleted danger: "+lineFailed+"\n101.0 good: "+lineRecovered+"\ncalls: post update post\n")
	})
	t.Run("repeat, posted by Slack as a message of its own", func(t *testing.T) {
		w := newWorkspace(t)
		s := w.bot(t)
		first := send(t, s, failure1())
		w.posts[0].deleted = true
		if got, want := send(t, s, failure2(first)), (notify.Receipt{Channel: "C1", TS: "101.0"}); got != want {
			t.Errorf("got %v, want the new first message %v", got, want)
		}
	})
	t.Run("repeat, refused by Slack", func(t *testing.T) {
		w := newWorkspace(t)
		s := w.bot(t)
		first := send(t, s, failure1())
		w.next(refuse("thread_not_found"))
		if got, want := send(t, s, failure2(first)), (notify.Receipt{Channel: "C1", TS: "101.0"}); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	})
	t.Run("its channel is gone, another one is configured", func(t *testing.T) {
		w := newWorkspace(t)
		if got, want := send(t, w.bot(t), failure2(notify.Receipt{Channel: "C9", TS: "1.0"})), (notify.Receipt{Channel: "C1", TS: "100.0"}); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestRecoveryOfAFrozenMessage(t *testing.T) {
	w := newWorkspace(t)
	s := w.bot(t)
	first := send(t, s, failure1())
	w.next(refuse("edit_window_closed"))
	if got := send(t, s, recovery(first)); got != first {
		t.Errorf("got %v, want %v", got, first)
	}
	expect(t, w, "100.0 danger: "+lineFailed+"\n101.0 in 100.0 good: "+lineRecovered+"\ncalls: post update post\n")
}

// A recovery whose answer fails is made again as a whole; the edit is repeatable.
func TestRecoveryHalfWay(t *testing.T) {
	w := newWorkspace(t)
	s := w.bot(t)
	first := send(t, s, failure1())
	w.next(nil, status(500))
	if _, err := s.Send(t.Context(), recovery(first)); notify.OutcomeOf(err).Class != notify.Temporary {
		t.Fatalf("got %v, want a temporary failure", err)
	}
	send(t, s, recovery(first))
	expect(t, w, "100.0 edited good: "+lineRecovered+"\n101.0 in 100.0: "+lineRecovered+"\ncalls: post update post update post\n")
}

func TestUpdateFails(t *testing.T) {
	w := newWorkspace(t)
	s := w.bot(t)
	first := send(t, s, failure1())
	for _, f := range []http.Header{status(503), body(`{"ok":false}`), body(`{"ok":true}`), hangUp()} {
		w.next(f)
		if _, err := s.Send(t.Context(), recovery(first)); notify.OutcomeOf(err).Class != notify.Temporary {
			t.Errorf("%v: got %v, want a temporary failure", f, err)
		}
	}
	if len(w.posts) != 1 || w.posts[0].edited {
		t.Errorf("got %s", w.transcript())
	}
}

func TestWebhookSendsASecondMessage(t *testing.T) {
	w := newWorkspace(t)
	s := w.hook(t)
	r := send(t, s, failure1())
	if r != (notify.Receipt{}) {
		t.Errorf("got receipt %v, want none", r)
	}
	send(t, s, recovery(r))
	expect(t, w, "100.0 danger: "+lineFailed+"\n101.0 good: "+lineRecovered+"\ncalls: webhook webhook\n")
}

// A message that is refused for its form is sent as its first line alone.
func TestRefusedForItsForm(t *testing.T) {
	t.Run("bot", func(t *testing.T) {
		w := newWorkspace(t)
		w.next(refuse("invalid_blocks"))
		send(t, w.bot(t), failure1())
		expect(t, w, "100.0: "+lineFailed+"\ncalls: post post\n")
	})
	t.Run("webhook", func(t *testing.T) {
		w := newWorkspace(t)
		w.next(status(400))
		send(t, w.hook(t), failure1())
		expect(t, w, "100.0: "+lineFailed+"\ncalls: webhook webhook\n")
	})
	t.Run("and again", func(t *testing.T) {
		w := newWorkspace(t)
		w.next(refuse("msg_too_long"), refuse("msg_too_long"))
		_, err := w.bot(t).Send(t.Context(), failure1())
		want := notify.Outcome{Class: notify.Permanent, Reason: "slack: msg_too_long"}
		if d := cmp.Diff(want, notify.OutcomeOf(err)); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
}

func TestFilesAreReadAtEachSend(t *testing.T) {
	w := newWorkspace(t)
	path := filepath.Join(t.TempDir(), "token")
	s := sender(t, Options{Token: notify.File(path), Channel: "#alerts", APIURL: w.GetAPIURL()})
	_, err := s.Send(t.Context(), failure1())
	if o := notify.OutcomeOf(err); o.Class != notify.Temporary || !strings.Contains(o.Reason, path) {
		t.Errorf("no file: got %v, want a temporary failure that names it", o)
	}
	for _, step := range []struct {
		token string
		want  notify.Class
	}{{"xoxb-old\n", notify.Permanent}, {botToken + "\n", notify.Success}} {
		if err := os.WriteFile(path, []byte(step.token), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := s.Send(t.Context(), failure1())
		if o := notify.OutcomeOf(err); o.Class != step.want {
			t.Errorf("%q: got %v, want class %v", step.token, o, step.want)
		}
	}
}

// The courier gives a refused alert to the fallback and delivers the rest later.
func TestThroughTheCourier(t *testing.T) {
	w := newWorkspace(t)
	log := newLog()
	c := notify.Courier{Channels: map[string]notify.Sender{"bot": w.bot(t), "hook": w.hook(t)}, Log: log.logger()}
	w.next(refuse("not_in_channel"))
	d, err := c.Deliver(t.Context(), failure1(), notify.Target{Channel: "bot", Fallback: []string{"hook"}}, 0)
	if err != nil || d.Action != notify.Delivered || d.Receipt.Via != "hook" {
		t.Fatalf("got %v, %v, want it delivered via the webhook", d, err)
	}
	w.next(limited("30"))
	d, err = c.Deliver(t.Context(), failure1(), notify.Target{Channel: "bot"}, 0)
	if left := time.Until(d.At); err != nil || d.Action != notify.RetryAt || left < 20*time.Second || left > 30*time.Second {
		t.Errorf("got %v, %v, want another try in 30 seconds", d, err)
	}
	expect(t, w, "100.0 danger: "+lineFailed+"\ncalls: post webhook post\n")
	log.clean(t)
}

func TestNew(t *testing.T) {
	token, hook := notify.Literal("t"), notify.Literal("https://hooks.example.com/x")
	tests := []struct {
		name string
		o    Options
		want string // part of the error; empty: none
	}{
		{"bot", Options{Token: token, Channel: "#a"}, ""},
		{"webhook", Options{Webhook: hook}, ""},
		{"nothing", Options{}, "either a webhook or a token"},
		{"both", Options{Token: token, Webhook: hook, Channel: "#a"}, "either a webhook or a token"},
		{"no channel", Options{Token: token}, "needs a channel"},
		{"webhook with a channel", Options{Webhook: hook, Channel: "#a"}, "channel of its own"},
		{"timeout", Options{Webhook: hook, Timeout: -1}, "negative timeout"},
		{"API", Options{Token: token, Channel: "#a", APIURL: "http://127.0.0.1:1/api"}, ""},
		{"API scheme", Options{Token: token, Channel: "#a", APIURL: "ftp://u:pw-canary@h/"}, "not an http or https URL"},
		{"API nonsense", Options{Token: token, Channel: "#a", APIURL: "http://a b-canary"}, "not an http or https URL"},
	}
	for _, tt := range tests {
		_, err := New(tt.o)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "canary")):
			t.Errorf("%s: got %v, want %q in it", tt.name, err, tt.want)
		}
	}
}

func TestCancelled(t *testing.T) {
	for _, o := range []Options{
		{Token: notify.Literal(botToken), Channel: "#a", APIURL: silent(t).URL},
		{Webhook: notify.Literal(silent(t).URL + hookPath)},
	} {
		s := sender(t, o)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err := s.Send(ctx, failure1())
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
		}
		var e *notify.Error
		if errors.As(err, &e) {
			t.Errorf("got %v: an ended context is not Slack's failure", err)
		}
	}
}
