package api

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Whatever a client sends, it is never a fault of ours.
func FuzzStart(f *testing.F) {
	f.Add("application/json", "", `{"workflowId":"1","sessionTime":"2031-04-05T12:30Z","params":{"a":["${b}"]},"retryAttemptName":7}`)
	f.Add("application/json", "gzip", "\x1f\x8b\x08")
	f.Add("application/json", "deflate", `{}`)
	f.Add("text/plain;x", "", `[`)
	f.Add("application/json", "", `{"workflowId":1e3,"sessionTime":"2031-04-05T12:30:00.5+18:00:01","params":{}}`)
	f.Add("application/json", "", `{"workflowId":1,"sessionTime":"2031-04-05T12:30Z","params":{},"resume":{"mode":"from","mode":"from","from":"+x","attemptId":7}}`)
	f.Add("application/json", "", `{"workflowId":1,"sessionTime":"2031-04-05T12:30Z","params":{},"resume":{"mode":"failed","attemptId":"-1"}}`)
	h := newServer(ErrNotFound, io.Discard, "")
	f.Fuzz(func(t *testing.T, kind, encoding, body string) {
		in := httptest.NewRequest(http.MethodPut, "/api/attempts", strings.NewReader(body))
		in.Header.Set("Content-Type", kind)
		in.Header.Set("Content-Encoding", encoding)
		out := httptest.NewRecorder()
		h.ServeHTTP(out, in)
		if out.Code != http.StatusBadRequest && out.Code != http.StatusNotFound {
			t.Errorf("got %d %s, want 400 or 404", out.Code, out.Body)
		}
	})
}

func FuzzQuery(f *testing.F) {
	f.Add("last_id=1&page_size=2&include_retried=true&project=p")
	f.Add("count=-1&last_id=99999999999999999999&order=%zz;&=")
	f.Add("session_time=2031-04-05T00:00&mode=day&name=x&client=1.2-x")
	h := newServer(ErrNotFound, io.Discard, "")
	f.Fuzz(func(t *testing.T, query string) {
		for _, path := range []string{
			"/api/attempts", "/api/sessions", "/api/projects", "/api/workflows", "/api/schedules", "/api/version/check", "/api/logs/1/files/x",
		} {
			in := httptest.NewRequest(http.MethodGet, path, nil)
			in.URL.RawQuery = query
			out := httptest.NewRecorder()
			h.ServeHTTP(out, in)
			if out.Code >= 500 {
				t.Errorf("GET %s?%s: got %d %s", path, query, out.Code, out.Body)
			}
		}
	})
}
