package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitdag/notify"
)

// receiver is a server that answers as its test says and keeps what it was sent.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	requests []request
}

type request struct {
	method, uri, host string
	header            http.Header
	body              string
}

func serve(t *testing.T, answer http.HandlerFunc) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		r.requests = append(r.requests, request{req.Method, req.RequestURI, req.Host, req.Header, string(body)})
		r.mu.Unlock()
		answer(w, req)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) seen() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]request(nil), r.requests...)
}

func answer(status int, kv ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(kv); i += 2 {
			w.Header().Set(kv[i], kv[i+1])
		}
		w.WriteHeader(status)
		if status >= 300 {
			_, _ = io.WriteString(w, "answer-canary")
		}
	}
}

func alert() notify.Alert {
	return notify.Alert{Key: "7", Kind: notify.AttemptFailed, Project: "p", Workflow: "w", Attempt: 3, Message: "no tide"}
}

func send(t *testing.T, o Options) error {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Send(t.Context(), alert())
	return err
}

func TestSend(t *testing.T) {
	server := serve(t, answer(204))
	if err := send(t, Options{URL: notify.Literal(server.URL + "/in?a=b")}); err != nil {
		t.Fatal(err)
	}
	err := send(t, Options{
		URL: notify.Literal(strings.Replace(server.URL, "://", "://joe:pw@", 1)), Method: http.MethodPut,
		Headers: []Header{
			{"X-Token", notify.Literal("t 1")}, {"content-type", notify.Literal("application/vnd.x+json")}, {"Host", notify.Literal("alerts.example.com")},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := server.seen()
	if len(got) != 2 {
		t.Fatalf("got %d requests, want 2", len(got))
	}
	for i, want := range []request{
		{method: "POST", uri: "/in?a=b", host: strings.TrimPrefix(server.URL, "http://")},
		{method: "PUT", uri: "/", host: "alerts.example.com"},
	} {
		if got[i].method != want.method || got[i].uri != want.uri || got[i].host != want.host {
			t.Errorf("got %s %s at %s, want %s %s at %s", got[i].method, got[i].uri, got[i].host, want.method, want.uri, want.host)
		}
		if d := cmp.Diff(string(notify.Payload(alert())), got[i].body); d != "" {
			t.Errorf("body (-want +got):\n%s", d)
		}
	}
	for i, want := range []map[string]string{
		{"Content-Type": "application/json", "User-Agent": "gitdag", "Authorization": ""},
		{"Content-Type": "application/vnd.x+json", "X-Token": "t 1", "Authorization": "Basic am9lOnB3"},
	} {
		for name, value := range want {
			if got := got[i].header.Get(name); got != value {
				t.Errorf("%s: got %q, want %q", name, got, value)
			}
		}
	}
}

func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		answer http.HandlerFunc
		want   notify.Outcome
	}{
		{answer(200), notify.Outcome{Class: notify.Success}},
		{answer(202), notify.Outcome{Class: notify.Success}},
		{answer(299), notify.Outcome{Class: notify.Success}},
		{answer(302, "Location", "/elsewhere"), notify.Outcome{Reason: "webhook: redirected (status 302), which is not followed"}},
		{answer(400), notify.Outcome{Class: notify.Permanent, Reason: "webhook: status 400 Bad Request"}},
		{answer(401), notify.Outcome{Class: notify.Permanent, Reason: "webhook: status 401 Unauthorized"}},
		{answer(404), notify.Outcome{Class: notify.Permanent, Reason: "webhook: status 404 Not Found"}},
		{answer(408), notify.Outcome{Reason: "webhook: status 408 Request Timeout"}},
		{answer(413), notify.Outcome{Class: notify.Permanent, Reason: "webhook: status 413 Request Entity Too Large"}},
		{answer(429, "Retry-After", "17"), notify.Outcome{RetryAfter: 17 * time.Second, Reason: "webhook: status 429 Too Many Requests"}},
		{answer(500), notify.Outcome{Reason: "webhook: status 500 Internal Server Error"}},
		{answer(503, "Retry-After", "2"), notify.Outcome{RetryAfter: 2 * time.Second, Reason: "webhook: status 503 Service Unavailable"}},
		{func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, notify.Outcome{Reason: "webhook: the connection was closed without an answer"}},
	} {
		server := serve(t, tt.answer)
		got := notify.OutcomeOf(send(t, Options{URL: notify.Literal(server.URL + "/url-canary")}))
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		if n := len(server.seen()); n != 1 {
			t.Errorf("%v: got %d requests, want 1", tt.want, n)
		}
	}
}

// A redirect reaches nobody: neither the headers nor the alert leave for another host.
func TestRedirectsAreNotFollowed(t *testing.T) {
	other := serve(t, answer(200))
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := serve(t, answer(status, "Location", other.URL))
		err := send(t, Options{URL: notify.Literal(server.URL), Headers: []Header{{"Authorization", notify.Literal("Bearer canary")}}})
		if err == nil {
			t.Errorf("%d: delivered", status)
		}
	}
	if got := other.seen(); len(got) != 0 {
		t.Errorf("the other host got %v", got)
	}
}

