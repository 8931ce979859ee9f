package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestVersion(t *testing.T) {
	a := newFakeAgent(t, "GET /api/version", `{"version":"9.8.7"}`)
	a.want(a.gitdag("version"), outcome{0, "Client version: 1.2.3\nServer version: 9.8.7\n", ""})
	a.want(a.gitdag("version", "--json"), outcome{0, "{\n  \"client\": \"1.2.3\",\n  \"server\": \"9.8.7\"\n}\n", ""})
	a.want(gitdag(t, nil, "version", "-e", a.server.URL+"/a/path"), outcome{0, "Client version: 1.2.3\nServer version: 9.8.7\n", ""})
	for _, r := range a.requests() {
		if r != "GET /api/version" {
			t.Errorf("asked %s, want the version alone", r)
		}
	}
	a.want(a.gitdag("version", "--version"), outcome{0, "1.2.3\n", ""})
}

// The client's version is shown also when the agent does not answer.
func TestVersionOfNobody(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	got := gitdag(t, nil, "version", "-e", server.URL)
	if got.status != 1 || got.stdout != "Client version: 1.2.3\n" || !strings.HasPrefix(got.stderr, "error: no agent answers at "+server.URL) {
		t.Errorf("got %+v, want the client's version and an error", got)
	}
	if got := gitdag(t, nil, "version", "-e", server.URL, "--json"); got.status != 1 || got.stdout != "" {
		t.Errorf("as JSON: got %+v, want no half answer", got)
	}
}

// What goes with each request, from low to high: the configuration, then
// --basic-auth, then --header.
func TestHeadersOfTheCommandLine(t *testing.T) {
	var got http.Header
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		_, _ = w.Write([]byte(`{"version":"9.8.7"}`))
	}))
	defer server.Close()
	config := filepath.Join(t.TempDir(), "config")
	text := "client.http.endpoint = " + server.URL + "\nclient.http.headers.Authorization = of the file\nclient.http.headers.X-File = f\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "of the file"},
		{[]string{"--basic-auth", "ada:pass:word"}, "Basic YWRhOnBhc3M6d29yZA=="},
		{[]string{"--basic-auth", "ada:x", "-H", "authorization=Bearer a=b"}, "Bearer a=b"},
		{[]string{"-X", "client.http.headers.Authorization=lower than the file"}, "of the file"},
	} {
		out := gitdag(t, nil, append([]string{"version", "-c", config, "-H", "X-More=1", "--header", "X-More=2"}, c.args...)...)
		if out.status != 0 || got.Get("Authorization") != c.want || got.Get("X-File") != "f" || strings.Join(got.Values("X-More"), ",") != "1,2" {
			t.Errorf("%q: got %v, %+v, want %q", c.args, got, out, c.want)
		}
	}
	for _, args := range [][]string{{"-H", "novalue"}, {"-H", "=x"}, {"-H", "a b=x"}, {"--basic-auth", "ada"}, {"-X", "novalue"}, {"extra"}} {
		if out := gitdag(t, nil, append([]string{"version", "-e", server.URL}, args...)...); out.status != 2 || out.stdout != "" {
			t.Errorf("%q: got %+v, want a usage error", args, out)
		}
	}
}
