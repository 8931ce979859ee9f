package agent

import (
	"net/http"

	"gitdag/gitsync/forge"
)

// handler joins the routes of the agent.
func (a *Agent) handler() (http.Handler, error) {
	mux := http.NewServeMux()
	mux.Handle("/webhooks/", a.webhooks())
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	return mux, nil
}

// webhooks receives the deliveries of Git forges.
func (a *Agent) webhooks() http.Handler {
	repos := make([]forge.Repo, len(a.config.Repos))
	for i := range a.config.Repos {
		r := &a.config.Repos[i]
		repos[i] = forge.Repo{Name: r.Name, URL: r.URL, Ref: r.Ref, SecretFiles: r.Webhook.SecretFiles}
	}
	return forge.New(forge.Options{Repos: repos, Marker: a.syncer, Log: a.log})
}
