package gitsync

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// counter counts the requests and the bytes that a server answers.
type counter struct {
	mu       sync.Mutex
	requests []string
	bytes    int64
}

func (c *counter) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		c.requests = append(c.requests, r.Method+" "+r.URL.Path[strings.LastIndex(r.URL.Path, "/"):])
		c.mu.Unlock()
		next.ServeHTTP(&countingWriter{w, c}, r)
	})
}

func (c *counter) reset() (requests []string, n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	requests, n = c.requests, c.bytes
	c.requests, c.bytes = nil, 0
	return requests, n
}

type countingWriter struct {
	http.ResponseWriter
	c *counter
}

func (w *countingWriter) Write(p []byte) (int, error) {
	w.c.mu.Lock()
	w.c.bytes += int64(len(p))
	w.c.mu.Unlock()
	return w.ResponseWriter.Write(p)
}

func TestUnchangedPollIsOneSmallRequest(t *testing.T) {
	r := newTestRepo(t)
	h := r.push(files{"p/a.dig": "1"})
	var refs strings.Builder
	for i := range 50_000 {
		fmt.Fprintf(&refs, "%s refs/pull/%d/head\n", h, i)
	}
	must(t, os.WriteFile(filepath.Join(r.dir, "packed-refs"), []byte(refs.String()), 0o644))
	var c counter
	g := newRig(t, Repo{URL: r.serveHTTP(c.wrap), Ref: "main"})
	g.sync()
	c.reset()
	before := treeOfNames(t, g.opts.Data)
	g.sync()
	requests, n := c.reset()
	if len(requests) != 1 || requests[0] != "POST /git-upload-pack" {
		t.Errorf("an unchanged poll made the requests %v, want one POST", requests)
	}
	if n > 2000 {
		t.Errorf("an unchanged poll moved %d bytes with 50,000 references, want 2,000 at most", n)
	}
	if after := treeOfNames(t, g.opts.Data); after != before {
		t.Errorf("an unchanged poll changed the disk:\n%s\nbefore:\n%s", after, before)
	}
}

// treeOfNames lists a directory with times, to see whether anything touched it.
func treeOfNames(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	must(t, filepath.Walk(dir, func(p string, info os.FileInfo, err error) error {
		if err == nil {
			fmt.Fprintln(&b, p, info.Size(), info.ModTime().UnixNano())
		}
		return err
	}))
	return b.String()
}

func TestServerWithoutVersion2(t *testing.T) {
	r := newTestRepo(t)
	r.push(files{"p/a.dig": "1"})
	old := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			req.Header.Del("Git-Protocol")
			next.ServeHTTP(w, req)
		})
	}
	g := newRig(t, Repo{URL: r.serveHTTP(old), Ref: "main"})
	g.sync()
	r.push(files{"p/a.dig": "2"})
	g.sync()
	if got := g.liveFiles()["p"]["a.dig"]; got != "2" {
		t.Errorf("got %q, want 2", got)
	}
}