func TestNetworkTrouble(t *testing.T) {
	slow := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	// An answer that never ends is one all the same: its status says all.
	endless := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	secure.Config.ErrorLog = nil
	for _, tt := range []struct{ url, want string }{
		{slow.URL, "webhook: no answer in time"},
		{endless.URL, ""},
		{closed.URL, "webhook: could not connect"},
		{secure.URL, "webhook: the server's certificate could not be verified"},
	} {
		got := notify.OutcomeOf(send(t, Options{
			URL: notify.Literal(tt.url + "/url-canary"), Timeout: 300 * time.Millisecond, Transport: direct(),
		}))
		if got.Reason != tt.want || got.Class == notify.Permanent {
			t.Errorf("got %v, want %q", got, tt.want)
		}
	}
}

// direct keeps a proxy of the environment out of the tests.
func direct() http.RoundTripper { return &http.Transport{DisableKeepAlives: true} }

func TestTLS(t *testing.T) {
	server := httptest.NewTLSServer(answer(200))
	defer server.Close()
	if err := send(t, Options{URL: notify.Literal(server.URL), Transport: server.Client().Transport}); err != nil {
		t.Error(err)
	}
}

func TestSendStops(t *testing.T) {
	slow := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	s, err := New(Options{URL: notify.Literal(slow.URL), Transport: direct()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Send(ctx, alert()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
}

// Secrets are read anew for each alert, and a file that is missing may come back.
func TestSecretsAreReadAnew(t *testing.T) {
	server := serve(t, answer(200))
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one\n")
	s, err := New(Options{URL: notify.Literal(server.URL), Headers: []Header{{"X-Token", notify.File(file)}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"one", "two"} {
		write(token)
		if _, err := s.Send(t.Context(), alert()); err != nil {
			t.Error(err)
		}
		got := server.seen()
		if last := got[len(got)-1].header.Get("X-Token"); last != token {
			t.Errorf("got %q, want %q", last, token)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Send(t.Context(), alert()); notify.OutcomeOf(err).Class != notify.Temporary {
		t.Errorf("without the file: got %v, want a temporary failure", err)
	}
}

func TestWrongSettings(t *testing.T) {
	ok := notify.Literal("https://example.com/")
	for _, tt := range []struct {
		o    Options
		want string
	}{
		{Options{}, "url: it is required"},
		{Options{URL: notify.Literal("ftp://example.com/canary")}, "url: it is not an http or https URL"},
		{Options{URL: notify.Literal("canary")}, "url: it is not an http or https URL"},
		{Options{URL: notify.Literal("http://:80/canary")}, "url: it is not an http or https URL"},
		{Options{URL: notify.Literal("http://[canary")}, "url: it is not an http or https URL"},
		{Options{URL: notify.Literal("http://canary%zz")}, "url: it is not an http or https URL"},
		{Options{URL: ok, Method: "PO ST"}, `method: "PO ST" is not an HTTP method`},
		{Options{URL: ok, Timeout: -time.Second}, "timeout: it must not be negative"},
		{Options{URL: ok, Headers: []Header{{"X Y", notify.Literal("canary")}}}, "headers.X Y: it is not the name of a header"},
		{Options{URL: ok, Headers: []Header{{"X", notify.Literal("canary\r\nY: z")}}}, "headers.X: its value has characters that no header may have"},
	} {
		_, err := New(tt.o)
		var setting *notify.SettingError
		if !errors.As(err, &setting) || err.Error() != tt.want {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
	for _, o := range []Options{{URL: notify.File("gone")}, {URL: ok, Headers: []Header{{"X", notify.File("gone")}}}} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), "gone") {
			t.Errorf("got %v, want an error that names the file", err)
		}
	}
}

// No word of the address, of a header or of the answer gets out.
func TestSecretsAreKept(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := "http://" + l.Addr().String()
	_ = l.Close()
	for _, base := range []string{serve(t, answer(500)).URL, serve(t, answer(302, "Location", "/answer-canary")).URL, dead, "http://no-such-host.invalid"} {
		o := Options{
			URL: notify.Literal(base + "/url-canary"), Transport: direct(), Timeout: time.Second,
			Headers: []Header{{"X-Token", notify.Literal("header-canary")}},
		}
		s, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Send(t.Context(), alert())
		if err == nil {
			t.Errorf("%s: delivered", base)
		}
		if text := fmt.Sprintf("%v %+v %#v %v %+v", err, err, err, s, o); strings.Contains(text, "canary") {
			t.Errorf("a secret is in %s", text)
		}
	}
}
