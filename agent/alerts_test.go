package agent

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gitdag/bench/agenttest"
	"gitdag/engine/flow"
	"gitdag/notify"
)

// fakeSlack takes messages as an incoming webhook and as a Web API. Its answers
// are scripted: each request uses up one, and when none is left all goes well.
type fakeSlack struct {
	*httptest.Server
	mu       sync.Mutex
	answers  []http.HandlerFunc
	requests int
	calls    []string // paths of what was taken
	messages []string // bodies of what was taken
}

func newFakeSlack(t *testing.T, answers ...http.HandlerFunc) *fakeSlack {
	t.Helper()
	s := &fakeSlack{answers: answers}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *fakeSlack) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	s.requests++
	var answer http.HandlerFunc
	if len(s.answers) > 0 {
		answer, s.answers = s.answers[0], s.answers[1:]
	}
	if answer == nil {
		s.calls = append(s.calls, r.URL.Path)
		s.messages = append(s.messages, string(body))
	}
	ts := fmt.Sprintf("1700000000.%06d", s.requests)
	s.mu.Unlock()
	switch {
	case answer != nil:
		answer(w, r)
	case strings.HasPrefix(r.URL.Path, "/api/"):
		_ = json.NewEncoder(w).Encode(map[string]any{"ok": true, "channel": "C1", "ts": ts})
	default:
		_, _ = io.WriteString(w, "ok")
	}
}

// taken returns the messages that were accepted.
func (s *fakeSlack) taken() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.messages...)
}

func (s *fakeSlack) paths() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.calls...)
}

func (s *fakeSlack) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// always has every request answered so until it is called off.
func (s *fakeSlack) always(f http.HandlerFunc) (off func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range 1000 {
		s.answers = append(s.answers, f)
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.answers = nil
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func tooMany(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(http.StatusTooManyRequests)
}

func hangUp(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		conn.Close()
	}
}

func refuse(code string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"ok": false, "error": code})
	}
}

// onWebhook makes the rig's agent send its alerts to an incoming webhook.
func (r *rig) onWebhook(s *fakeSlack) {
	file := filepath.Join(r.t.TempDir(), "slack.url")
	if err := os.WriteFile(file, []byte(s.URL+"/services/T/B/x\n"), 0o600); err != nil {
		r.t.Fatal(err)
	}
	r.config.Alerts.Slack = Slack{WebhookURLFile: file}
}

func (r *rig) pending() int {
	n := 0
	r.view(func(s *flow.State) { n = len(s.Alerts()) })
	return n
}

const failing = "+fine: {sh>: echo all well}\n+load:\n  sh>: for i in 1 2 3; do echo line $i; done; echo 'no such table <orders>' >&2; exit 3\n"

// A failure's message has what a reader needs to act: what failed, why, the
// last lines of its log, and whose revision it is.
func TestFailureReachesSlack(t *testing.T) {
	slack := newFakeSlack(t)
	r := newRig(t)
	r.onWebhook(slack)
	r.config.ExternalURL = "https://gitdag.example.com/"
	r.start()
	commit := r.push("read <orders> & co", map[string]string{"etl.dig": failing})
	if r.run("etl") {
		t.Fatal("the attempt has succeeded")
	}
	r.eventually("the message is there", func() bool { return len(slack.taken()) == 1 && r.pending() == 0 })
	var all strings.Builder
	flatten(t, slack.taken()[0], &all)
	for _, want := range []string{
		"FAILED", "flows/etl", "+etl+load", "Command failed with code 3",
		"line 3", "no such table &lt;orders&gt;", commit[:8], agenttest.Author, "read &lt;orders&gt; &amp; co",
		"https://gitdag.example.com/api/attempts/1", "session 2023-11-14 22:13",
	} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("no %q in the message:\n%s", want, all.String())
		}
	}
	if strings.Contains(all.String(), "all well") {
		t.Errorf("the message has the log of another task:\n%s", all.String())
	}

	// It goes on failing, recovers, and is told so.
	r.run("etl")
	r.push("mend", map[string]string{"etl.dig": "+fine: {sh>: echo all well}\n"})
	if !r.run("etl") {
		t.Fatal("the attempt has failed")
	}
	r.eventually("the recovery is there", func() bool { return len(slack.taken()) == 3 })
	if got := slack.taken()[2]; !strings.Contains(got, "RECOVERED") || !strings.Contains(got, "after 2 failures") {
		t.Errorf("third message %s, want RECOVERED after 2 failures", got)
	}
	r.run("etl")
	if n := len(slack.taken()); n != 3 {
		t.Errorf("%d messages after another success, want 3", n)
	}
}

// flatten writes all texts of a JSON document.
func flatten(t *testing.T, doc string, out *strings.Builder) {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(doc), &v); err != nil {
		t.Fatalf("message %q: %v", doc, err)
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			out.WriteString(v + "\n")
		case []any:
			for _, x := range v {
				walk(x)
			}
		case map[string]any:
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(v)
}

// Whatever Slack does, the alert arrives, once and unaltered.
func TestSlackMisbehaves(t *testing.T) {
	slow := func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(300 * time.Millisecond):
		case <-r.Context().Done():
		}
		w.WriteHeader(http.StatusInternalServerError)
	}
	for name, answer := range map[string]http.HandlerFunc{
		"500": status(http.StatusInternalServerError), "429": tooMany, "hang-up": hangUp, "slow": slow,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			slack := newFakeSlack(t, answer, answer)
			r := newRig(t)
			r.onWebhook(slack)
			r.start()
			r.push("fail", map[string]string{"w.dig": "+a: {fail>: boom}\n"})
			r.run("w")
			r.eventually("the message is there", func() bool { return len(slack.taken()) == 1 && r.pending() == 0 })
			if got := slack.asked(); got != 3 {
				t.Errorf("%d requests, want 3", got)
			}
		})
	}
}