// demand is a server that wants an Authorization header.
func demand(challenge, want string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != want {
				w.Header().Set("WWW-Authenticate", challenge)
				http.Error(w, "who are you?", http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func basic(user, password string) string {
	r, _ := http.NewRequest(http.MethodGet, "/", nil)
	r.SetBasicAuth(user, password)
	return r.Header.Get("Authorization")
}

func TestHTTPCredentials(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	must(t, os.WriteFile(secret, []byte("s3cr3t-token\n"), 0o600))
	for name, test := range map[string]struct {
		auth      Auth
		challenge string
		want      string
	}{
		"token as basic":     {Auth{TokenFile: secret}, `Basic realm="git"`, basic("x-access-token", "s3cr3t-token")},
		"token with user":    {Auth{TokenFile: secret, Username: "oauth2"}, `Basic realm="git"`, basic("oauth2", "s3cr3t-token")},
		"token as bearer":    {Auth{TokenFile: secret}, `Bearer realm="git"`, "Bearer s3cr3t-token"},
		"user with password": {Auth{Username: "ada", PasswordFile: secret}, `Basic realm="git"`, basic("ada", "s3cr3t-token")},
	} {
		t.Run(name, func(t *testing.T) {
			r := newTestRepo(t)
			r.push(files{"p/a.dig": "1"})
			g := newRig(t, Repo{URL: r.serveHTTP(demand(test.challenge, test.want)), Auth: test.auth})
			g.sync()
			g.noSecret("s3cr3t-token")
		})
	}

	t.Run("wrong, then rotated", func(t *testing.T) {
		r := newTestRepo(t)
		r.push(files{"p/a.dig": "1"})
		url := r.serveHTTP(demand(`Basic realm="git"`, basic("x-access-token", "n3w-token")))
		g := newRig(t, Repo{URL: url, Auth: Auth{TokenFile: secret}})
		err := g.trySync()
		if err == nil || !strings.Contains(err.Error(), "401") || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("got %v, want a 401 without the token", err)
		}
		must(t, os.WriteFile(secret, []byte("n3w-token"), 0o600))
		g.sync()
		must(t, os.Remove(secret))
		if err := g.trySync(); err == nil || !strings.Contains(err.Error(), "read credential") {
			t.Errorf("missing credential file: got %v", err)
		}
		g.noSecret("n3w-token")
	})
}

// noSecret fails if a secret is in the log or the status.
func (g *rig) noSecret(s string) {
	g.t.Helper()
	if strings.Contains(g.log.String()+fmt.Sprintf("%+v", g.s.Status()), s) {
		g.t.Errorf("the log or the status shows the secret:\n%s", g.log)
	}
}

func TestRedirects(t *testing.T) {
	r := newTestRepo(t)
	r.push(files{"p/a.dig": "1"})
	target := r.serveHTTP(nil)
	var reached []string
	spy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		reached = append(reached, req.URL.Path)
	}))
	defer spy.Close()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, spy.URL+req.URL.Path, http.StatusFound)
	}))
	defer elsewhere.Close()
	err := newRig(t, Repo{URL: elsewhere.URL + "/flows.git"}).trySync()
	if err == nil || !strings.Contains(err.Error(), "redirects to "+spy.URL) || len(reached) > 0 {
		t.Errorf("redirect to another origin: got %v, reached %v", err, reached)
	}
	// A renamed repository on the same server is followed.
	renamed := r.serveHTTP(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if rest, ok := strings.CutPrefix(req.URL.Path, "/old.git"); ok {
				http.Redirect(w, req, "/flows.git"+rest+"?"+req.URL.RawQuery, http.StatusMovedPermanently)
				return
			}
			next.ServeHTTP(w, req)
		})
	})
	newRig(t, Repo{URL: strings.Replace(renamed, "flows.git", "old.git", 1)}).sync()
	_ = target
}

func TestRetryAfterIsObeyed(t *testing.T) {
	for _, op := range []string{"/info/refs", "/git-upload-pack"} {
		r := newTestRepo(t)
		r.push(files{"p/a.dig": "1"})
		g := newRig(t, Repo{URL: r.serveHTTP(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				v2 := req.Header.Get("Git-Protocol") != "" // the child's requests have none
				if strings.HasSuffix(req.URL.Path, op) && (op == "/info/refs" || !v2) {
					w.Header().Set("Retry-After", "77")
					http.Error(w, "slow down", http.StatusTooManyRequests)
					return
				}
				next.ServeHTTP(w, req)
			})
		})})
		err := g.trySync()
		var ra retryAfterError
		if !errors.As(err, &ra) || ra.after != 77*time.Second {
			t.Errorf("%s: got %v, want to be told of 77s", op, err)
		}
	}
}

func TestReferenceMovesBetweenListAndFetch(t *testing.T) {
	r := newTestRepo(t)
	r.push(files{"p/a.dig": "1"})
	var moved sync.Once
	url := r.serveHTTP(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Header.Get("Git-Protocol") == "" { // the child begins
				moved.Do(func() { r.push(files{"p/a.dig": "2"}) })
			}
			next.ServeHTTP(w, req)
		})
	})
	g := newRig(t, Repo{URL: url})
	d := g.sync()
	if got := g.liveFiles()["p"]["a.dig"]; got != "2" || d.Commit.Hash != r.head().String() {
		t.Errorf("got content %q of %s, want the newest", got, d.Commit.Hash)
	}
	g.sync()
	if n := len(g.target.deployments); n != 1 {
		t.Errorf("got %d deployments, want 1", n)
	}
}

