package agent

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gitdag/bench/agenttest"
	"gitdag/engine"
	"gitdag/engine/flow"
	"gitdag/engine/operator"
	"gitdag/engine/params"
	"gitdag/gitsync"
	"gitdag/notify"
)

// TestMain lets the test binary be the child that reads from remotes.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "fetch-child" {
		os.Exit(gitsync.FetchChild(os.Stdin, os.Stdout, os.Stderr))
	}
	name, value, _ := strings.Cut(agenttest.Quick, "=")
	if err := os.Setenv(name, value); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// rig is an agent in this process, on a repository and a data directory that
// outlive it.
type rig struct {
	t      *testing.T
	repo   *agenttest.Repo
	config Config
	log    *agenttest.Log
	told   *mailbox
	agent  *Agent
	// directory replaces the repository.
	directory *Directory
	server    Server
	params    *params.Map
	operators *operator.Registry

	version  string
	sessions int64 // started by run
}

// newRig makes a rig whose agent polls when it is told to, and has not begun.
func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, repo: agenttest.NewRepo(t, "flows"), log: agenttest.NewLog(), told: &mailbox{}, version: "test"}
	r.config = Config{
		Data: filepath.Join(t.TempDir(), "data"), Listen: "127.0.0.1:0", Drain: Duration(10 * time.Second),
		Repos: []Repo{{URL: r.repo.Path(), Poll: Duration(time.Hour)}},
	}
	t.Cleanup(r.stop)
	return r
}

// start begins an agent with the rig's configuration.
func (r *rig) start() {
	r.t.Helper()
	if err := r.tryStart(); err != nil {
		r.t.Fatalf("%v\n%s", err, r.log)
	}
}

func (r *rig) tryStart() error {
	r.t.Helper()
	self, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	a, err := New(Options{
		Config: r.config, Self: self, Version: r.version, Alerts: r.told, Directory: r.directory,
		Server: r.server, Params: r.params, Operators: r.operators,
		Log: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		return err
	}
	if err := a.Start(context.Background()); err != nil {
		return err
	}
	r.agent = a
	return nil
}

// stop ends the agent, if one runs.
func (r *rig) stop() {
	if r.agent != nil {
		r.agent.Stop(context.Background())
		r.agent = nil
	}
}

// push commits the files and waits until the commit is live.
func (r *rig) push(subject string, files map[string]string) string {
	r.t.Helper()
	commit := r.repo.Push(subject, files)
	r.agent.Sync("")
	r.live(commit)
	return commit
}

// live waits until a commit is live.
func (r *rig) live(commit string) {
	r.t.Helper()
	r.eventually("commit "+commit+" is live", func() bool {
		found := false
		r.view(func(s *flow.State) {
			for _, repo := range s.Repos() {
				found = found || repo.Commit.ID == commit
			}
		})
		return found
	})
}

func (r *rig) eventually(what string, cond func() bool) {
	r.t.Helper()
	agenttest.Eventually(r.t, what, cond, r.log.String)
}

func (r *rig) view(read func(*flow.State)) { r.agent.engine.View(read) }

// run starts a workflow of the project flows by hand and waits for its end; it
// tells whether it succeeded.
func (r *rig) run(workflow string) bool {
	r.t.Helper()
	r.sessions++
	return r.ended(r.begin(workflow, time.Unix(1_700_000_000+r.sessions, 0)))
}

// begin starts a workflow of the project flows by hand.
func (r *rig) begin(workflow string, session time.Time) uint64 {
	r.t.Helper()
	id, err := r.agent.engine.StartAttempt(context.Background(), engine.StartRequest{
		Project: "flows", Workflow: workflow, Session: session, Params: params.NewMap(0),
	})
	if err != nil {
		r.t.Fatalf("start %s: %v\n%s", workflow, err, r.log)
	}
	return id
}

// ended waits until an attempt is in the history; it tells whether it succeeded.
func (r *rig) ended(attempt uint64) bool {
	r.t.Helper()
	r.eventually("the attempt is over", func() bool {
		live := true
		r.view(func(s *flow.State) { live = s.Attempt(attempt) != nil })
		return !live
	})
	past, err := r.agent.store.history.Attempt(context.Background(), attempt)
	if err != nil {
		r.t.Fatal(err)
	}
	return past.Succeeded
}

// mailbox is a sender that keeps what it is given.
type mailbox struct {
	mu   sync.Mutex
	list []notify.Alert
}

// Send keeps the alert.
func (m *mailbox) Send(_ context.Context, a notify.Alert) (notify.Receipt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list = append(m.list, a)
	return notify.Receipt{}, nil
}

// of returns the alerts of a kind.
func (m *mailbox) of(kind notify.Kind) []notify.Alert {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []notify.Alert
	for _, a := range m.list {
		if a.Kind == kind {
			found = append(found, a)
		}
	}
	return found
}

// ask makes a request of the agent's HTTP interface and reads a JSON answer
// into answer, if that is not nil.
func (r *rig) ask(method, path, body, token string, answer any) (status int) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, "http://"+r.agent.Addr()+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	if answer != nil {
		if err := json.Unmarshal(data, answer); err != nil {
			r.t.Fatalf("%s %s: status %d: %q: %v", method, path, res.StatusCode, data, err)
		}
	}
	return res.StatusCode
}
