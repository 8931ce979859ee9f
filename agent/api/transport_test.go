package api_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gitdag/agent/api"
)

// wantError checks that an answer is a JSON error of a status.
func wantError(t *testing.T, answer *httptest.ResponseRecorder, status int) {
	t.Helper()
	var e api.Error
	if err := json.Unmarshal(answer.Body.Bytes(), &e); err != nil {
		t.Errorf("body %q: %v", answer.Body, err)
	}
	if e.Status != status || e.Message == "" || answer.Header().Get("Content-Type") != "application/json" {
		t.Errorf("got status %d, message %q, type %q, want %d and a message in JSON", e.Status, e.Message, answer.Header().Get("Content-Type"), status)
	}
}

// Whatever is wrong with a request is told in JSON, as 400 where a value is bad (Q2, Q37).
func TestErrors(t *testing.T) {
	r := newRig(t)
	r.run("hand", 5, "")
	for _, c := range []struct {
		request string
		want    int
	}{
		{"GET /", 404},
		{"GET /api", 404},
		{"GET /api/nothing", 404},
		{"PUT /api/nothing", 404},
		{"GET /API/projects", 404},
		{"GET //api/projects", 404},
		{"GET /api//projects", 404},
		{"GET /api/projects//", 404},
		{"GET /api/projects/1/../1", 404},
		{"GET /api/sessions/1/nothing", 404},
		{"GET /api/swagger.json", 404},
		{"GET /api/projects?name=%ff", 400},
		{"GET /api/projects?name=%zz", 400},
		{"GET /api/projects?a;b", 400},
		{"GET /api/projects/1/workflows/%ff", 400},
		{"GET /api/projects?unknown=%ff", 200},
		{"GET /api/project", 400},
		{"GET /api/project?name=", 400},
		{"GET /api/project?name=ghost", 404},
		{"GET /api/workflow", 400},
		{"GET /api/workflow?project=harbour", 400},
		{"GET /api/workflow?project=ghost&name=hand", 404},
		{"GET /api/workflow?project=harbour&name=ghost", 404},
		{"GET /api/workflow?project=harbour&name=hand&revision=ghost", 404},
		{"GET /api/projects/1/workflow", 400},
		{"GET /api/projects/1/workflow?name=ghost", 404},
		{"GET /api/projects/99/revisions", 404},
		{"GET /api/projects/1/revisions?last_id=x", 400},
		{"GET /api/projects/99/archive", 404},
		{"GET /api/projects/99/secrets", 404},
		{"DELETE /api/projects/99/secrets/a", 404},
		{"DELETE /api/projects/1/secrets/1a", 400},
		{"DELETE /api/projects/99", 404},
		{"DELETE /api/projects/x", 400},
		{"POST /api/schedules/99/enable", 404},
		{"POST /api/schedules/99/disable", 404},
		{"POST /api/schedules/x/disable", 400},
		{"POST /api/schedules/1/skip", 400},
		{"POST /api/schedules/1/backfill", 400},
		{"GET /api/projects/%zz", 400},
		{"GET /api/projects/abc", 400},
		{"GET /api/projects/1.5", 400},
		{"GET /api/attempts/99999999999999999999", 400},
		{"GET /api/attempts/-7", 404},
		{"GET /api/projects?count=x", 400},
		{"GET /api/projects?last_id=1.5", 400},
		{"GET /api/projects?count=-1", 400},
		{"GET /api/sessions?page_size=ten", 400},
		{"GET /api/sessions?page_size=101", 400},
		{"GET /api/sessions/?last_id=", 400},
		{"GET /api/attempts?page_size=101", 400},
		{"GET /api/attempts?project=ghost", 404},
		{"GET /api/sessions/1/attempts?page_size=101", 400},
		{"GET /api/sessions/99", 404},
		{"GET /api/sessions/99/attempts", 404},
		{"GET /api/attempts/99", 404},
		{"GET /api/attempts/99/retries", 404},
		{"GET /api/attempts/99/tasks", 404},
		{"GET /api/attempts/x/tasks", 400},
		{"GET /api/projects/99/sessions", 404},
		{"GET /api/projects/99/workflows/hand", 404},
		{"GET /api/logs/99/files", 404},
		{"GET /api/logs/99/files/x.log.gz", 404},
		{"GET /api/logs/1/files/x.log.gz", 404},
		{"GET /api/logs/1/files/+ghost@0000000000000000.1@x.log.gz", 404},
		{"GET /api/logs/1/files/..%2F..%2Fsecret.log.gz", 400},
		{"GET /api/logs/1/files/..%5Csecret.log.gz", 400},
		{"GET /api/logs/1/files/..", 400},
		{"GET /api/logs/1/files/%2e%2e", 400},
		{"GET /api/logs/1/files/a%00b", 400},
		{"GET /api/logs/1/files/x.log.gz?offset=-1", 400},
		{"POST /api/attempts/99/kill", 404},
		{"POST /api/attempts/1/kill", 409},
		{"GET /api/version/check", 400},
		{"GET /api/version/check?client=zzz", 400},
		{"GET /api/version/check?client=1..2", 400},
		{"GET /api/version/check?client=0.10.5-", 400},
		{"GET /api/version/check?client=0.1-SNAPSHOT", 200},
		{"POST /api/sync?repo=ghost", 404},
		{"GET /webhooks/github", 404},
	} {
		method, target, _ := strings.Cut(c.request, " ")
		in := httptest.NewRequest(method, "/", nil)
		// As it came over the wire, unclean paths too.
		in.URL.Path, in.URL.RawQuery, _ = strings.Cut(target, "?")
		in.URL.RawPath = in.URL.Path
		if path, err := unescape(in.URL.Path); err == nil {
			in.URL.Path = path
		}
		answer := httptest.NewRecorder()
		r.handler.ServeHTTP(answer, in)
		if answer.Code != c.want {
			t.Errorf("%s: got %d %s, want %d", c.request, answer.Code, answer.Body, c.want)
		}
		if c.want >= 400 {
			wantError(t, answer, c.want)
		}
	}
	if r.log.Len() > 0 {
		t.Errorf("bad requests were logged as faults of ours:\n%s", &r.log)
	}
}

