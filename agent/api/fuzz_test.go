package api

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"gitdag/engine/flow"
	"gitdag/engine/params"
	"gitdag/engine/schedule"
)

// stocked is a [nothing] with one project, which has a workflow with a schedule.
type stocked struct {
	nothing
	state *flow.State
	daily *schedule.Schedule
}

func newStocked(tb testing.TB) stocked {
	tb.Helper()
	state := flow.New(flow.Config{})
	now := time.Date(2031, 4, 5, 9, 0, 0, 0, time.UTC)
	_, err := state.Step(now, &flow.Deploy{Manifest: &flow.Manifest{
		Repo: flow.PushedSource("quay"),
		Projects: []flow.ManifestProject{{
			Name: "quay", Revision: "r1", Keep: 1, Archive: &flow.Archive{Object: "x", MD5: "q83vEjRWeJq83vEjRWeJqg=="},
			Workflows: []flow.ManifestWorkflow{{
				Name: "ferry", Timezone: "Asia/Tokyo", Ref: "x", Tasks: 1,
				Schedule: &flow.ManifestSchedule{Hash: "x", First: flow.TickFacts{Session: now, Run: now.Add(time.Hour)}},
			}},
		}},
	}})
	if err != nil {
		tb.Fatal(err)
	}
	zone, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		tb.Fatal(err)
	}
	daily, err := schedule.Parse([]schedule.Field{{Key: "daily>", Value: "07:00:00"}}, zone)
	if err != nil {
		tb.Fatal(err)
	}
	return stocked{nothing{ErrNotFound}, state, daily}
}

func (s stocked) View(read func(*flow.State)) { read(s.state) }
func (s stocked) Definition(string) (*Definition, error) {
	return &Definition{Config: params.NewMap(0), Schedule: s.daily}, nil
}

// answering is an API of a stocked server.
func stockedServer(tb testing.TB) http.Handler {
	s := newStocked(tb)
	o := options(ErrNotFound, io.Discard, "")
	o.Engine = s
	o.Schedules, o.Projects, o.Swagger = s, s, true
	return NewAdmin(o)
}

// checkAnswer checks that an answer is no fault of ours, and that an error is
// told in JSON.
func checkAnswer(t *testing.T, in *http.Request, out *httptest.ResponseRecorder) {
	t.Helper()
	if out.Code >= 500 {
		t.Errorf("%s %s: got %d %s", in.Method, in.URL, out.Code, out.Body)
	}
	if in.Method == http.MethodHead || !strings.HasPrefix(in.URL.Path, "/api/") {
		return
	}
	var e Error
	if out.Code >= 400 && out.Code != http.StatusConflict {
		if err := json.Unmarshal(out.Body.Bytes(), &e); err != nil || e.Status != out.Code || e.Message == "" {
			t.Errorf("%s %s: got %d with %q (%v), want an error in JSON", in.Method, in.URL, out.Code, out.Body, err)
		}
	}
	if out.Header().Get("Content-Type") == jsonType && !json.Valid(out.Body.Bytes()) {
		t.Errorf("%s %s: got %q, want JSON", in.Method, in.URL, out.Body)
	}
}

