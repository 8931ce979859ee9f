package forge

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type fakeMarker struct{ due []string }

func (m *fakeMarker) Trigger(repo string) bool {
	m.due = append(m.due, repo)
	return true
}

// rig is a handler with two repositories that have secrets and one without.
type rig struct {
	t      *testing.T
	marker *fakeMarker
	log    bytes.Buffer
	h      *Handler
	now    time.Time
	dir    string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	g := &rig{t: t, marker: &fakeMarker{}, now: time.Unix(1_700_000_000, 0), dir: t.TempDir()}
	g.h = New(Options{
		Repos: []Repo{
			{Name: "flows", URL: "git@git.example.com:team/flows.git", Ref: "main", SecretFiles: []string{g.secret("a", "one\n"), g.secret("b", "two")}},
			{Name: "other", URL: "https://git.example.com/team/other", SecretFiles: []string{g.secret("c", "three")}},
			{Name: "open", URL: "https://git.example.com/team/open"},
		},
		Marker: g.marker, Log: slog.New(slog.NewTextHandler(&g.log, nil)), Now: func() time.Time { return g.now },
	})
	return g
}

func (g *rig) secret(name, content string) string {
	g.t.Helper()
	f := filepath.Join(g.dir, name)
	if err := os.WriteFile(f, []byte(content), 0o600); err != nil {
		g.t.Fatal(err)
	}
	return f
}

func sign(secret, body string) string {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(m.Sum(nil))
}

func payload(repo, ref string) string {
	return fmt.Sprintf(`{"ref":%q,"repository":{"clone_url":"https://git.example.com/team/%s.git","ssh_url":"git@git.example.com:team/%s.git","default_branch":"main"},"pusher":{"name":"ada"}}`, ref, repo, repo)
}

// request is one delivery; change may spoil it.
func (g *rig) request(path, secret, body string, change ...func(*http.Request)) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-GitHub-Event", "push")
	r.Header.Set("X-GitHub-Delivery", fmt.Sprint(len(g.log.String()), body))
	r.Header.Set("X-Hub-Signature-256", sign(secret, body))
	for _, c := range change {
		c(r)
	}
	return r
}

func (g *rig) send(r *http.Request) (status int, text string) {
	w := httptest.NewRecorder()
	g.h.ServeHTTP(w, r)
	return w.Code, strings.TrimSpace(w.Body.String())
}

func header(k, v string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(k, v) }
}