func TestMethods(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct {
		method, path string
		want         int
		allow        string
	}{
		{"POST", "/api/projects", 405, "GET, HEAD, OPTIONS, PUT"},
		{"DELETE", "/api/version", 405, "GET, HEAD, OPTIONS"},
		{"PATCH", "/api/attempts", 405, "GET, HEAD, OPTIONS, PUT"},
		{"GET", "/api/attempts/1/kill", 405, "OPTIONS, POST"},
		{"WAVE", "/api/sessions", 405, "GET, HEAD, OPTIONS"},
		{"POST", "/api/projects/1", 405, "DELETE, GET, HEAD, OPTIONS"},
		{"GET", "/api/projects/1/secrets/a", 405, "DELETE, OPTIONS, PUT"},
		{"TRACE", "/api/projects", 200, ""},
		{"OPTIONS", "/api/attempts", 200, "GET, HEAD, OPTIONS, PUT"},
		{"OPTIONS", "/api/nothing", 404, ""},
	} {
		answer := r.do(c.method, c.path, "")
		if answer.Code != c.want || answer.Header().Get("Allow") != c.allow {
			t.Errorf("%s %s: got %d, Allow %q, want %d, %q", c.method, c.path, answer.Code, answer.Header().Get("Allow"), c.want, c.allow)
		}
		if c.method == "OPTIONS" && c.want == 200 && answer.Body.String() != c.allow {
			t.Errorf("OPTIONS %s: got body %q, want %q", c.path, answer.Body, c.allow)
		}
	}
}