// While Slack is down workflows run as ever; the alerts outlive the agent and
// are sent by the next one, in order.
func TestAlertsSurviveARestart(t *testing.T) {
	slack := newFakeSlack(t)
	mend := slack.always(status(http.StatusServiceUnavailable))
	r := newRig(t)
	r.onWebhook(slack)
	r.start()
	r.push("two", map[string]string{"bad.dig": "+a: {fail>: 'boom ${session_unixtime}'}\n", "good.dig": "+a: {echo>: a}\n"})
	r.run("bad")
	r.run("bad")
	r.eventually("a try has failed", func() bool { return slack.asked() > 0 })
	begin := time.Now()
	if !r.run("good") {
		t.Error("a workflow fails while Slack is down")
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("a workflow took %v while Slack is down", took)
	}
	if got := r.pending(); got != 2 {
		t.Errorf("%d pending alerts, want 2", got)
	}
	r.stop()
	mend()
	if got := len(slack.taken()); got != 0 {
		t.Errorf("%d messages, want none yet", got)
	}
	r.start()
	r.eventually("both messages are there", func() bool { return len(slack.taken()) == 2 && r.pending() == 0 })
	for i, want := range []string{"boom 1700000001", "boom 1700000002"} {
		if got := slack.taken()[i]; !strings.Contains(got, want) {
			t.Errorf("message %d is %s, want %s", i, got, want)
		}
	}
}

// A channel that refuses for good is not asked again; the alert stands in the
// log.
func TestAlertThatSlackRefuses(t *testing.T) {
	slack := newFakeSlack(t)
	slack.always(refuse("invalid_auth"))
	r := newRig(t)
	r.onBot(slack)
	r.start()
	r.push("fail", map[string]string{"w.dig": "+a: {fail>: boom}\n"})
	r.run("w")
	r.log.Await(t, `alert given up.*FAILED  flows/w.*boom.*invalid_auth`)
	if got := slack.asked(); got != 1 || r.pending() != 0 {
		t.Errorf("%d requests and %d pending alerts, want 1 and 0", got, r.pending())
	}
}

// onBot makes the rig's agent send its alerts as a bot.
func (r *rig) onBot(s *fakeSlack) {
	file := filepath.Join(r.t.TempDir(), "slack.token")
	if err := os.WriteFile(file, []byte("xoxb-secret\n"), 0o600); err != nil {
		r.t.Fatal(err)
	}
	r.config.Alerts.Slack = Slack{TokenFile: file, Channel: "#ops", APIURL: s.URL + "/api/"}
}

// A bot's incident is one thread: the first message is posted, a repetition
// answers it, the recovery edits it. That the thread is remembered outlives the
// agent.
func TestIncidentIsOneThread(t *testing.T) {
	slack := newFakeSlack(t)
	r := newRig(t)
	r.onBot(slack)
	r.start()
	r.push("fail", map[string]string{"w.dig": "+a: {fail>: boom}\n"})
	r.run("w")
	r.eventually("the first message is there", func() bool { return len(slack.taken()) == 1 && r.pending() == 0 })
	r.stop()
	r.start()
	r.run("w")
	r.eventually("the second message is there", func() bool { return len(slack.taken()) == 2 && r.pending() == 0 })
	r.push("mend", map[string]string{"w.dig": "+a: {echo>: a}\n"})
	r.run("w")
	r.eventually("the recovery is told", func() bool { return len(slack.taken()) == 4 && r.pending() == 0 })
	want := []string{"/api/chat.postMessage", "/api/chat.postMessage", "/api/chat.update", "/api/chat.postMessage"}
	for i, got := range slack.paths() {
		if got != want[i] {
			t.Errorf("call %d is %s, want %s", i, got, want[i])
		}
	}
	const thread = "thread_ts=1700000000.000001"
	for i, in := range []bool{false, true, false, true} {
		if got := strings.Contains(slack.taken()[i], thread); got != in {
			t.Errorf("message %d is in the thread: %v, want %v: %s", i, got, in, slack.taken()[i])
		}
	}
}

// An attempt that is not over at its deadline is told once, and goes on.
func TestMissedDeadlineIsToldOnce(t *testing.T) {
	r := newRig(t)
	r.start()
	r.push("slow", map[string]string{"w.dig": "sla: {duration: 00:00:01, alert: true}\n+a: {sh>: sleep 2.5}\n"})
	if !r.run("w") {
		t.Error("the attempt has failed")
	}
	r.eventually("it is told", func() bool { return len(r.told.of(notify.SLAMissed)) > 0 })
	r.stop()
	r.start()
	if got := len(r.told.of(notify.SLAMissed)); got != 1 {
		t.Errorf("the missed deadline is told %d times, want once", got)
	}
	if got := len(r.told.of(notify.AttemptFailed)); got != 0 {
		t.Errorf("%d failures told, want none", got)
	}
}

// Without a channel alerts go to the log.
func TestAlertsWithoutAChannel(t *testing.T) {
	r := newRig(t)
	r.start()
	r.push("fail", map[string]string{"w.dig": "+a: {fail>: boom}\n"})
	r.run("w")
	r.eventually("it is told", func() bool { return len(r.told.of(notify.AttemptFailed)) == 1 })
	a := r.told.of(notify.AttemptFailed)[0]
	if a.Task != "+w+a" || a.Message != "boom" || a.Attempt != 1 || a.Count != 1 {
		t.Errorf("got %+v, want the failure of +w+a", a)
	}
}
