package slack

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	slackgo "github.com/slack-go/slack"
	"github.com/slack-go/slack/slacktest"

	"gitdag/notify"
)

const (
	botToken = "xoxb-canary-0001-token"
	hookPath = "/services/T0CANARY/B0CANARY/hookcanary"
)

// workspace is slack-go's test server with what it lacks: messages that are kept,
// threads, edits, deletions, and answers that go wrong on demand.
type workspace struct {
	*slacktest.Server
	mu     sync.Mutex
	posts  []*post
	calls  []string      // method and, of an answer out of the ordinary, what it was
	faults []http.Header // one a request to come: see fault
}

// post is one message as a reader of the channel sees it.
type post struct {
	ts, thread, channel, text string
	attachments               []slackgo.Attachment
	broadcast, edited         bool
	deleted                   bool
	form                      url.Values
}

func newWorkspace(t *testing.T) *workspace {
	t.Helper()
	w := &workspace{}
	w.Server = slacktest.NewTestServer(func(c slacktest.Customize) {
		c.Handle("/chat.postMessage", w.handle("post", w.post))
		c.Handle("/chat.update", w.handle("update", w.update))
		c.Handle(hookPath, w.handle("webhook", w.webhook))
	})
	w.Start()
	t.Cleanup(w.Stop)
	return w
}

// fault describes an answer: a status, a body (ok:false and the like), a header, a hang-up.
func fault(kv ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(kv); i += 2 {
		h.Set(kv[i], kv[i+1])
	}
	return h
}

func status(code int) http.Header    { return fault("status", fmt.Sprint(code)) }
func refuse(code string) http.Header { return fault("body", `{"ok":false,"error":"`+code+`"}`) }
func hangUp() http.Header            { return fault("hang-up", "yes") }
func body(text string) http.Header   { return fault("body", text) }
func limited(after string) http.Header {
	return fault("status", "429", "Retry-After", after)
}

// next makes the next requests go wrong, one each; an empty fault lets one through.
func (w *workspace) next(faults ...http.Header) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = faults
}

func (w *workspace) handle(name string, work func(*http.Request) any) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		var f http.Header
		if len(w.faults) > 0 {
			f, w.faults = w.faults[0], w.faults[1:]
		}
		w.calls = append(w.calls, name)
		switch {
		case f.Get("hang-up") != "":
			panic(http.ErrAbortHandler)
		case f.Get("status") != "":
			rw.Header().Set("Location", "/elsewhere")
			if after := f.Get("Retry-After"); after != "" {
				rw.Header().Set("Retry-After", after)
			}
			var code int
			_, _ = fmt.Sscan(f.Get("status"), &code)
			rw.WriteHeader(code)
		case f.Get("body") != "":
			_, _ = fmt.Fprint(rw, f.Get("body"))
		default:
			_ = json.NewEncoder(rw).Encode(work(r))
		}
	}
}

func no(code string) map[string]any { return map[string]any{"ok": false, "error": code} }

func (w *workspace) post(r *http.Request) any {
	p := &post{
		ts: fmt.Sprintf("%d.0", 100+len(w.posts)), channel: r.PostFormValue("channel"), text: r.PostFormValue("text"),
		thread: r.PostFormValue("thread_ts"), broadcast: r.PostFormValue("reply_broadcast") == "true", form: r.PostForm,
	}
	if r.PostFormValue("token") != botToken {
		return no("invalid_auth")
	}
	if !p.read(r.PostFormValue("attachments")) {
		return no("invalid_attachments")
	}
	switch p.channel {
	case "#alerts", "C1":
		p.channel = "C1"
	default:
		return no("channel_not_found")
	}
	if parent := w.find(p.thread); parent == nil || parent.deleted {
		p.thread = ""
	}
	w.posts = append(w.posts, p)
	msg := map[string]any{"ts": p.ts, "text": p.text}
	if p.thread != "" {
		msg["thread_ts"] = p.thread
	}
	return map[string]any{"ok": true, "channel": p.channel, "ts": p.ts, "message": msg}
}

