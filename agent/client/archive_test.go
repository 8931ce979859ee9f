package client

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gitdag/agent/api"
)

// An upload says what it is and how long.
func TestPush(t *testing.T) {
	for _, archive := range []string{"archive", ""} {
		var got *http.Request
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = r
			_, _ = io.WriteString(w, `{"id":"12","name":"p","revision":"r"}`)
		}))
		defer server.Close()
		c, err := New(Options{Endpoint: server.URL})
		if err != nil {
			t.Fatal(err)
		}
		p, err := c.Push(t.Context(), Push{Project: "p", Revision: "r", Archive: strings.NewReader(archive), Size: int64(len(archive))})
		if err != nil || p.ID != 12 || p.Revision != "r" {
			t.Errorf("got %+v, %v, want the project", p, err)
		}
		if got.Header.Get("Content-Type") != "application/gzip" || got.ContentLength != int64(len(archive)) || len(got.TransferEncoding) > 0 {
			t.Errorf("got %v with length %d, want a gzip of known length", got.Header, got.ContentLength)
		}
	}
}

// An archive that lies elsewhere is fetched from there, without what is for the
// agent alone.
func TestArchiveElsewhere(t *testing.T) {
	var asked []string
	server := httptest.NewServer(nil)
	defer server.Close()
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.RequestURI+" "+r.Header.Get("Authorization"))
		switch r.URL.Path {
		case "/api/projects/12/archive":
			http.Redirect(w, r, "/store/1?signed=yes", http.StatusSeeOther)
		case "/store/1":
			http.Redirect(w, r, "/store/2", http.StatusSeeOther)
		case "/store/2":
			_, _ = io.WriteString(w, "bytes")
		case "/api/projects/13/archive":
			http.Redirect(w, r, r.URL.Path, http.StatusSeeOther)
		case "/api/projects/14/archive":
			http.Redirect(w, r, "/store/gone", http.StatusSeeOther)
		case "/api/projects/15/archive":
			http.Redirect(w, r, "http://127.0.0.1:1/?signed=yes", http.StatusSeeOther)
		default:
			http.Redirect(w, r, "/store/2", http.StatusFound)
		}
	})
	header := http.Header{"Authorization": {"Bearer s3cret"}}
	c, err := New(Options{Endpoint: server.URL, Header: header, NoDirectDownload: true})
	if err != nil {
		t.Fatal(err)
	}
	body, err := c.Archive(t.Context(), 12, "r 1")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(body)
	if err != nil || string(text) != "bytes" || body.Close() != nil {
		t.Errorf("got %q, %v, want the bytes", text, err)
	}
	want := "[/api/projects/12/archive?direct_download=false&revision=r+1 Bearer s3cret /store/1?signed=yes  /store/2 ]"
	if got := fmt.Sprint(asked); got != want {
		t.Errorf("asked %s, want %s", got, want)
	}
	for project, want := range map[api.ID]string{
		13: "moved more than 10 times", 14: "the agent answered 302 Found", 15: "download from 127.0.0.1:1: ", 16: "the agent answered 302 Found",
	} {
		if _, err := c.Archive(t.Context(), project, "r"); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "signed") {
			t.Errorf("project %d: got %v, want %s", project, err, want)
		}
	}
}
