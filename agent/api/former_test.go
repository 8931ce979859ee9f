package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"gitdag/agent/api"
)

// replace makes another revision of harbour live, with two workflows.
func (r *rig) replace() {
	r.t.Helper()
	r.deployAs("decade", map[string]map[string]string{"harbour": {
		"hand.dig":  "+tern:\n  echo>: a tern\n",
		"fresh.dig": "+a:\n  echo>: a\n",
	}})
}

// startDefinition starts an attempt by the id of a definition.
func (r *rig) startDefinition(id uint64, name string) (int, api.Attempt, string) {
	r.t.Helper()
	answer := r.do(http.MethodPut, "/api/attempts", fmt.Sprintf(
		`{"workflowId":"%d","sessionTime":"2031-04-05T00:00:00Z","params":{},"retryAttemptName":%q}`, id, name))
	var a api.Attempt
	if answer.Code == http.StatusOK {
		if err := json.Unmarshal(answer.Body.Bytes(), &a); err != nil {
			r.t.Fatal(err)
		}
	}
	return answer.Code, a, answer.Body.String()
}

// Of a revision that is not live any more the workflows are known that have
// run, and can be started as they were.
func TestFormerRevisions(t *testing.T) {
	r := newRig(t)
	hand, tree, slow := r.definition("harbour", "hand"), r.definition("harbour", "tree"), r.definition("harbour", "slow")
	r.run("hand", 5, "")
	waits := r.definition("harbour", "waits")
	r.waiting(5, "") // is known by its live attempt
	r.replace()
	r.scene("former",
		"GET /api/projects/1",
		fmt.Sprintf("GET /api/workflows/%d", hand),
		fmt.Sprintf("GET /api/workflows/%d", waits),
		fmt.Sprintf("GET /api/workflows/%d", tree),
		fmt.Sprintf("GET /api/workflows/%d/truncated_session_time?session_time=2031-04-05T11:22:33Z&mode=hour", hand),
		"GET /api/projects/1/workflows?revision=c0ffee",
		"GET /api/projects/1/workflows?revision=c0ffee&name=hand",
		"GET /api/projects/1/workflows?revision=c0ffee&name=slow",
		"GET /api/projects/1/workflows?revision=decade&name=hand",
		"GET /api/projects/1/workflows?revision=",
		"GET /api/projects/1/workflows?revision=c0ff",
		"GET /api/projects/1/workflows/hand?revision=c0ffee",
		"GET /api/projects/2/workflows?revision=c0ffee",
		"GET /api/projects/99/workflows?revision=c0ffee",
	)
	code, a, body := r.startDefinition(hand, "as it was")
	if code != http.StatusOK || uint64(*a.Workflow.ID) != hand || a.Index != 2 {
		t.Fatalf("got %d %s, want attempt 2 of definition %d", code, body, hand)
	}
	r.await(uint64(a.ID))
	if got, want := r.ran(a.ID), "+hand+gull"; got != want {
		t.Errorf("ran %s, want %s", got, want)
	}
	code, a, body = r.startDefinition(r.definition("harbour", "hand"), "as it is")
	if code != http.StatusOK {
		t.Fatalf("got %d %s", code, body)
	}
	r.await(uint64(a.ID))
	if got, want := r.ran(a.ID), "+hand+tern"; got != want {
		t.Errorf("ran %s, want %s", got, want)
	}
	if code, _, body := r.startDefinition(hand, "as it was"); code != http.StatusConflict {
		t.Errorf("the same name again: got %d %s, want 409", code, body)
	}
	if code, _, body := r.startDefinition(slow, "x"); code != http.StatusNotFound {
		t.Errorf("a definition that never ran: got %d %s, want 404", code, body)
	}
}

// With its project a definition can be seen and not be started any more.
func TestFormerProject(t *testing.T) {
	r := newRig(t)
	hand := r.definition("harbour", "hand")
	r.run("hand", 5, "")
	r.deployAs("decade", map[string]map[string]string{"bay/a": {"w.dig": "+a:\n  echo>: a\n"}})
	if code, _, body := r.startDefinition(hand, "again"); code != http.StatusNotFound || !strings.Contains(body, fmt.Sprintf("workflow id=%d", hand)) {
		t.Errorf("got %d %s, want 404", code, body)
	}
	if got := get[api.Workflow](r, fmt.Sprintf("/api/workflows/%d", hand)); got.Name != "hand" || got.Project.Name != "harbour" {
		t.Errorf("got %v, want hand of harbour", got)
	}
}
