package agent

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"

	"gitdag/agent/api"
	"gitdag/gitsync/forge"
)

// handler joins the routes of the agent.
func (a *Agent) handler() (http.Handler, error) {
	token, err := newAPIToken(a.config.Load().Auth.TokenFile, a.log.With("component", "api"))
	if err != nil {
		return nil, err
	}
	a.hooks.Store(a.webhooks())
	return api.New(api.Options{
		Engine: backend{a.engine, a.source.dir}, History: past{a.store.history}, Logs: a.logs, Repos: a.source,
		Version: a.options.Version, Token: token.current,
		Webhooks: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.hooks.Load().ServeHTTP(w, r) }),
		Log:      a.log.With("component", "api"),
	}), nil
}

// apiToken is the token that requests must bear. Its file is read at each
// request, so that it can be replaced while the agent runs.
type apiToken struct {
	file string
	log  *slog.Logger

	mu   sync.Mutex
	good string // what the file held last
	bad  string // why it cannot be read now; "" if it can
}

func newAPIToken(file string, log *slog.Logger) (*apiToken, error) {
	t := &apiToken{file: file, log: log}
	if file == "" {
		return t, nil
	}
	var err error
	t.good, err = readToken(file)
	return t, err
}

// current returns the token; "" where none is configured. While the file is
// missing or empty, as while it is being replaced, the last one stays valid.
func (t *apiToken) current() string {
	if t.file == "" {
		return ""
	}
	token, err := readToken(t.file)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.good, t.bad = token, ""
		return token
	}
	if err.Error() != t.bad {
		t.bad = err.Error()
		t.log.Warn("the API token stays as it was", "err", err)
	}
	return t.good
}

func readToken(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read the API token: %w", err)
	}
	token := string(bytes.TrimSuffix(data, []byte("\n")))
	if token == "" {
		return "", fmt.Errorf("the file %s holds no API token", file)
	}
	return token, nil
}

// webhooks receives the deliveries of Git forges.
func (a *Agent) webhooks() *forge.Handler {
	c := a.config.Load()
	repos := make([]forge.Repo, len(c.Repos))
	for i := range c.Repos {
		r := &c.Repos[i]
		repos[i] = forge.Repo{Name: r.Name, URL: r.URL, Ref: r.Ref, SecretFiles: r.Webhook.SecretFiles}
	}
	return forge.New(forge.Options{Repos: repos, Marker: a.source, Log: a.log})
}
