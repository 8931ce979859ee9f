package api

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// handler answers a request, or fails with an error that [server.fail] knows
// how to tell.
type handler func(http.ResponseWriter, *request) error

// route is a path and what answers each method there. A segment in braces takes
// any text.
type route struct {
	path string
	get  handler
	put  handler
	post handler
	// kind is the type of what get answers; JSON if empty.
	kind string
}

// request is a request with what its route took from the path.
type request struct {
	*http.Request
	path map[string]string
}

// routes are all there are.
func (s *server) routes() []route {
	return []route{
		{path: "/livez", get: s.livez, kind: plain},
		{path: "/readyz", get: s.readyz, kind: plain},
		{path: "/api/version", get: s.showVersion},
		{path: "/api/version/check", get: s.versionCheck},
		{path: "/api/status", get: s.showStatus},
		{path: "/api/sync", post: s.syncNow},
		{path: "/api/projects", get: s.projects},
		{path: "/api/projects/{id}", get: s.project},
		{path: "/api/projects/{id}/workflows", get: s.projectWorkflows},
		{path: "/api/projects/{id}/workflows/{name}", get: s.projectWorkflow},
		{path: "/api/projects/{id}/schedules", get: s.projectSchedules},
		{path: "/api/projects/{id}/sessions", get: s.projectSessions},
		{path: "/api/workflows", get: s.workflows},
		{path: "/api/workflows/{id}", get: s.workflow},
		{path: "/api/workflows/{id}/truncated_session_time", get: s.truncatedSessionTime},
		{path: "/api/schedules", get: s.schedules},
		{path: "/api/schedules/{id}", get: s.schedule},
		{path: "/api/sessions", get: s.sessions},
		{path: "/api/sessions/{id}", get: s.session},
		{path: "/api/sessions/{id}/attempts", get: s.sessionAttempts},
		{path: "/api/attempts", get: s.attempts, put: s.start},
		{path: "/api/attempts/{id}", get: s.attempt},
		{path: "/api/attempts/{id}/retries", get: s.retries},
		{path: "/api/attempts/{id}/tasks", get: s.tasks},
		{path: "/api/attempts/{id}/kill", post: s.kill},
		{path: "/api/logs/{id}/files", get: s.logFiles},
		{path: "/api/logs/{id}/files/{name}", get: s.logFile, kind: gzipped},
	}
}

// router finds the route of a request. It is our own because
// [http.ServeMux] redirects what it thinks is an unclean path, which no client
// expects here, and answers a wrong method without a JSON body.
func (s *server) router() http.Handler {
	routes := s.routes()
	split := make([][]string, len(routes))
	for i := range routes {
		split[i] = segments(routes[i].path)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := segments(r.URL.EscapedPath())
		for i, pattern := range split {
			if taken, ok := match(pattern, path); ok {
				s.serve(w, &request{r, taken}, &routes[i])
				return
			}
		}
		s.fail(w, r, notFoundf("no such path: %s", r.URL.Path))
	})
}

// segments splits a path; one slash at its end does not count.
func segments(path string) []string {
	if len(path) > 1 {
		path = strings.TrimSuffix(path, "/")
	}
	return strings.Split(path, "/")
}

// match compares an escaped path with a route.
func match(pattern, path []string) (map[string]string, bool) {
	if len(pattern) != len(path) {
		return nil, false
	}
	var taken map[string]string
	for i, p := range pattern {
		text, err := url.PathUnescape(path[i])
		if err != nil {
			return nil, false
		}
		name, isName := strings.CutPrefix(p, "{")
		if !isName {
			if text != p {
				return nil, false
			}
			continue
		}
		if text == "" {
			return nil, false
		}
		if taken == nil {
			taken = map[string]string{}
		}
		taken[strings.TrimSuffix(name, "}")] = text
	}
	return taken, true
}

// serve has a route answer a request.
func (s *server) serve(w http.ResponseWriter, r *request, to *route) {
	var h handler
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		h = to.get
	case http.MethodPut:
		h = to.put
	case http.MethodPost:
		h = to.post
	}
	allow := strings.Join(to.methods(), ", ")
	switch {
	case r.Method == http.MethodOptions:
		w.Header().Set("Allow", allow)
		w.Header().Set("Content-Type", plain)
		_, _ = w.Write([]byte(allow))
	case h == nil:
		w.Header().Set("Allow", allow)
		s.fail(w, r.Request, statusf(http.StatusMethodNotAllowed, "%s is not a method of %s: it has %s", r.Method, r.URL.Path, allow))
	case !accepts(r.Header.Values("Accept"), to.answers()):
		w.WriteHeader(http.StatusNotAcceptable)
	default:
		if err := h(w, r); err != nil {
			s.fail(w, r.Request, err)
		}
	}
}

// answers is the type of what the route answers.
func (to *route) answers() string {
	if to.kind == "" {
		return jsonType
	}
	return to.kind
}

func (to *route) methods() []string {
	list := []string{http.MethodOptions}
	if to.get != nil {
		list = append(list, http.MethodGet, http.MethodHead)
	}
	if to.put != nil {
		list = append(list, http.MethodPut)
	}
	if to.post != nil {
		list = append(list, http.MethodPost)
	}
	slices.Sort(list)
	return list
}
