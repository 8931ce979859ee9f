package client

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func env(entries map[string]string) func(string) string {
	return func(name string) string { return entries[name] }
}

func TestProxyFor(t *testing.T) {
	both := map[string]string{"http_proxy": "http://plain:1", "https_proxy": "http://tls:2"}
	for _, c := range []struct {
		to   string
		env  map[string]string
		want string
	}{
		{"http://a", nil, ""},
		{"http://a", both, "http://plain:1"},
		{"https://a", both, "http://tls:2"},
		{"http://localhost:65432", both, "http://plain:1"}, // this machine, too
		{"https://127.0.0.1", map[string]string{"HTTP_PROXY": "plain:1"}, "http://plain:1"},
		{"http://a", map[string]string{"HTTPS_PROXY": "http://tls:2"}, ""},
		{"http://a", map[string]string{"http_proxy": "http://low:1", "HTTP_PROXY": "http://high:1"}, "http://low:1"},
		{"https://a", map[string]string{"http_proxy": "http://plain:1", "HTTPS_PROXY": "https://u:p@tls:2/"}, "https://u:p@tls:2/"},
		{"http://a", map[string]string{"http_proxy": "http://"}, "error"},
		{"http://a", map[string]string{"http_proxy": "%"}, "error"},
	} {
		to, err := url.Parse(c.to)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		proxy, err := proxyFor(to, env(c.env))
		if err != nil {
			got = "error"
		} else if proxy != nil {
			got = proxy.String()
		}
		if got != c.want {
			t.Errorf("%s with %v: got %q, want %q", c.to, c.env, got, c.want)
		}
	}
}

func TestNoProxy(t *testing.T) {
	for _, c := range []struct {
		host, list string
		want       bool
	}{
		{"a.example.com", "", false},
		{"a.example.com", "*", true},
		{"a.example.com", "b.com, EXAMPLE.com", true},
		{"a.example.com", ".example.com", true},
		{"a.example.com", "*.example.com:80", true},
		{"example.com", ".example.com", true},
		{"badexample.com", "example.com", false},
		{"localhost", "127.0.0.1", false},
		{"10.1.2.3", "10.0.0.0/8", true},
		{"11.1.2.3", "10.0.0.0/8,,", false},
		{"::1", "::1", true},
	} {
		for _, name := range []string{"no_proxy", "NO_PROXY"} {
			if got := direct(c.host, env(map[string]string{name: c.list})); got != c.want {
				t.Errorf("%s with %s=%q: got %v, want %v", c.host, name, c.list, got, c.want)
			}
		}
	}
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
