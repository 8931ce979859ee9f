package api_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gitdag/agent/api"
	"gitdag/engine/flow"
)

// A sample that is pushed, in three revisions.
var quay = []map[string]string{
	{"crane.dig": "+lift:\n  echo>: lift\n", "readme.txt": "first\n"},
	{"crane.dig": "+lift:\n  echo>: lift again\n", "ferry.dig": "+go:\n  echo>: go\n"},
	{"ferry.dig": "timezone: Asia/Tokyo\nschedule:\n  daily>: 07:00:00\n+go:\n  wait>: 10m\n"},
}

// A pushed project looks as one from Git does, and older revisions stay visible
// and can be started. Revisions can be paged (Q11), a definition has its id by name (Q38).
func TestPushedProjects(t *testing.T) {
	r := newRig(t)
	for i, files := range quay {
		r.push("quay", fmt.Sprint("r", i+1), files)
	}
	crane := r.revised("quay", "r1", "crane")
	r.scene("pushed",
		"GET /api/projects?name=quay",
		"GET /api/project?name=quay",
		"GET /api/projects/3",
		"GET /api/projects/1/revisions",
		"GET /api/projects/3/revisions",
		"GET /api/projects/3/revisions?name=r2",
		"GET /api/projects/3/revisions?name=r9",
		"GET /api/projects/3/revisions?page_size=1",
		"GET /api/projects/3/revisions?last_id=4&count=1",
		"GET /api/projects/3/revisions?last_id=3",
		"GET /api/projects/3/revisions?last_id=0",
		"GET /api/projects/3/workflows",
		"GET /api/projects/3/workflows?revision=r2",
		"GET /api/projects/3/workflows?revision=r2&name=crane",
		"GET /api/projects/3/workflows?revision=r9",
		"GET /api/projects/3/workflows/crane",
		"GET /api/projects/3/workflows/crane?revision=r2",
		"GET /api/projects/3/workflow?name=crane&revision=r1",
		"GET /api/workflow?project=quay&name=ferry",
		"GET /api/workflow?project=quay&name=ferry&revision=r2",
		fmt.Sprintf("GET /api/workflows/%d", crane),
		fmt.Sprintf("GET /api/workflows/%d/truncated_session_time?session_time=2031-04-05T11:22:33Z&mode=hour", crane),
		"GET /api/projects/3/schedules",
		fmt.Sprintf(`PUT /api/attempts {"workflowId":"%d","sessionTime":"2031-04-05T00:00:00Z","params":{}}`, crane),
	)
	r.await(1)
	if got, want := r.ran(1), "+crane+lift"; got != want {
		t.Errorf("ran %s, want %s", got, want)
	}
}

// revised returns the id of a definition of a revision.
func (r *rig) revised(project, revision, workflow string) (id uint64) {
	r.t.Helper()
	r.e.View(func(s *flow.State) { id = s.ProjectNamed(project).RevisionNamed(revision).Workflow(workflow).ID })
	return id
}

// With a project its schedules and metadata are gone; what ran stays visible, what
// runs goes on (Q30), and its name is free.
func TestDeletedProjects(t *testing.T) {
	r := newRig(t)
	r.push("quay", "r3", quay[2])
	ferry := r.definition("quay", "ferry")
	start := fmt.Sprintf(`{"workflowId":"%d","sessionTime":"2031-04-05T00:00:00Z","params":{}}`, ferry)
	if answer := r.do(http.MethodPut, "/api/attempts", start); answer.Code != http.StatusOK {
		t.Fatalf("start: got %d %s", answer.Code, answer.Body)
	}
	r.do(http.MethodPut, "/api/projects/3/secrets/a", `{"value":"x"}`)
	requests := []string{
		"DELETE /api/projects/3",
		"GET /api/projects?name=quay",
		"GET /api/attempts?project=quay",
		fmt.Sprintf("GET /api/workflows/%d", ferry),
		"GET /api/schedules/3",
		"GET /api/attempts/1",
		"GET /api/sessions/1",
		"PUT /api/attempts " + start,
		"DELETE /api/projects/3",
		"DELETE /api/projects/1",
	}
	for _, part := range []string{
		"", "/revisions", "/workflows", "/workflows/ferry", "/workflow?name=ferry", "/schedules", "/sessions", "/archive", "/secrets",
	} {
		requests = append(requests, "GET /api/projects/3"+part)
	}
	r.scene("deleted", requests...)
	r.push("quay", "r3", quay[0])
	r.scene("pushed-again", "GET /api/projects?name=quay", "GET /api/projects/4/secrets", "GET /api/projects/3")
}

