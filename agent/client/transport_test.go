package client

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func env(entries map[string]string) func(string) string {
	return func(name string) string { return entries[name] }
}

// Requests go through the proxy, also to this machine; a proxy that fails once
// is asked again.
func TestProxyIsUsed(t *testing.T) {
	var seen []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Method+" "+r.URL.String())
		if len(seen) == 1 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_, _ = io.WriteString(w, `{"version":"9.9"}`)
	}))
	defer proxy.Close()
	c, err := New(Options{Endpoint: "127.0.0.1:1", Getenv: env(map[string]string{"http_proxy": proxy.URL})})
	if err != nil {
		t.Fatal(err)
	}
	c.wait = func(context.Context, time.Duration) error { return nil }
	if got, err := c.Version(t.Context()); got != "9.9" || err != nil {
		t.Errorf("got %q, %v, want 9.9", got, err)
	}
	want := []string{"GET http://127.0.0.1:1/api/version", "GET http://127.0.0.1:1/api/version"}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A certificate that nobody vouches for is refused once, with a hint, unless any
// one will do.
func TestCertificates(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"version":"9.9"}`)
	}))
	defer server.Close()
	c, err := New(Options{Endpoint: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	c.wait = func(context.Context, time.Duration) error {
		t.Error("a bad certificate was tried again")
		return nil
	}
	_, err = c.Version(t.Context())
	unreachable, ok := err.(*Unreachable)
	if !ok || !strings.Contains(unreachable.Hint(), "--disable-cert-validation") {
		t.Errorf("got %v, want a hint at --disable-cert-validation", err)
	}
	if c, err = New(Options{Endpoint: server.URL, AnyCertificate: true}); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Version(t.Context()); got != "9.9" || err != nil {
		t.Errorf("with any certificate: got %q, %v, want 9.9", got, err)
	}
}

// Given headers win over those that the client sets.
func TestHeaders(t *testing.T) {
	a, _ := newAgent(t, answer(http.StatusOK, `{"version":"9.9"}`))
	c, err := New(Options{Endpoint: a.URL, Version: "1.2.3", Header: http.Header{"authorization": {"Basic eDp5"}, "X-Two": {"1", "2"}}})
	if err != nil {
		t.Fatal(err)
	}
	c.token = "of the file"
	if _, err := c.Version(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, want := range map[string]string{"Authorization": "Basic eDp5", "X-Two": "1,2", "User-Agent": "gitdag/1.2.3"} {
		if got := strings.Join(a.headers.Values(name), ","); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	for _, h := range []http.Header{{"": {"x"}}, {"a b": {"x"}}, {"a:": {"x"}}, {"a": {"x\r\nb: y"}}} {
		if _, err := New(Options{Header: h}); err == nil {
			t.Errorf("%q: got no error", h)
		}
	}
}
