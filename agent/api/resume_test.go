package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"gitdag/agent/api"
)

// resume starts an attempt of a workflow of harbour that takes tasks over;
// fields are the JSON of resume.
func (r *rig) resume(workflow, name, fields string) (int, api.Attempt, string) {
	r.t.Helper()
	body := fmt.Sprintf(`{"workflowId":"%d","sessionTime":"2031-04-05T00:00:00Z","params":{},"resume":%s`, r.definition("harbour", workflow), fields)
	if name != "" {
		body += fmt.Sprintf(`,"retryAttemptName":%q`, name)
	}
	answer := r.do(http.MethodPut, "/api/attempts", body+"}")
	var a api.Attempt
	if answer.Code == http.StatusOK || answer.Code == http.StatusConflict {
		if err := json.Unmarshal(answer.Body.Bytes(), &a); err != nil {
			r.t.Fatal(err)
		}
	}
	return answer.Code, a, answer.Body.String()
}

// ran returns the tasks of an attempt that were executed.
func (r *rig) ran(attempt api.ID) string {
	r.t.Helper()
	var names []string
	for _, task := range get[struct{ Tasks []api.Task }](r, "/api/attempts/"+attempt.String()+"/tasks").Tasks {
		if !task.StartedAt.IsZero() {
			names = append(names, task.FullName)
		}
	}
	return strings.Join(names, " ")
}

// What succeeded is taken over: it is a success that never started. An attempt
// that fails again tells of it, and runs its `_error` again (Q31).
// Clients may send a key twice (Q34).
func TestResumedAttempts(t *testing.T) {
	r := newRig(t)
	failed := r.run("fails", 5, "")
	fails := r.definition("harbour", "fails")
	resume := func(name, fields string) string {
		return fmt.Sprintf(`PUT /api/attempts {"workflowId":"%d","sessionTime":"2031-04-05T00:00:00Z","params":{},"retryAttemptName":%q,"resume":%s}`, fails, name, fields)
	}
	r.scene("resume-failed", resume("failed", fmt.Sprintf(`{"mode":"failed","mode":"failed","attemptId":"%d"}`, failed)))
	r.await(2)
	r.scene("resume-from", resume("from", fmt.Sprintf(`{"mode":"from","mode":"from","from":"+bad","attemptId":%d}`, failed)))
	r.await(3)
	r.scene("resume", "GET /api/attempts/2", "GET /api/attempts/2/tasks", "GET /api/attempts/3/tasks", "GET /api/attempts/2/retries")
	if got, want := r.ran(2), "+fails+group+bad +fails^failure-alert +fails^error"; got != want {
		t.Errorf("with failed: ran %s, want %s", got, want)
	}
}

func TestResumeReadsWhatClientsSend(t *testing.T) {
	r := newRig(t)
	failed, good := r.run("fails", 5, ""), r.run("tree", 5, "")
	live := r.waiting(5, "")
	for i, c := range []struct {
		workflow, resume string
		want             int
		says             string // the message of an error; what ran otherwise
	}{
		{"fails", `{"mode":"failed","attemptId":"$F"}`, 200, "+fails+group+bad +fails^failure-alert +fails^error"},
		{"fails", `{"mode":"from","attemptId":"$F","from":"+fine"}`, 200, "+fails+fine +fails+group+bad +fails^failure-alert +fails^error"},
		{"fails", `{"mode":"failed","attemptId":"999"}`, 200, "+fails+fine +fails+group+bad +fails^failure-alert +fails^error"},
		{"fails", `{"mode":"from","attemptId":-1,"from":"x"}`, 200, "+fails+fine +fails+group+bad +fails^failure-alert +fails^error"},
		// Of another workflow, and of one that runs.
		{"hand", `{"mode":"failed","attemptId":"$F"}`, 200, "+hand+gull"},
		{"hand", `{"mode":"failed","attemptId":"$L"}`, 200, "+hand+gull"},
		{"tree", `{"mode":"from","attemptId":"$G","from":"+each"}`, 200, "+tree+each +tree+each^sub+loop-0+body +tree+each^sub+loop-1+body"},
		{"tree", `{"mode":"failed","attemptId":"$G"}`, 400, "attempt $G succeeded: there is nothing to resume"},
		{"fails", `{"mode":"from","attemptId":"$F","from":"+ghost"}`, 400, `no task's name ends with "+ghost"`},
		{"tree", `{"mode":"from","attemptId":"$G","from":"t"}`, 400, `"t" is ambiguous: it may mean +tree+many+left, +tree+many+right`},
		{"fails", `{"mode":"from","attemptId":"$F","from":"+after"}`, 400, "task +fails+group is group_error: only what succeeded can be skipped"},
		{"fails", `{"mode":"from","attemptId":"$F"}`, 400, "resume.from must be the name of a task, or its end"},
		{"fails", `{"mode":"from","attemptId":"$F","from":""}`, 400, "resume.from must be the name of a task, or its end"},
		{"fails", `{"mode":"FAILED","attemptId":"$F"}`, 400, `resume.mode must be failed or from: "FAILED"`},
		{"fails", `{"attemptId":"$F"}`, 400, `resume.mode must be failed or from: ""`},
		{"fails", `{"mode":"failed"}`, 400, "resume.attemptId must be the id of an attempt"},
		{"fails", `{"mode":"failed","attemptId":"x"}`, 400, `resume.attemptId must be a number: "x"`},
		{"fails", `{"mode":"failed","attemptId":null}`, 400, "resume.attemptId must be the id of an attempt"},
		{"fails", `["failed"]`, 400, "resume must be an object"},
		{"fails", `false`, 400, "resume must be an object"},
	} {
		ids := strings.NewReplacer("$F", fmt.Sprint(failed), "$G", fmt.Sprint(good), "$L", fmt.Sprint(live))
		code, a, body := r.resume(c.workflow, fmt.Sprint("try ", i), ids.Replace(c.resume))
		if code != c.want {
			t.Errorf("%s: got %d %s, want %d", c.resume, code, body, c.want)
			continue
		}
		if code == http.StatusOK {
			r.await(uint64(a.ID))
			if got := r.ran(a.ID); got != c.says {
				t.Errorf("%s: ran %s, want %s", c.resume, got, c.says)
			}
			continue
		}
		var e api.Error
		if err := json.Unmarshal([]byte(body), &e); err != nil || e.Message != ids.Replace(c.says) {
			t.Errorf("%s: got %s, want %s", c.resume, body, ids.Replace(c.says))
		}
	}
}

// A resume is a start: without a name that is new it is answered with what is
// there.
func TestResumeNeedsANewName(t *testing.T) {
	r := newRig(t)
	failed := r.run("fails", 5, "")
	fields := fmt.Sprintf(`{"mode":"failed","attemptId":"%d"}`, failed)
	if code, a, body := r.resume("fails", "", fields); code != http.StatusConflict || uint64(a.ID) != failed {
		t.Errorf("without a name: got %d %s, want 409 and attempt %d", code, body, failed)
	}
	if code, _, body := r.resume("fails", "again", fields); code != http.StatusOK {
		t.Fatalf("with a name: got %d %s", code, body)
	}
	r.await(2)
	if code, a, body := r.resume("fails", "again", fields); code != http.StatusConflict || a.ID != 2 {
		t.Errorf("with a name that is taken: got %d %s, want 409 and attempt 2", code, body)
	}
}
