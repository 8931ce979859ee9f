package agent

import (
	"bytes"
	"fmt"
	"net/http"
	"os"

	"gitdag/agent/api"
	"gitdag/gitsync/forge"
)

// handler joins the routes of the agent.
func (a *Agent) handler() (http.Handler, error) {
	token, err := readToken(a.config.Load().Auth.TokenFile)
	if err != nil {
		return nil, err
	}
	a.hooks.Store(a.webhooks())
	return api.New(api.Options{
		Engine: backend{a.engine}, History: past{a.store.history}, Logs: a.logs, Repos: &a.syncs,
		Version: a.options.Version, Token: token,
		Webhooks: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.hooks.Load().ServeHTTP(w, r) }),
		Log:      a.log.With("component", "api"),
	}), nil
}

// readToken reads the token that requests must bear; no file, no token.
func readToken(file string) (string, error) {
	if file == "" {
		return "", nil
	}
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
	return forge.New(forge.Options{Repos: repos, Marker: &a.syncs, Log: a.log})
}