// Whatever a client asks, it is never a fault of ours.
func FuzzRequest(f *testing.F) {
	f.Add("PUT", "/api/attempts", jsonType, "", "", `{"workflowId":"1","sessionTime":"2031-04-05T12:30Z","params":{"a":["${b}"]},"retryAttemptName":7}`)
	f.Add("PUT", "/api/attempts", jsonType, "gzip", "", "\x1f\x8b\x08")
	f.Add("PUT", "/api/attempts", jsonType, "", "", `{"workflowId":1e3,"sessionTime":"2031-04-05T12:30:00.5+18:00:01","params":{}}`)
	f.Add("PUT", "/api/attempts", jsonType, "", "", `{"workflowId":1,"sessionTime":"2031-04-05T12:30Z","params":{},"resume":{"mode":"from","mode":"from","from":"+x","attemptId":7}}`)
	f.Add("PUT", "/api/projects?project=quay&revision=r2&schedule_from=2041-04-05T00:00:00Z", gzipped, "", "", "\x1f\x8b")
	f.Add("POST", "/api/schedules/1/skip", jsonType, "deflate", "", `{"nextTime":"2041-04-05T00:00","dryRun":true}`)
	f.Add("POST", "/api/schedules/1/skip", jsonType, "", "application/*", `{"fromTime":"9999-12-31T23:59:59-18:00","count":-2147483648,"dryRun":"False"}`)
	f.Add("POST", "/api/schedules/1/backfill", jsonType, "", "", `{"fromTime":"2041-04-05T00:00:00Z","attemptName":"x","dryRun":false,"count":1,"params":{}}`)
	f.Add("POST", "/api/schedules/1/enable", jsonType, "", "", `{"skipSchedule":true,"nextTime":"0000-01-01T00:00"}`)
	f.Add("PUT", "/api/projects/1/secrets/a.b", jsonType, "", "", `{"value":"\ud800"}`)
	f.Add("GET", "/api/projects?name=%ff&last_id=99999999999999999999&count=-1", "", "", "text/html", "")
	f.Add("GET", "/api/workflows/1/truncated_session_time?session_time=2031-04-05T00:00&mode=next_schedule", "", "", "*/*;q=0", "")
	f.Add("GET", "/api/logs/1/files/%2e%2e%2fx?offset=1", "", "", "", "")
	f.Add("TRACE", "/api/version/check?client=1.2-x", "", "", "", "")
	h := stockedServer(f)
	f.Fuzz(func(t *testing.T, method, target, kind, encoding, accept, body string) {
		to, err := url.ParseRequestURI(target)
		if err != nil {
			return // refused before it comes to us
		}
		in := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		in.Method, in.URL = method, to
		for name, value := range map[string]string{"Content-Type": kind, "Content-Encoding": encoding, "Accept": accept} {
			if value != "" {
				in.Header.Set(name, value)
			}
		}
		checkAnswer(t, in, record(h, in))
	})
}

// Bodies are read alike whatever operation takes them.
func FuzzBodies(f *testing.F) {
	f.Add([]byte(`{"workflowId":"1","sessionTime":"2031-04-05T12:30Z","params":{},"value":"x","dryRun":false,"nextTime":"2041-04-05T00:00"}`), false)
	f.Add([]byte(`{"fromTime":"2041-04-05T00:00:00Z","attemptName":"x","dryRun":true,"count":"7","skipSchedule":true,"value":1e400}`), true)
	f.Add([]byte("{\"a\":\"\xff\"}"), true)
	f.Add([]byte(strings.Repeat("[", 20_000)), true)
	h := stockedServer(f)
	f.Fuzz(func(t *testing.T, body []byte, packed bool) {
		text := string(body)
		if packed {
			var out strings.Builder
			z := gzip.NewWriter(&out)
			_, _ = z.Write(body)
			_ = z.Close()
			text = out.String()
		}
		for _, request := range []string{
			"PUT /api/attempts", "POST /api/schedules/1/skip", "POST /api/schedules/1/backfill", "POST /api/schedules/1/enable",
			"POST /api/schedules/1/disable", "PUT /api/projects/1/secrets/a", "POST /api/sync", "POST /api/attempts/1/kill",
		} {
			method, target, _ := strings.Cut(request, " ")
			in := httptest.NewRequest(method, target, strings.NewReader(text))
			in.Header.Set("Content-Type", jsonType)
			if packed {
				in.Header.Set("Content-Encoding", "gzip")
			}
			checkAnswer(t, in, record(h, in))
		}
	})
}

func FuzzQuery(f *testing.F) {
	f.Add("last_id=1&page_size=2&include_retried=true&project=p")
	f.Add("count=-1&last_id=99999999999999999999&order=%zz;&=")
	f.Add("session_time=2031-04-05T00:00&mode=day&name=x&client=1.2-x")
	f.Add("session_time=2041-04-05T21:22:33Z&mode=schedule&name=ferry&project=quay&revision=r1&workflow=ferry&task=%2Bx&exact=1")
	h := stockedServer(f)
	f.Fuzz(func(t *testing.T, query string) {
		for _, path := range paths(true) {
			in := httptest.NewRequest(http.MethodGet, path, nil)
			in.URL.RawQuery = query
			checkAnswer(t, in, record(h, in))
		}
	})
}