// HEAD answers as GET does, without a body.
func TestHead(t *testing.T) {
	r := newRig(t)
	server := httptest.NewServer(r.handler)
	defer server.Close()
	for _, path := range []string{"/api/version", "/api/projects", "/api/projects/1", "/livez"} {
		head, err := server.Client().Head(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		head.Body.Close()
		full, err := server.Client().Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		full.Body.Close()
		if head.StatusCode != full.StatusCode || head.Header.Get("Content-Type") != full.Header.Get("Content-Type") {
			t.Errorf("HEAD %s: got %d %v, want %d %v", path, head.StatusCode, head.Header, full.StatusCode, full.Header)
		}
	}
}

func TestAccept(t *testing.T) {
	r := newRig(t)
	for accept, want := range map[string]int{
		"application/json": 200, "*/*": 200, "text/html, */*;q=0.1": 200, "application/*": 200, "APPLICATION/JSON": 200,
		"text/html": 406, "application/xml": 406, "application/json;q=0, text/html": 406,
	} {
		answer := r.do(http.MethodGet, "/api/version", "", "Accept", accept)
		if answer.Code != want {
			t.Errorf("Accept %q: got %d %q, want %d", accept, answer.Code, answer.Body, want)
		}
	}
}

func TestCompressedAnswers(t *testing.T) {
	r := newRig(t)
	plain := r.do(http.MethodGet, "/api/projects", "").Body.String()
	for accept, want := range map[string]string{
		"gzip": "gzip", "deflate": "deflate", "deflate, gzip": "gzip", "gzip;q=0, deflate;q=0.5": "deflate",
		"br": "", "identity": "identity", "identity, deflate": "deflate", "gzip, identity": "gzip", "gzip;q=0": "", "": "",
	} {
		answer := r.do(http.MethodGet, "/api/projects", "", "Accept-Encoding", accept)
		if got := answer.Header().Get("Content-Encoding"); got != want {
			t.Errorf("Accept-Encoding %q: got %q, want %q", accept, got, want)
		}
		body := answer.Body.String()
		switch want {
		case "gzip":
			body = gunzip(t, answer.Body.Bytes())
		case "deflate":
			text, err := io.ReadAll(flate.NewReader(answer.Body))
			if err != nil {
				t.Fatal(err)
			}
			body = string(text)
		}
		if body != plain {
			t.Errorf("Accept-Encoding %q: got %q, want %q", accept, body, plain)
		}
	}
}

func TestRequestBodies(t *testing.T) {
	r := newRig(t)
	start := func(day int) []byte {
		return fmt.Appendf(nil, `{"workflowId":"%d","sessionTime":"2031-05-%02dT00:00:00Z","params":{}}`, r.definition("harbour", "hand"), day)
	}
	packed := func(body []byte, by func(io.Writer) io.WriteCloser) string {
		var out bytes.Buffer
		w := by(&out)
		if _, err := w.Write(body); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	asGzip := func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }
	asDeflate := func(w io.Writer) io.WriteCloser { f, _ := flate.NewWriter(w, 9); return f }
	asZlib := func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }
	for _, c := range []struct {
		name, kind, encoding, body string
		want                       int
	}{
		{"json", "application/json", "", string(start(1)), 200},
		{"charset", "application/json; charset=utf-8", "", string(start(2)), 200},
		{"gzip", "application/json", "gzip", packed(start(3), asGzip), 200},
		{"raw deflate", "application/json", "deflate", packed(start(4), asDeflate), 200},
		{"zlib", "application/json", "deflate", packed(start(5), asZlib), 400},
		{"broken gzip", "application/json", "gzip", "no gzip at all", 400},
		{"cut gzip", "application/json", "gzip", packed(start(6), asGzip)[:30], 400},
		{"brotli", "application/json", "br", string(start(7)), 400},
		{"no type", "", "", string(start(8)), 400},
		{"text", "text/plain", "", string(start(9)), 400},
		{"form", "application/x-www-form-urlencoded", "", "a=b", 400},
		{"empty", "application/json", "", "", 400},
		{"too large", "application/json", "", `{"a":"` + strings.Repeat("x", 1<<20) + `"}`, 400},
		{"too large unpacked", "application/json", "gzip", packed([]byte(`{"a":"`+strings.Repeat("x", 1<<21)+`"}`), asGzip), 400},
	} {
		in := httptest.NewRequest(http.MethodPut, "/api/attempts", strings.NewReader(c.body))
		in.Header.Set("Content-Type", c.kind)
		in.Header.Set("Content-Encoding", c.encoding)
		answer := httptest.NewRecorder()
		r.handler.ServeHTTP(answer, in)
		if answer.Code != c.want {
			t.Errorf("%s: got %d %s, want %d", c.name, answer.Code, answer.Body, c.want)
		}
		if c.want >= 400 {
			wantError(t, answer, c.want)
		}
	}
}

// A kill needs no body, takes any JSON and nothing else.
func TestKillBodies(t *testing.T) {
	r := newRig(t)
	for i, c := range []struct {
		kind, body string
		want       int
	}{
		{"", "", 200},
		{"application/json", "", 200},
		{"application/json", "{}", 200},
		{"application/json", "[1]", 200},
		{"text/plain", "x", 400},
		{"application/json", "{", 400},
	} {
		id := r.waiting(i+1, "")
		in := httptest.NewRequest(http.MethodPost, "/api/attempts/"+api.ID(id).String()+"/kill", strings.NewReader(c.body))
		if c.kind != "" {
			in.Header.Set("Content-Type", c.kind)
		}
		answer := httptest.NewRecorder()
		r.handler.ServeHTTP(answer, in)
		if answer.Code != c.want {
			t.Errorf("kill with %q %q: got %d %s, want %d", c.kind, c.body, answer.Code, answer.Body, c.want)
		}
	}
}

func unescape(path string) (string, error) {
	in, err := http.NewRequest(http.MethodGet, "http://x"+path, nil)
	if err != nil {
		return "", err
	}
	return in.URL.Path, nil
}