// Fault 4: a server that accepts and then says nothing.
func TestSilentServers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	go func() { // ends with the listener; holds what it accepts
		var held []net.Conn
		for {
			c, err := l.Accept()
			if err != nil {
				for _, c := range held {
					c.Close()
				}
				return
			}
			held = append(held, c)
		}
	}()
	key, known := sshFiles(t, l.Addr().String())
	short := func(o *Options) {
		o.Timeouts = Timeouts{List: 900 * time.Millisecond, Idle: 500 * time.Millisecond, Fetch: time.Second}
	}
	for name, repo := range map[string]Repo{
		"http": {URL: "http://" + l.Addr().String() + "/flows.git"},
		"ssh": {
			URL:  "ssh://git@" + l.Addr().String() + "/flows.git",
			Auth: Auth{SSHKeyFile: key, KnownHostsFile: known},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, repo, short)
			began := time.Now()
			err := g.trySync()
			if took := time.Since(began); err == nil || took > 5*time.Second {
				t.Errorf("got %v after %s, want an error within the deadline", err, took)
			}
			if name == "ssh" && !strings.Contains(err.Error(), "i/o timeout") {
				t.Errorf("got %v, want the handshake's own timeout", err)
			}
		})
	}
	t.Run("fetch", func(t *testing.T) { // lists, and falls silent at the pack
		r := newTestRepo(t)
		r.push(files{"p/a.dig": "1"})
		release := make(chan struct{})
		url := r.serveHTTP(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if req.Header.Get("Git-Protocol") == "" && req.Method == http.MethodPost {
					<-release
					return
				}
				next.ServeHTTP(w, req)
			})
		})
		t.Cleanup(func() { close(release) })
		g := newRig(t, Repo{URL: url}, short)
		began := time.Now()
		err := g.trySync()
		if took := time.Since(began); err == nil || took > 6*time.Second {
			t.Errorf("got %v after %s, want an error within the deadline", err, took)
		}
		g.noLeftOvers()
	})
}

func TestStopEndsAHangingFetch(t *testing.T) {
	r := newTestRepo(t)
	r.push(files{"p/a.dig": "1"})
	inFetch, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	url := r.serveHTTP(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Header.Get("Git-Protocol") == "" {
				once.Do(func() { close(inFetch) })
				<-release
				return
			}
			next.ServeHTTP(w, req)
		})
	})
	t.Cleanup(func() { close(release) })
	g := newRig(t, Repo{URL: url})
	g.s.Start(context.Background())
	<-inFetch
	began := time.Now()
	g.s.Stop()
	g.s.Stop()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("Stop took %s", took)
	}
	g.noLeftOvers()
}

func TestAnswersThatAreNotGit(t *testing.T) {
	r := newTestRepo(t)
	r.push(files{"p/a.dig": "1"})
	for name, body := range map[string]string{
		"html":     "<html>Sign in</html>",
		"empty":    "",
		"cut":      "001e# service=git-upload-pack\n0000000eversion 2\n",
		"sha256":   "001e# service=git-upload-pack\n0000000eversion 2\n000cls-refs\n001aobject-format=sha256\n0000",
		"nonsense": "ffff",
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
		if err := newRig(t, Repo{URL: srv.URL + "/flows.git"}).trySync(); err == nil {
			t.Errorf("%s: got no error", name)
		}
		srv.Close()
	}
	for name, test := range map[string]struct {
		body string
		ok   bool
	}{
		"whole":    {"003f" + r.head().String() + " refs/heads/main\n0000", false}, // wrong length: cut off
		"cut":      {"003d" + r.head().String() + " refs/heads/main\n", false},
		"flush":    {"003d" + r.head().String() + " refs/heads/main\n0000", true},
		"bad hash": {"0016zzzz refs/heads/ma\n0000", false},
		"empty":    {"", false},
	} {
		_, err := readRefs(bytes.NewReader([]byte(test.body)))
		if (err == nil) != test.ok {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