func TestDeliveries(t *testing.T) {
	push := payload("flows", "refs/heads/main")
	form := "payload=" + url.QueryEscape(push)
	mac1 := hmac.New(sha1.New, []byte("one"))
	mac1.Write([]byte(push))
	for name, test := range map[string]struct {
		path, secret, body string
		change             []func(*http.Request)
		want               int
		due                []string
	}{
		"push":                      {"/webhooks/github", "one", push, nil, 202, []string{"flows"}},
		"second secret":             {"/webhooks/github", "two", push, nil, 202, []string{"flows"}},
		"named":                     {"/webhooks/github/flows", "one", push, nil, 202, []string{"flows"}},
		"named, any ref":            {"/webhooks/github/flows", "one", payload("x", "refs/heads/y"), nil, 202, []string{"flows"}},
		"tag of that name":          {"/webhooks/github", "one", payload("flows", "refs/tags/main"), nil, 202, []string{"flows"}},
		"default branch":            {"/webhooks/github", "three", payload("other", "refs/heads/main"), nil, 202, []string{"other"}},
		"not the default branch":    {"/webhooks/github", "three", payload("other", "refs/heads/dev"), nil, 202, nil},
		"another branch":            {"/webhooks/github", "one", payload("flows", "refs/heads/dev"), nil, 202, nil},
		"another repository":        {"/webhooks/github", "one", payload("third", "refs/heads/main"), nil, 202, nil},
		"secret of another":         {"/webhooks/github", "three", push, nil, 202, nil},
		"named with another secret": {"/webhooks/github/flows", "three", push, nil, 403, nil},
		"form":                      {"/webhooks/github", "one", form, []func(*http.Request){header("Content-Type", "application/x-www-form-urlencoded")}, 202, []string{"flows"}},
		"upper case digits":         {"/webhooks/github", "one", push, []func(*http.Request){header("X-Hub-Signature-256", "sha256="+strings.ToUpper(sign("one", push)[7:]))}, 202, []string{"flows"}},
		"ping":                      {"/webhooks/github", "one", `{"zen":"x"}`, []func(*http.Request){header("X-GitHub-Event", "ping")}, 200, nil},
		"ping with a wrong secret":  {"/webhooks/github", "no", `{"zen":"x"}`, []func(*http.Request){header("X-GitHub-Event", "ping")}, 403, nil},
		"another event":             {"/webhooks/github", "one", "{}", []func(*http.Request){header("X-GitHub-Event", "issues")}, 200, nil},
		"no signature":              {"/webhooks/github", "one", push, []func(*http.Request){func(r *http.Request) { r.Header.Del("X-Hub-Signature-256") }}, 403, nil},
		"empty signature":           {"/webhooks/github", "one", push, []func(*http.Request){header("X-Hub-Signature-256", "")}, 403, nil},
		"prefix only":               {"/webhooks/github", "one", push, []func(*http.Request){header("X-Hub-Signature-256", "sha256=")}, 403, nil},
		"half a signature":          {"/webhooks/github", "one", push, []func(*http.Request){header("X-Hub-Signature-256", sign("one", push)[:39])}, 403, nil},
		"not hexadecimal":           {"/webhooks/github", "one", push, []func(*http.Request){header("X-Hub-Signature-256", "sha256="+strings.Repeat("zz", 32))}, 403, nil},
		"SHA-1 only":                {"/webhooks/github", "no", push, []func(*http.Request){header("X-Hub-Signature", "sha1="+hex.EncodeToString(mac1.Sum(nil)))}, 403, nil},
		"empty secret":              {"/webhooks/github", "", push, nil, 403, nil},
		"secret with its newline":   {"/webhooks/github", "one\n", push, nil, 403, nil},
		"no secret configured":      {"/webhooks/github/open", "", push, nil, 403, nil},
		"unknown repository":        {"/webhooks/github/nope", "one", push, nil, 403, nil},
		"malformed":                 {"/webhooks/github", "one", "{", nil, 400, nil},
		"wrong types":               {"/webhooks/github", "one", `{"ref":1}`, nil, 400, nil},
		"no ref":                    {"/webhooks/github", "one", `{}`, nil, 400, nil},
		"malformed form":            {"/webhooks/github", "one", "payload=%zz", []func(*http.Request){header("Content-Type", "application/x-www-form-urlencoded")}, 400, nil},
		"another type":              {"/webhooks/github", "one", push, []func(*http.Request){header("Content-Type", "text/xml")}, 415, nil},
		"no type":                   {"/webhooks/github", "one", push, []func(*http.Request){func(r *http.Request) { r.Header.Del("Content-Type") }}, 415, nil},
		"too large":                 {"/webhooks/github", "one", strings.Repeat("x", 1<<20+1), nil, 413, nil},
		"large enough":              {"/webhooks/github", "one", push + strings.Repeat(" ", 1<<20-len(push)), nil, 202, []string{"flows"}},
		"another forge":             {"/webhooks/nope", "one", push, nil, 404, nil},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t)
			status, text := g.send(g.request(test.path, test.secret, test.body, test.change...))
			if status != test.want {
				t.Errorf("got %d %q, want %d", status, text, test.want)
			}
			if diff := cmp.Diff(test.due, g.marker.due); diff != "" {
				t.Errorf("due (-want +got):\n%s", diff)
			}
			for _, s := range []string{"one", "two", "three"} {
				if strings.Contains(g.log.String()+text, "="+s) {
					t.Errorf("a secret is shown: %s %s", &g.log, text)
				}
			}
		})
	}
	g := newRig(t)
	if status, _ := g.send(httptest.NewRequest(http.MethodGet, "/webhooks/github", nil)); status != http.StatusMethodNotAllowed {
		t.Errorf("GET: got %d, want 405", status)
	}
}

func TestOneRepositoryTakesEveryPush(t *testing.T) {
	g := newRig(t)
	g.h.opts.Repos = g.h.opts.Repos[:1]
	g.h.opts.Repos[0].URL = "/srv/mirror/flows.git"
	if status, text := g.send(g.request("/webhooks/github", "one", payload("alias", "refs/heads/x"))); status != 202 || len(g.marker.due) != 1 {
		t.Errorf("got %d %q, due %v", status, text, g.marker.due)
	}
}