// What is wrong with a push is told before anything of it is kept. An archive of
// unknown length is fine (Q5), a missing project is a bad request (Q37).
func TestPushes(t *testing.T) {
	r := newRig(t)
	good := r.packed(quay[0])
	bad := r.packed(map[string]string{"w.dig": "stray: 1\n"})
	long := strings.Repeat("ä", 256)
	query := func(project, revision string) string {
		return url.Values{"project": {project}, "revision": {revision}}.Encode()
	}
	for _, c := range []struct {
		name, query string
		body        []byte
		headers     []string
		want        int
		message     string
	}{
		{"no project", "revision=r", good, nil, 400, "project= is required"},
		{"empty project", "project=&revision=r", good, nil, 400, "project= is required"},
		{"no revision", "project=p", good, nil, 400, "revision= is required"},
		{"empty revision", "project=p&revision=", good, nil, 400, "revision= is required"},
		{"digit", query("1p", "r"), good, nil, 400, "must not begin with"},
		{"plus", query("+p", "r"), good, nil, 400, "must not begin with"},
		{"slash", query("a/b", "r"), good, nil, 400, "must not have a slash"},
		{"dig", query("p.dig", "r"), good, nil, 400, "must not end in .dig"},
		{"long project", query(long, "r"), good, nil, 400, "longer than 255 characters"},
		{"long revision", query("p", long), good, nil, 400, "longer than 255 characters"},
		{"no UTF-8", "project=p%ff&revision=r", good, nil, 400, "not UTF-8"},
		{"bad time", "project=p&revision=r&schedule_from=tomorrow", good, nil, 400, "Invalid schedule_from"},
		{"date", "project=p&revision=r&schedule_from=2041-04-05", good, nil, 400, "Invalid schedule_from"},
		{"another type", "project=p&revision=r", good, []string{"Content-Type", "application/x-gzip"}, 400, "application/gzip"},
		{"no type", "project=p&revision=r", good, []string{"Content-Type", ""}, 400, "application/gzip"},
		{"encoded", "project=p&revision=r", good, []string{"Content-Encoding", "gzip"}, 400, "Content-Encoding"},
		{"no gzip", "project=p&revision=r", []byte("no archive"), nil, 400, "gzip"},
		{"nothing", "project=p&revision=r", nil, nil, 400, ""},
		{"bad workflow", "project=p&revision=r", bad, nil, 400, "stray"},
		{"too large", "project=p&revision=r", make([]byte, 2<<20+1), nil, 400, "exceeds limit (2097152 bytes)"},
		{"a name of Git", "project=harbour&revision=r", good, nil, 409, "harbour"},
		{"good", "project=p&revision=r&schedule_from=&clear_schedule_all=true", good, nil, 200, ""},
		{"the same again", "project=p&revision=r", good, nil, 409, "Resource already exists: revision=r in project id=3"},
		{"with a parameter of the type", query("p", "R"), good, []string{"Content-Type", "application/gzip; x=y"}, 200, ""},
		{"an odd revision", query("p", "ä /?"), good, nil, 200, ""},
	} {
		answer := r.upload(c.query, bytes.NewReader(c.body), c.headers...)
		if answer.Code != c.want || !strings.Contains(answer.Body.String(), c.message) {
			t.Errorf("%s: got %d %s, want %d with %q", c.name, answer.Code, answer.Body, c.want, c.message)
		}
		if c.want != 200 {
			wantError(t, answer, c.want)
		}
	}
	// Of a length that is not known in advance.
	if answer := r.upload("project=p&revision=chunked", io.MultiReader(bytes.NewReader(good))); answer.Code != 200 {
		t.Errorf("chunked: got %d %s, want 200", answer.Code, answer.Body)
	}
	if answer := r.upload("project=p&revision=x", io.MultiReader(bytes.NewReader(make([]byte, 3<<20)))); answer.Code != 400 ||
		!strings.Contains(answer.Body.String(), "exceeds limit") {
		t.Errorf("chunked and too large: got %d %s, want 400", answer.Code, answer.Body)
	}
	for err, want := range map[error]string{io.ErrUnexpectedEOF: "doesn't match", errors.New("reset"): "cannot be read: reset"} {
		if answer := r.upload("project=p&revision=x", broken{err}); answer.Code != 400 || !strings.Contains(answer.Body.String(), want) {
			t.Errorf("a body that ends with %v: got %d %s, want 400", err, answer.Code, answer.Body)
		}
	}
	if r.log.Len() > 0 {
		t.Errorf("bad requests were logged as faults of ours:\n%s", &r.log)
	}
}