func (w *workspace) update(r *http.Request) any {
	p := w.find(r.PostFormValue("ts"))
	if p == nil || p.deleted || r.PostFormValue("channel") != "C1" {
		return no("message_not_found")
	}
	if !p.read(r.PostFormValue("attachments")) {
		return no("invalid_attachments")
	}
	p.text, p.edited = r.PostFormValue("text"), true
	return map[string]any{"ok": true, "channel": p.channel, "ts": p.ts, "text": p.text}
}

func (w *workspace) webhook(r *http.Request) any {
	var m slackgo.WebhookMessage
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
		return err.Error()
	}
	w.posts = append(w.posts, &post{ts: fmt.Sprintf("%d.0", 100+len(w.posts)), text: m.Text, attachments: m.Attachments})
	return "ok"
}

func (p *post) read(attachments string) bool {
	p.attachments = nil
	return json.Unmarshal([]byte(attachments), &p.attachments) == nil
}

func (w *workspace) find(ts string) *post {
	for _, p := range w.posts {
		if p.ts == ts {
			return p
		}
	}
	return nil
}

// transcript is the channel as its readers see it, then the requests that made it so.
func (w *workspace) transcript() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	for _, p := range w.posts {
		b.WriteString(p.ts)
		if p.thread != "" {
			b.WriteString(" in " + p.thread)
		}
		for _, mark := range []struct {
			on   bool
			name string
		}{{p.broadcast, "broadcast"}, {p.edited, "edited"}, {p.deleted, "deleted"}} {
			if mark.on {
				b.WriteString(" " + mark.name)
			}
		}
		for _, a := range p.attachments {
			b.WriteString(" " + a.Color)
		}
		b.WriteString(": " + p.text + "\n")
	}
	b.WriteString("calls: " + strings.Join(w.calls, " ") + "\n")
	return b.String()
}

func (w *workspace) url(path string) string { return strings.TrimSuffix(w.GetAPIURL(), "/") + path }

func (w *workspace) bot(t *testing.T) *Sender {
	t.Helper()
	return sender(t, Options{Token: notify.Literal(botToken), Channel: "#alerts", APIURL: w.GetAPIURL()})
}

func (w *workspace) hook(t *testing.T) *Sender {
	t.Helper()
	return sender(t, Options{Webhook: notify.Literal(w.url(hookPath))})
}

// sender is a Sender that is never held up by the rate limit.
func sender(t *testing.T, o Options) *Sender {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.pace = newPacer(0, 1)
	return s
}

// silent is a server that takes requests and never answers.
func silent(t *testing.T) *httptest.Server {
	t.Helper()
	stop := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { close(stop); s.Close() })
	return s
}

func failure1() notify.Alert {
	return notify.Alert{
		Key: "attempt/12/failed", Kind: notify.AttemptFailed, At: time.Date(2026, 11, 22, 15, 3, 12, 0, time.UTC),
		Repo: "workflows", Project: "billing", Workflow: "daily_load", Attempt: 12, Task: "+daily_load+load",
		Session: time.Date(2026, 11, 23, 0, 0, 0, 0, time.FixedZone("JST", 9*3600)),
		Message: "Command failed with code 1", LogTail: []string{"a < b && c", "<!here> ```done```"}, Count: 1,
		Revision: notify.Commit{ID: "4a1c9e77d0f2", Author: "Ada <ada@example.com>", Subject: "Load @here & there", Link: "https://git.example.com/c?a=1&b=2|3"},
		Link:     "https://gitdag.example.com/attempts/12",
		Since:    time.Date(2026, 11, 22, 15, 3, 12, 0, time.UTC),
	}
}

func failure2(thread notify.Receipt) notify.Alert {
	a := failure1()
	a.Key, a.Attempt, a.Count, a.Thread = "attempt/13/failed", 13, 2, thread
	a.At = a.At.Add(30 * time.Minute)
	return a
}

func recovery(thread notify.Receipt) notify.Alert {
	a := failure2(thread)
	a.Key, a.Kind, a.Attempt, a.Task, a.LogTail = "attempt/14/recovered", notify.AttemptRecovered, 14, "", nil
	a.At = a.Since.Add(45 * time.Minute)
	return a
}
