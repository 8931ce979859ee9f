package agent

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"gitdag/agent/api"
	"gitdag/engine/flow"
)

// snapshot writes a snapshot, which drops the segments that it covers.
func (r *rig) snapshot() {
	r.t.Helper()
	var state bytes.Buffer
	var err error
	seq := r.agent.store.journal.Last()
	r.view(func(s *flow.State) { err = s.Encode(&state) })
	if err != nil {
		r.t.Fatal(err)
	}
	err = r.agent.store.journal.Snapshot(seq, func(w io.Writer) error {
		_, err := w.Write(state.Bytes())
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// attempt returns an archived attempt.
func (r *rig) attempt(id uint64) flow.AttemptFacts {
	r.t.Helper()
	past, err := r.agent.store.history.Attempt(r.t.Context(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	return past.Attempt
}

// retry starts an attempt of a definition that takes over what succeeded in
// another one.
func (r *rig) retry(definition, attempt uint64, session time.Time, name string) (status int, id uint64, refused string) {
	r.t.Helper()
	var answer struct {
		ID      api.ID
		Message string
	}
	status = r.ask(http.MethodPut, "/api/attempts", fmt.Sprintf(
		`{"workflowId":"%d","sessionTime":%q,"params":{},"retryAttemptName":%q,"resume":{"mode":"failed","attemptId":"%d"}}`,
		definition, session.UTC().Format(time.RFC3339), name, attempt), "", &answer)
	return status, uint64(answer.ID), answer.Message
}

// failOnce has an attempt that fails behind its first task, of a revision that
// is replaced by another one, and returns what mends it. Neither the journal
// nor the state names the old revision any more.
func failOnce(r *rig) (id uint64, session time.Time, out, gate string) {
	r.t.Helper()
	dir := r.t.TempDir()
	out, gate = filepath.Join(dir, "out"), filepath.Join(dir, "gate")
	session = time.Unix(1_700_000_000, 0)
	r.start()
	r.push("old", map[string]string{
		"w.dig":    "+a: {sh>: cat data.txt >> " + out + "}\n+b: {sh>: 'test -e " + gate + " && cat data.txt >> " + out + "'}\n",
		"data.txt": "old\n",
	})
	id = r.begin("w", session)
	if r.ended(id) {
		r.t.Fatal("the attempt has succeeded before it is mended")
	}
	r.stop()
	r.version = "next" // which begins a segment
	r.start()
	r.push("new", map[string]string{"w.dig": "+x: {fail>: new}\n", "data.txt": "new\n"})
	r.snapshot()
	return id, session, out, gate
}

// A revision that is not live any more is kept for the attempts that may be
// retried: its definition outlives sweeps and a restart, and its checkout is in
// use.
func TestRetryOfAFormerRevision(t *testing.T) {
	r := newRig(t)
	r.config.Retention.Revisions = 1 // the project itself keeps the live one alone
	r.config.Retention.Attempts.Age = Duration(24 * time.Hour)
	id, session, out, gate := failOnce(r)
	for range 2 { // what is young outlives the first sweep
		r.agent.tidy(t.Context(), time.Now())
	}
	r.stop()
	r.start()
	r.agent.tidy(t.Context(), time.Now())
	old := r.attempt(id)
	used, err := r.agent.target().InUse(t.Context())
	if err != nil || !slices.Contains(used, old.Checkout) || len(used) != 2 {
		t.Errorf("checkouts in use: %q, %v, want that of the failed attempt and that which is live", used, err)
	}

	if err := os.WriteFile(gate, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	status, retried, refused := r.retry(old.Definition, id, session, "again")
	if status != http.StatusOK {
		t.Fatalf("retry: got %d %s\n%s", status, refused, r.log)
	}
	if !r.ended(retried) {
		t.Errorf("the retry has failed\n%s", r.log)
	}
	if data, _ := os.ReadFile(out); string(data) != "old\nold\n" {
		t.Errorf("got %q, want one line of each task, of the old revision", data)
	}
	again := r.attempt(retried)
	if again.Revision != old.Revision || again.Commit != old.Commit || again.Definition != old.Definition || again.Index != 2 {
		t.Errorf("the retry ran %+v, want what %+v ran", again, old)
	}
	if used, err := r.agent.target().InUse(t.Context()); err != nil || slices.Contains(used, old.Checkout) {
		t.Errorf("checkouts in use after the success: %q, %v, want only what is live", used, err)
	}
}

// Once its attempts have expired a former revision is gone: its objects are
// swept, and it cannot be started.
func TestFormerRevisionExpires(t *testing.T) {
	r := newRig(t)
	r.config.Retention.Revisions = 1 // the project itself keeps the live one alone
	r.config.Retention.Attempts.Age = Duration(24 * time.Hour)
	id, session, _, _ := failOnce(r)
	old := r.attempt(id)
	for range 2 {
		r.agent.tidy(t.Context(), time.Now().Add(48*time.Hour))
	}
	if _, err := r.agent.store.objects.Read(old.Ref); err == nil {
		t.Error("the definition is still kept")
	}
	if status, _, refused := r.retry(old.Definition, id, session, "again"); status != http.StatusNotFound {
		t.Errorf("got %d %s, want 404", status, refused)
	}
}

// What cannot run because its files are gone is refused, not begun.
func TestRetryWithoutItsCheckout(t *testing.T) {
	r := newRig(t)
	id, session, _, _ := failOnce(r)
	old := r.attempt(id)
	if err := os.RemoveAll(r.agent.syncs.dir(old.Checkout)); err != nil {
		t.Fatal(err)
	}
	status, _, refused := r.retry(old.Definition, id, session, "again")
	if want := "revision " + old.Revision + " of workflow w is not kept any more: start the latest one"; status != http.StatusBadRequest || refused != want {
		t.Errorf("got %d %s, want 400 %s", status, refused, want)
	}
}

// The API token is that which its file holds now; while the file is missing or
// empty, the last one.
func TestTokenIsReplaced(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := newRig(t)
	r.config.Auth.TokenFile = file
	write("first\n")
	r.start()
	try := func(what string, want map[string]int) {
		t.Helper()
		for token, status := range want {
			if got := r.ask(http.MethodGet, "/api/status", "", token, nil); got != status {
				t.Errorf("%s, token %q: got %d, want %d", what, token, got, status)
			}
		}
	}
	try("at first", map[string]int{"": 401, "first": 200, "second": 401})
	write("second\n")
	try("replaced", map[string]int{"": 401, "first": 401, "second": 200})
	write("")
	try("emptied", map[string]int{"": 401, "first": 401, "second": 200})
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	try("missing", map[string]int{"": 401, "second": 200})
	if n := r.log.Count("the API token stays as it was"); n != 2 {
		t.Errorf("told of %d times, want once for each reason", n)
	}
	write("third\n")
	try("there again", map[string]int{"second": 401, "third": 200})
}
