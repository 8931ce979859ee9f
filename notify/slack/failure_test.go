package slack

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitdag/notify"
)

func TestFailuresOfTheBot(t *testing.T) {
	permanent := func(reason string) notify.Outcome {
		return notify.Outcome{Class: notify.Permanent, Reason: "slack: " + reason}
	}
	temporary := func(reason string) notify.Outcome { return notify.Outcome{Reason: "slack: " + reason} }
	asked := func(d time.Duration, reason string) notify.Outcome {
		return notify.Outcome{Reason: "slack: " + reason, RetryAfter: d}
	}
	tests := []struct {
		name  string
		fault http.Header
		want  notify.Outcome
	}{
		{"works", nil, notify.Outcome{Class: notify.Success}},
		{"token", refuse("invalid_auth"), permanent("invalid_auth")},
		{"account", refuse("account_inactive"), permanent("account_inactive")},
		{"channel", refuse("channel_not_found"), permanent("channel_not_found")},
		{"membership", refuse("not_in_channel"), permanent("not_in_channel")},
		{"archived", refuse("is_archived"), permanent("is_archived")},
		{"scope", refuse("missing_scope"), permanent("missing_scope")},
		{"Slack's own trouble", refuse("internal_error"), temporary("internal_error")},
		{"limited with 200", refuse("ratelimited"), temporary("ratelimited")},
		{"a code of tomorrow", refuse("new_in_2027"), temporary("new_in_2027")},
		{"not a code", refuse("see http://x/canary"), temporary("unknown error")},
		{"ok:false alone", body(`{"ok":false}`), temporary("the answer names no message")},
		{"an empty object", body(`{}`), temporary("the answer names no message")},
		{"not JSON", body(`<html>canary</html>`), temporary("the answer could not be read")},
		{"half of an answer", body(`{"ok":tr`), temporary("the answer could not be read")},
		{"limited", limited("30"), asked(30*time.Second, "status 429 Too Many Requests")},
		{"limited, nonsense", limited("soon"), temporary("status 429 Too Many Requests")},
		{"limited, negative", limited("-5"), temporary("status 429 Too Many Requests")},
		{"limited, huge", limited("99999999999999999"), asked(24*time.Hour, "status 429 Too Many Requests")},
		{"limited, silent", status(429), temporary("status 429 Too Many Requests")},
		{"500", status(500), temporary("status 500 Internal Server Error")},
		{"503 with a wish", fault("status", "503", "Retry-After", "7"), asked(7*time.Second, "status 503 Service Unavailable")},
		{"a proxy's 404", status(404), temporary("status 404 Not Found")},
		{"redirect", status(307), temporary("redirected (status 307), which is not followed")},
		{"an empty success is none", status(204), temporary("status 204 No Content")},
		{"hang-up", hangUp(), temporary("the connection was closed without an answer")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorkspace(t)
			if tt.fault != nil {
				w.next(tt.fault)
			}
			_, err := w.bot(t).Send(t.Context(), failure1())
			got := notify.OutcomeOf(err)
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if want := map[bool]int{true: 1, false: 0}[tt.fault == nil]; len(w.posts) != want {
				t.Errorf("got %d messages, want %d", len(w.posts), want)
			}
		})
	}
}

func TestFailuresOfTheWebhook(t *testing.T) {
	tests := []struct {
		fault http.Header
		want  notify.Class
	}{
		{nil, notify.Success},
		{status(201), notify.Success}, // imitations of Slack
		{status(204), notify.Success},
		{status(301), notify.Temporary},
		{status(307), notify.Temporary},
		{status(401), notify.Permanent},
		{status(403), notify.Permanent}, // action_prohibited
		{status(404), notify.Permanent}, // no_service
		{status(407), notify.Temporary}, // a proxy's
		{status(408), notify.Temporary},
		{status(410), notify.Permanent}, // channel_is_archived
		{status(429), notify.Temporary},
		{limited("1"), notify.Temporary},
		{status(500), notify.Temporary},
		{status(502), notify.Temporary},
		{hangUp(), notify.Temporary},
	}
	for _, tt := range tests {
		w := newWorkspace(t)
		w.next(tt.fault)
		_, err := w.hook(t).Send(t.Context(), failure1())
		if got := notify.OutcomeOf(err); got.Class != tt.want {
			t.Errorf("%v: got %v, want class %v", tt.fault, got, tt.want)
		}
	}
}

// journal is a log that must stay free of canaries.
type journal struct{ bytes.Buffer }

func newLog() *journal { return &journal{} }

func (j *journal) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (j *journal) clean(t *testing.T) {
	t.Helper()
	noCanary(t, j.String())
}

func noCanary(t *testing.T, text string) {
	t.Helper()
	for _, secret := range []string{"canary", "CANARY"} {
		if strings.Contains(text, secret) {
			t.Errorf("a secret is in %q", text)
		}
	}
}

// Neither the token nor the webhook's address is in anything that can be printed,
// whatever goes wrong, down to addresses that cannot be called at all.
func TestSecretsStayInside(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	garbage := listen(t, "no HTTP at all\r\n\r\n")
	quiet := silent(t)
	direct := &http.Transport{DisableKeepAlives: true} // no proxy may answer for a host that does not exist
	for _, base := range []string{closed.URL, garbage, quiet.URL, "https" + strings.TrimPrefix(quiet.URL, "http"), "http://no-such-host.invalid", "http://[::1]:0"} {
		hook := notify.Literal(base + hookPath)
		checkSilence(t, sender(t, Options{Webhook: hook, Timeout: 50 * time.Millisecond, Transport: direct}), notify.Temporary)
		bot := Options{Token: notify.Literal(botToken), Channel: "#a", APIURL: base + "/canary", Timeout: 50 * time.Millisecond, Transport: direct}
		checkSilence(t, sender(t, bot), notify.Temporary)
	}
	for _, address := range []string{"canary", "", "ftp://h/canary", "http://a b/canary", "http://%zz/canary", "https://", "http://h:port/canary"} {
		checkSilence(t, sender(t, Options{Webhook: notify.Literal(address)}), notify.Permanent)
	}
	for _, f := range []http.Header{refuse("invalid_auth"), status(500), status(302), hangUp(), body("canary"), refuse("canary/" + botToken), limited("canary")} {
		w := newWorkspace(t)
		w.next(f, f)
		for _, s := range []*Sender{w.bot(t), w.hook(t)} {
			log := newLog()
			c := notify.Courier{Channels: map[string]notify.Sender{"x": s}, Log: log.logger()}
			d, err := c.Deliver(t.Context(), failure1(), notify.Target{Channel: "x"}, 0)
			noCanary(t, fmt.Sprintf("%+v %+v %#v", d, err, d))
			log.clean(t)
		}
	}
}

func checkSilence(t *testing.T, s *Sender, want notify.Class) {
	t.Helper()
	_, err := s.Send(t.Context(), failure1())
	if got := notify.OutcomeOf(err); got.Class != want {
		t.Errorf("got %v, want class %v", got, want)
	}
	for e := err; e != nil; {
		noCanary(t, fmt.Sprintf("%v %+v %#v", e, e, e))
		u, ok := e.(interface{ Unwrap() error })
		if !ok {
			break
		}
		e = u.Unwrap()
	}
	printed := *s
	printed.opts.APIURL = "" // not a secret; the test puts the word into it
	noCanary(t, fmt.Sprintf("%v %+v %#v", &printed, &printed, &printed))
}

// listen answers whatever comes with the text.
func listen(t *testing.T, text string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { // ends when the listener is closed
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte(text))
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return "http://" + l.Addr().String()
}