func TestReplaysAreIgnored(t *testing.T) {
	g := newRig(t)
	body := payload("flows", "refs/heads/main")
	first := func() *http.Request {
		return g.request("/webhooks/github", "one", body, header("X-GitHub-Delivery", "1"))
	}
	newID := func() *http.Request {
		return g.request("/webhooks/github", "one", body, header("X-GitHub-Delivery", "2"))
	}
	newBody := func() *http.Request {
		return g.request("/webhooks/github", "one", body+" ", header("X-GitHub-Delivery", "1"))
	}
	for i, r := range []*http.Request{first(), first(), newID(), newBody()} {
		if status, text := g.send(r); status != http.StatusAccepted || strings.Contains(text, "before") != (i > 0) {
			t.Errorf("delivery %d: got %d %q", i, status, text)
		}
	}
	if len(g.marker.due) != 1 {
		t.Errorf("four deliveries of one push marked %d times, want once", len(g.marker.due))
	}
	g.now = g.now.Add(replayWindow)
	g.send(first())
	if len(g.marker.due) != 2 {
		t.Errorf("after the window: marked %d times, want 2", len(g.marker.due))
	}
	// A refused delivery is not remembered.
	g.now = g.now.Add(replayWindow)
	g.send(g.request("/webhooks/github", "wrong", body, header("X-GitHub-Delivery", "1")))
	if g.send(first()); len(g.marker.due) != 3 {
		t.Error("a forged delivery made the real one a replay")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	var d deliveries
	now := time.Unix(0, 0)
	for i := range 3 * maxDeliveries {
		if !d.add(now, fmt.Sprint("id", i), fmt.Sprint("sig", i)) {
			t.Fatalf("delivery %d is taken for a replay", i)
		}
	}
	if got := len(d.seen); got > maxDeliveries+2 || got != d.order.Len() {
		t.Errorf("%d names are kept (%d in order), want %d at most", got, d.order.Len(), maxDeliveries)
	}
	var b buckets
	for i := range 3 * maxBuckets {
		b.take(now, fmt.Sprint(i))
	}
	if got := len(b.m); got > maxBuckets {
		t.Errorf("%d sources are kept, want %d at most", got, maxBuckets)
	}
}

func TestFlood(t *testing.T) {
	g := newRig(t)
	refused := 0
	for i := range 1000 {
		status, _ := g.send(g.request("/webhooks/github", "one", payload("flows", "refs/heads/main"), header("X-GitHub-Delivery", fmt.Sprint(i))))
		if status == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused != 1000-bucketSize {
		t.Errorf("%d of 1000 were refused, want all but %d", refused, bucketSize)
	}
	other := g.request("/webhooks/github", "one", payload("flows", "refs/heads/main")+" ", func(r *http.Request) { r.RemoteAddr = "198.51.100.7:1" })
	if status, _ := g.send(other); status != http.StatusAccepted {
		t.Errorf("another source got %d, want 202", status)
	}
	g.now = g.now.Add(time.Second)
	if status, _ := g.send(g.request("/webhooks/github", "one", payload("flows", "refs/heads/main")+"  ")); status != http.StatusAccepted {
		t.Errorf("a second later: got %d, want 202", status)
	}
}

func TestSecretsAreReadAtEveryDelivery(t *testing.T) {
	g := newRig(t)
	body := payload("flows", "refs/heads/main")
	g.secret("a", "rotated")
	if status, _ := g.send(g.request("/webhooks/github/flows", "one", body)); status != http.StatusForbidden {
		t.Errorf("the old secret: got %d, want 403", status)
	}
	if status, _ := g.send(g.request("/webhooks/github/flows", "rotated", body)); status != http.StatusAccepted {
		t.Errorf("the new secret: got %d, want 202", status)
	}
	if err := os.Remove(filepath.Join(g.dir, "a")); err != nil {
		t.Fatal(err)
	}
	if status, _ := g.send(g.request("/webhooks/github/flows", "two", body+" ")); status != http.StatusAccepted {
		t.Errorf("beside a missing file: got %d, want 202", status)
	}
	g.secret("b", "\n")
	if status, text := g.send(g.request("/webhooks/github/flows", "", body)); status != http.StatusForbidden || !strings.Contains(text, "no secret is configured") {
		t.Errorf("with an empty file only: got %d %q, want 403", status, text)
	}
	if !strings.Contains(g.log.String(), "is empty") {
		t.Error("the log does not tell of the empty file")
	}
}

func TestPlace(t *testing.T) {
	const want = "git.example.com/team/flows"
	for _, u := range []string{
		"https://git.example.com/team/flows.git", "https://git.example.com/team/flows", "https://git.example.com/team/flows/",
		"ssh://git@git.example.com:2222/team/flows.git", "git@git.example.com:team/flows.git", "git.example.com:team/flows",
		"https://Git.Example.com/Team/flows",
	} {
		if got := place(u); got != want {
			t.Errorf("place(%q): got %q, want %q", u, got, want)
		}
	}
	for _, u := range []string{"", "/srv/git/flows.git", "flows", "https://%zz/x", "../x:y"} {
		if got := place(u); got != "" {
			t.Errorf("place(%q): got %q, want none", u, got)
		}
	}
}

func FuzzGitHub(f *testing.F) {
	f.Add("application/json", payload("flows", "refs/heads/main"))
	f.Add("application/x-www-form-urlencoded", "payload=%7B%7D")
	f.Add("text/plain; charset", "{")
	f.Fuzz(func(t *testing.T, contentType, body string) {
		p, err := decodeGitHub(contentType, []byte(body))
		if err == nil {
			p.about(Repo{URL: "https://git.example.com/team/flows.git"})
		}
		verifyGitHub(body, []byte(body), [][]byte{[]byte("s")})
	})
}