type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// An archive comes back as it was sent, wrapped once more for a client that
// accepts compressed answers.
func TestArchives(t *testing.T) {
	r := newRig(t)
	want := r.packed(quay[0])
	r.push("quay", "r1", quay[0])
	r.push("quay", "r2", quay[1])
	for _, c := range []struct {
		target, accept string
		want           int
		length         string
	}{
		{"?revision=r1", "", 200, fmt.Sprint(len(want))},
		{"?revision=r1&direct_download=false", "", 200, fmt.Sprint(len(want))},
		{"?revision=r1", "gzip", 200, ""},
		{"?revision=r9", "", 404, ""},
		{"?revision=", "", 404, ""},
	} {
		answer := r.do(http.MethodGet, "/api/projects/3/archive"+c.target, "", "Accept-Encoding", c.accept)
		if answer.Code != c.want {
			t.Fatalf("%s: got %d %s, want %d", c.target, answer.Code, answer.Body, c.want)
		}
		if c.want != 200 {
			wantError(t, answer, c.want)
			continue
		}
		h := answer.Header()
		if h.Get("Content-Type") != "application/gzip" || h.Get("Content-Encoding") != c.accept || h.Get("Content-Length") != c.length {
			t.Errorf("%s for %q: got headers %v", c.target, c.accept, h)
		}
		got := answer.Body.String()
		if c.accept == "gzip" {
			got = gunzip(t, answer.Body.Bytes())
		}
		if got != string(want) {
			t.Errorf("%s for %q: got %d bytes, want the %d that were pushed", c.target, c.accept, len(got), len(want))
		}
	}
	live := r.do(http.MethodGet, "/api/projects/3/archive", "").Body.Bytes()
	if !bytes.Equal(live, r.packed(quay[1])) {
		t.Errorf("the live one: got %d bytes, want those of r2", len(live))
	}
	head := r.do(http.MethodHead, "/api/projects/3/archive", "")
	if head.Code != 200 || head.Header().Get("Content-Length") != fmt.Sprint(len(live)) || head.Body.Len() > 0 {
		t.Errorf("HEAD: got %d %v and %d bytes", head.Code, head.Header(), head.Body.Len())
	}
}

// Who pushed is kept, and shown to administrators.
func TestWhoPushed(t *testing.T) {
	r := newRig(t, func(o *api.Options) { o.Auth = userInfo{} })
	r.push("quay", "r1", quay[0])
	body := fmt.Sprintf(`{"workflowId":"%d","sessionTime":"2031-04-05T00:00:00Z","params":{}}`, r.definition("quay", "crane"))
	if answer := r.do(http.MethodPut, "/api/attempts", body); answer.Code != 200 {
		t.Fatalf("start: got %d %s", answer.Code, answer.Body)
	}
	r.await(r.run("hand", 5, ""))
	r.await(1)
	if answer := r.do(http.MethodDelete, "/api/projects/3", ""); answer.Code != 200 {
		t.Fatalf("delete: got %d %s", answer.Code, answer.Body)
	}
	r.handler = r.admin
	r.scene("userinfo",
		"GET /api/admin/attempts/1/userinfo",
		"GET /api/admin/attempts/2/userinfo",
		"GET /api/admin/attempts/9/userinfo",
		"GET /api/admin/attempts/x/userinfo",
		"GET /api/attempts/1",
	)
}

// A server that is not made for changes says so; one without a key for secrets
// keeps none (Q17).
func TestNotOffered(t *testing.T) {
	r := newRig(t, func(o *api.Options) { o.Schedules, o.Projects, o.Secrets = nil, nil, nil })
	for request, want := range map[string]int{
		"PUT /api/projects?project=p&revision=r":    501,
		"DELETE /api/projects/1":                    501,
		"GET /api/projects/1/archive":               404,
		"POST /api/schedules/1/disable":             501,
		"POST /api/schedules/1/enable":              501,
		"POST /api/schedules/1/skip {}":             501,
		"POST /api/schedules/1/backfill {}":         501,
		"GET /api/projects/1/secrets":               200,
		`PUT /api/projects/1/secrets/a {"value":1}`: 501,
		"DELETE /api/projects/1/secrets/a":          200,
	} {
		method, target, _ := strings.Cut(request, " ")
		target, body, _ := strings.Cut(target, " ")
		answer := r.do(method, target, body)
		if answer.Code != want {
			t.Errorf("%s: got %d %s, want %d", request, answer.Code, answer.Body, want)
		}
		if want >= 400 {
			wantError(t, answer, want)
		}
	}
}
