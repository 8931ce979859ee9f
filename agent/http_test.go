package agent

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"gitdag/agent/api"
	"gitdag/agent/history"
	"gitdag/bench/agenttest"
	"gitdag/engine/flow"
	"gitdag/notify"
)

// What the interface tells of an attempt is the same while it is live and when
// it is in the history.
func TestAttemptOverHTTP(t *testing.T) {
	r := newRig(t)
	r.start()
	r.push("two", map[string]string{
		"good.dig": "+a: {echo>: a}\n", "slow.dig": "+a: {sh>: sleep 600}\n",
	})
	var list struct {
		Workflows []struct{ ID, Name string }
	}
	r.ask(http.MethodGet, "/api/workflows", "", "", &list)
	ids := map[string]string{}
	for _, w := range list.Workflows {
		ids[w.Name] = w.ID
	}
	start := func(workflow, session string) (status int, id string) {
		t.Helper()
		var answer struct{ ID string }
		body := fmt.Sprintf(`{"workflowId": %q, "sessionTime": %q, "params": {}}`, ids[workflow], session)
		return r.ask(http.MethodPut, "/api/attempts", body, "", &answer), answer.ID
	}
	status, good := start("good", "2031-01-01T00:00:00Z")
	if status != http.StatusOK || good != "1" {
		t.Fatalf("PUT /api/attempts: status %d, attempt %q, want 200 and 1", status, good)
	}
	r.ended(1)
	if status, id := start("good", "2031-01-01T00:00:00Z"); status != http.StatusConflict || id != "1" {
		t.Errorf("the same session again: status %d, attempt %q, want 409 and 1", status, id)
	}
	_, slow := start("slow", "2031-01-01T00:00:00Z")
	for id, want := range map[string]bool{good: true, slow: false} {
		var attempt struct {
			Status        string
			Done, Success bool
		}
		if got := r.ask(http.MethodGet, "/api/attempts/"+id, "", "", &attempt); got != http.StatusOK || attempt.Success != want {
			t.Errorf("attempt %s: status %d, %+v, want success %v", id, got, attempt, want)
		}
		var tasks struct{ Tasks []struct{ FullName string } }
		r.ask(http.MethodGet, "/api/attempts/"+id+"/tasks", "", "", &tasks)
		if len(tasks.Tasks) != 2 {
			t.Errorf("attempt %s has tasks %+v, want two", id, tasks.Tasks)
		}
	}
	for _, path := range []string{"/api/attempts", "/api/sessions"} {
		var page struct{ Attempts, Sessions []struct{ ID string } }
		r.ask(http.MethodGet, path, "", "", &page)
		if n := len(page.Attempts) + len(page.Sessions); n != 2 {
			t.Errorf("%s lists %d, want the live one and the one that is over", path, n)
		}
	}
	var session struct{ ID string }
	r.ask(http.MethodGet, "/api/sessions/1", "", "", &session)
	if session.ID != "1" {
		t.Errorf("session %q, want 1", session.ID)
	}
	if got := r.ask(http.MethodGet, "/api/attempts/99", "", "", nil); got != http.StatusNotFound {
		t.Errorf("an attempt that is not there: status %d, want 404", got)
	}
	if got := r.ask(http.MethodPost, "/api/attempts/"+slow+"/kill", "", "", nil); got/100 != 2 {
		t.Errorf("kill: status %d, want success", got)
	}
	if r.ended(2) {
		t.Error("a killed attempt has succeeded")
	}
	res, err := http.Get("http://" + r.agent.Addr() + "/api/attempts/1/retries")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if data, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("retries: status %d, %q, %v, want 200", res.StatusCode, data, err)
	}
	var state api.Status
	r.ask(http.MethodGet, "/api/status", "", "", &state)
	if !state.Ready || state.Version != "test" {
		t.Errorf("status %+v, want ready, version test", state)
	}
}

// A state that was saved in a snapshot comes back from it.
func TestRestartFromASnapshot(t *testing.T) {
	r := newRig(t)
	r.config.Drain = Duration(time.Millisecond)
	r.start()
	r.push("two", map[string]string{"w.dig": daily("04:00:00"), "slow.dig": "+a: {sh>: sleep 600}\n"})
	r.run("w")
	id := r.begin("slow", time.Unix(1_800_000_000, 0))
	r.eventually("the task runs", func() bool { return r.states()[flow.Running] == 1 })
	r.view(func(s *flow.State) {
		j := r.agent.store.journal
		if err := j.Snapshot(j.Last(), func(w io.Writer) error { return s.Encode(w) }); err != nil {
			t.Error(err)
		}
	})
	r.stop()
	r.start()
	r.wantSchedules("flows/w")
	r.eventually("the task runs again", func() bool { return r.states()[flow.Running] == 1 })
	if err := r.agent.engine.Kill(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	r.ended(id)
	r.run("w")
}

// A repository that is added to the configuration is followed from the next
// reload on.
func TestReloadAddsAndRemovesARepository(t *testing.T) {
	r := newRig(t)
	other := agenttest.NewRepo(t, "others")
	commit := other.Push("first", map[string]string{"own/w.dig": daily("06:00:00")})
	r.start()
	r.push("first", map[string]string{"w.dig": daily("04:00:00")})
	changed := r.config
	changed.Repos = append(changed.Repos[:1:1], Repo{URL: other.Path(), Poll: Duration(time.Hour)})
	if err := r.agent.Reload(context.Background(), changed); err != nil {
		t.Fatal(err)
	}
	r.live(commit)
	r.wantSchedules("flows/w", "own/w")
	changed.Repos = changed.Repos[1:]
	if err := r.agent.Reload(context.Background(), changed); err != nil {
		t.Fatal(err)
	}
	r.wantSchedules("own/w")
}

// Housekeeping removes what is too old, and nothing that is needed.
func TestTidy(t *testing.T) {
	r := newRig(t)
	r.config.Retention.Attempts.Age = Duration(time.Hour)
	r.config.Retention.Workspaces = Duration(time.Hour)
	r.start()
	r.push("two", map[string]string{"good.dig": "+a: {sh>: 'true'}\n", "bad.dig": "+a: {sh>: 'false'}\n"})
	r.run("good")
	r.run("bad")
	r.eventually("the failure is told", func() bool { return len(r.told.of(notify.AttemptFailed)) == 1 })
	r.agent.tidy(t.Context(), time.Now())
	if n := len(r.past()); n != 2 {
		t.Errorf("%d attempts in the history, want 2", n)
	}
	r.agent.tidy(t.Context(), time.Now().Add(2*time.Hour))
	list, err := r.agent.store.history.Attempts(t.Context(), history.Query{Limit: 10}, true)
	if err != nil || len(list) != 0 {
		t.Errorf("%d attempts in the history after their time, %v, want none", len(list), err)
	}
	if !r.run("good") {
		t.Errorf("an attempt after tidying has failed\n%s", r.log)
	}
}
