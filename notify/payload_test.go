package notify

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// digdag is the alert of Digdag's own sample, and of a failed attempt of ours.
func digdag() Alert {
	zone := time.FixedZone("NZDT", 12*3600)
	return Alert{
		Kind: AttemptFailed, At: time.Date(2031, 4, 5, 5, 19, 40, 999, zone),
		Project: "tide_tables", Workflow: "harbor_report", ProjectID: 12, SessionID: 7710, DefinitionID: 903, Attempt: 9021,
		Session: time.Date(2031, 4, 5, 0, 0, 0, 0, zone), Timezone: "Pacific/Auckland",
		SessionUUID: "5e0c4b1e-02d7-4b7b-9f0e-8f6a2f0d9c11", RevisionName: "rel-2031.04.05",
	}
}

// Digdag's keys come first, in its order; what Digdag would not know follows.
func TestPayloadIsDigdags(t *testing.T) {
	got := string(Payload(digdag()))
	want := `{"timestamp":"2031-04-04T17:19:40Z","message":"Workflow session attempt failed","site_id":0,"project_id":12,` +
		`"project_name":"tide_tables","workflow_name":"harbor_report","revision":"rel-2031.04.05","attempt_id":9021,` +
		`"session_id":7710,"task_name":"+harbor_report^failure-alert","timezone":"Pacific/Auckland",` +
		`"session_uuid":"5e0c4b1e-02d7-4b7b-9f0e-8f6a2f0d9c11","session_time":"2031-04-05T00:00:00+12:00",` +
		`"workflow_definition_id":903,"event":"attempt_failed","title":`
	if !strings.HasPrefix(got, want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if strings.Contains(got, "\n") {
		t.Errorf("more than one line: %q", got)
	}
}

func TestPayloadOfEachTrigger(t *testing.T) {
	failed, missed, timedOut, notice := digdag(), digdag(), digdag(), digdag()
	failed.Task, failed.Message = "+harbor_report+load", "Command failed with code 1 <runtime>"
	missed.Kind, timedOut.Kind, notice.Kind = SLAMissed, TimedOut, Notice
	timedOut.Message = "Workflow execution timeout"
	notice.Task, notice.Message = "+harbor_report+tell", "all is well"
	recovered := Alert{Kind: AttemptRecovered, Project: "p", Workflow: "w", Attempt: 3, Count: 2}
	away := Alert{Kind: SyncFailed, Repo: "workflows", Message: "connection refused"}
	for _, tt := range []struct {
		a    Alert
		want map[string]any
	}{
		{failed, map[string]any{
			"message": "Workflow session attempt failed", "task_name": "+harbor_report^failure-alert", "event": "attempt_failed",
			"error": "Command failed with code 1 <runtime>", "failed_task": "+harbor_report+load",
		}},
		{missed, map[string]any{"message": "SLA violation", "task_name": "+harbor_report^sla^alert", "event": "sla_missed"}},
		{timedOut, map[string]any{ // Q25: with all that is known of the session
			"message": "Workflow execution timeout", "task_name": "+harbor_report", "event": "attempt_timed_out",
			"timezone": "Pacific/Auckland", "session_uuid": "5e0c4b1e-02d7-4b7b-9f0e-8f6a2f0d9c11", "session_time": "2031-04-05T00:00:00+12:00",
		}},
		{notice, map[string]any{"message": "all is well", "task_name": "+harbor_report+tell", "event": "message", "error": nil, "failed_task": nil}},
		{recovered, map[string]any{
			"message": "RECOVERED  p/w  after 2 failures", "task_name": nil, "session_time": nil, "session_uuid": nil,
			"attempt_id": 3.0, "session_id": nil, "project_id": nil, "workflow_definition_id": nil, "failures": 2.0,
		}},
		{away, map[string]any{
			"message": "SYNC FAILED  workflows  connection refused", "project_name": nil, "workflow_name": nil, "revision": nil,
			"attempt_id": nil, "task_name": nil, "repository": "workflows",
		}},
	} {
		var got map[string]any
		if err := json.Unmarshal(Payload(tt.a), &got); err != nil {
			t.Fatal(err)
		}
		for key, want := range tt.want {
			if got[key] != want {
				t.Errorf("%s, %s: got %v, want %v", tt.a.Kind, key, got[key], want)
			}
		}
		for _, key := range []string{
			"timestamp", "site_id", "project_id", "project_name", "workflow_name", "revision", "attempt_id",
			"session_id", "task_name", "timezone", "session_uuid", "session_time", "workflow_definition_id",
		} {
			if _, ok := got[key]; !ok {
				t.Errorf("%s: %s is left out", tt.a.Kind, key)
			}
		}
	}
}

func TestPayloadGolden(t *testing.T) {
	var b strings.Builder
	for _, a := range samples() {
		var v any
		if err := json.Unmarshal(Payload(a), &v); err != nil {
			t.Fatal(err)
		}
		b.Write(Payload(a))
		b.WriteByte('\n')
	}
	golden(t, filepath.Join("testdata", "payloads.jsonl"), b.String())
}

// A program's output may be anything, and of any size.
func TestPayloadIsBounded(t *testing.T) {
	a := digdag()
	a.Message = strings.Repeat("é\x00\xff", 1<<20)
	a.LogTail = []string{strings.Repeat("x", 1<<20)}
	got := Payload(a)
	if len(got) > 128<<10 {
		t.Errorf("got %d bytes", len(got))
	}
	if !json.Valid(got) {
		t.Errorf("not JSON: %.100q", got)
	}
	a.Kind = Notice
	if got := Payload(a); len(got) > 128<<10 {
		t.Errorf("a notice: got %d bytes", len(got))
	}
}

func TestTimedOutMessage(t *testing.T) {
	a := digdag()
	a.Kind, a.Message = TimedOut, "Workflow execution timeout"
	if got, want := Render(a).Title, "TIMED OUT  tide_tables/harbor_report  session 2031-04-05 00:00 NZDT  Workflow execution timeout"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := Render(a).Tone; got != Bad {
		t.Errorf("got tone %v, want %v", got, Bad)
	}
}

func TestExcerpt(t *testing.T) {
	if d := cmp.Diff("a b…", Excerpt("\x1b[31m\n a \t bcd\nmore", 4)); d != "" {
		t.Error(d)
	}
}
