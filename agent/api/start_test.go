package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"gitdag/agent/api"
)

// Parts of a second are dropped (Q29).
func TestStartReadsWhatClientsSend(t *testing.T) {
	r := newRig(t)
	hand := r.definition("harbour", "hand")
	body := func(fields string) string {
		return strings.ReplaceAll("{"+fields+"}", "$W", api.ID(hand).String())
	}
	const ok = http.StatusOK
	for _, c := range []struct {
		body    string
		want    int
		session string
		name    string // retry attempt name
	}{
		{body(`"workflowId":"$W","sessionTime":"2031-04-05T12:30:45.678Z","params":{}`), ok, "2031-04-05T12:30:45+00:00", ""},
		{body(`"workflowId":$W,"sessionTime":"2031-04-05T21:30:46+09:00","params":{}`), ok, "2031-04-05T12:30:46+00:00", ""},
		{body(`"workflowId":"$W","sessionTime":"2031-04-05T12:31Z","params":{},"retryAttemptName":null,"resume":null`), ok, "2031-04-05T12:31:00+00:00", ""},
		{body(`"workflowId":"$W","sessionTime":"2031-04-06T00:00:00Z","params":{},"retryAttemptName":7,"surprise":[1,{"a":null}]`), ok, "2031-04-06T00:00:00+00:00", "7"},
		{body(`"workflowId":"$W","sessionTime":"2031-04-06T00:00:00Z","params":{},"retryAttemptName":"ä /?"`), ok, "2031-04-06T00:00:00+00:00", "ä /?"},
		{body(`"workflowId":9,"workflowId":"$W","sessionTime":"2031-04-07T00:00:00Z","params":{}`), ok, "2031-04-07T00:00:00+00:00", ""},
		{body(`"workflowId":"999999","sessionTime":"2031-04-05T00:00:00Z","params":{}`), 404, "", ""},
		{body(`"workflowId":"-1","sessionTime":"2031-04-05T00:00:00Z","params":{}`), 404, "", ""},
		{body(`"workflowId":"abc","sessionTime":"2031-04-05T00:00:00Z","params":{}`), 400, "", ""},
		{body(`"workflowId":"","sessionTime":"2031-04-05T00:00:00Z","params":{}`), 400, "", ""},
		{body(`"workflowId":null,"sessionTime":"2031-04-05T00:00:00Z","params":{}`), 400, "", ""},
		{body(`"workflowId":["$W"],"sessionTime":"2031-04-05T00:00:00Z","params":{}`), 400, "", ""},
		{body(`"workflowId":99999999999999999999,"sessionTime":"2031-04-05T00:00:00Z","params":{}`), 400, "", ""},
		{body(`"sessionTime":"2031-04-05T00:00:00Z","params":{}`), 400, "", ""},
		{body(`"workflowId":"$W","params":{}`), 400, "", ""},
		{body(`"workflowId":"$W","sessionTime":null,"params":{}`), 400, "", ""},
		{body(`"workflowId":"$W","sessionTime":"","params":{}`), 400, "", ""},
		{body(`"workflowId":"$W","sessionTime":"2031-04-05T21:30:45+0900","params":{}`), 400, "", ""},
		{body(`"workflowId":"$W","sessionTime":"2031-04-05T12:30:45","params":{}`), 400, "", ""},
		{body(`"workflowId":"$W","sessionTime":"2031-04-05","params":{}`), 400, "", ""},
		{body(`"workflowId":"$W","sessionTime":"2031-13-05T00:00:00Z","params":{}`), 400, "", ""},
		{body(`"workflowId":"$W","sessionTime":1930000000,"params":{}`), 400, "", ""},
		{body(`"workflowId":"$W","sessionTime":"2031-04-05T00:00:00Z"`), 400, "", ""},
		{body(`"workflowId":"$W","sessionTime":"2031-04-05T00:00:00Z","params":null`), 400, "", ""},
		{body(`"workflowId":"$W","sessionTime":"2031-04-05T00:00:00Z","params":[]`), 400, "", ""},
		{body(`"workflowId":"$W","sessionTime":"2031-04-08T00:00:00Z","params":false`), ok, "2031-04-08T00:00:00+00:00", ""}, // Digdag's web page
		{body(`"workflowId":"$W","sessionTime":"2031-04-05T00:00:00Z","params":"x"`), 400, "", ""},
		{body(`"workflowId":"$W","sessionTime":"2031-04-05T00:00:00Z","params":{"a":"` + "\xff" + `"}`), 400, "", ""},
		{body(`"workflowId":"$W","sessionTime":"2031-04-05T00:00:00Z","params":{},"retryAttemptName":""`), 400, "", ""},
		{body(`"workflowId":"$W","sessionTime":"2031-04-05T00:00:00Z","params":{},"retryAttemptName":{}`), 400, "", ""},
		{body(`"workflowId":"$W","sessionTime":"2031-04-05T00:00:00Z","params":{},"retryAttemptName":"` + strings.Repeat("z", 256) + `"`), 400, "", ""},
		{`{"workflowId":`, 400, "", ""},
		{`[]`, 400, "", ""},
		{`"text"`, 400, "", ""},
		{strings.Repeat("[", 100_000), 400, "", ""},
	} {
		answer := r.do(http.MethodPut, "/api/attempts", c.body)
		if answer.Code != c.want {
			t.Errorf("PUT %.120s: got %d %s, want %d", c.body, answer.Code, answer.Body, c.want)
		}
		if c.want != ok {
			wantError(t, answer, c.want)
			continue
		}
		var a api.Attempt
		if err := json.Unmarshal(answer.Body.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		if got := a.SessionTime.Format("2006-01-02T15:04:05-07:00"); got != c.session || a.Status != "running" || a.Done {
			t.Errorf("PUT %s: got session %s, %s, want %s, running", c.body, got, a.Status, c.session)
		}
		if got := text(a.RetryAttemptName); got != c.name {
			t.Errorf("PUT %s: got name %q, want %q", c.body, got, c.name)
		}
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// A repeated start is answered with the attempt that is there, whether it lives
// or is archived (Q3).
func TestStartConflicts(t *testing.T) {
	r := newRig(t)
	over := r.run("hand", 5, "")
	named := r.run("hand", 5, "second")
	live := r.waiting(6, "")
	liveNamed := r.waiting(6, "second")
	for _, c := range []struct {
		workflow, name string
		day            string
		want           uint64
	}{
		{"hand", "", "05", named}, // the newest where no name was sent
		{"hand", "second", "05", named},
		{"waits", "", "06", liveNamed},
		{"waits", "second", "06", liveNamed},
	} {
		body := `{"workflowId":` + api.ID(r.definition("harbour", c.workflow)).String() + `,"sessionTime":"2031-04-` + c.day + `T00:00:00Z","params":{}`
		if c.name != "" {
			body += `,"retryAttemptName":"` + c.name + `"`
		}
		answer := r.do(http.MethodPut, "/api/attempts", body+"}")
		var a api.Attempt
		if err := json.Unmarshal(answer.Body.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		if answer.Code != http.StatusConflict || uint64(a.ID) != c.want {
			t.Errorf("start %s %s again: got %d, attempt %d, want 409, %d", c.workflow, c.name, answer.Code, a.ID, c.want)
		}
	}
	if got := get[api.Attempt](r, "/api/attempts/"+api.ID(over).String()); got.Index != 1 {
		t.Errorf("first attempt: got index %d, want 1", got.Index)
	}
	if got := get[api.Attempt](r, "/api/attempts/"+api.ID(live).String()); got.Index != 1 || got.Done {
		t.Errorf("live attempt: got index %d, done %v, want 1, false", got.Index, got.Done)
	}
}

// Texts of an attempt's parameters are templates, as in Digdag.
func TestParametersAreTemplates(t *testing.T) {
	r := newRig(t)
	id := r.run("tree", 5, "")
	files := get[struct{ Files []api.LogFile }](r, "/api/logs/"+api.ID(id).String()+"/files?task=%2Btree%2Bload%2Btwo").Files
	if len(files) != 1 {
		t.Fatalf("got %d logs, want 1", len(files))
	}
	answer := r.do(http.MethodGet, "/api/logs/"+api.ID(id).String()+"/files/"+files[0].FileName, "")
	if got, want := gunzip(t, answer.Body.Bytes()), "<two> & 2031-04-05\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
