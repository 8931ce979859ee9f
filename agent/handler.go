package agent

import (
	"cmp"
	"net/http"

	"gitdag/agent/api"
	"gitdag/gitsync/forge"
)

// apiOptions say what the routes of the agent stand on.
func (a *Agent) apiOptions() (api.Options, error) {
	c, s, log := a.config.Load(), &a.options.Server, a.log.With("component", "api")
	auth, err := newAuthenticator(&c.Auth, s.User, log)
	if err != nil {
		return api.Options{}, err
	}
	a.hooks.Store(a.webhooks())
	back := backend{a.engine, func(tree string) error { return a.projects.checkouts.present(tree, a.source.dir(tree)) }}
	o := api.Options{
		Engine: back, History: past{a.store.history}, Logs: a.logs, Repos: a.source,
		Schedules: back, Projects: a.projects, Secrets: projectSecrets{a.secrets},
		Version: a.options.Version, VersionFloor: s.VersionFloor, Headers: s.Headers,
		PageLimit: s.PageLimit, ArchiveLimit: cmp.Or(s.ArchiveLimit, int64(c.Limits.ExportProjectBytes)), Swagger: s.Swagger,
		Webhooks: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.hooks.Load().ServeHTTP(w, r) }),
		Log:      log,
	}
	if auth != nil {
		o.Auth = auth
	}
	return o, nil
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
