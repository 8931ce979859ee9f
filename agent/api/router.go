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
	path                string
	get, put, post, del *operation
	// admin tells that it is for administrators only.
	admin bool
}

// operation answers one method of a path, and says in terms of the wire what it
// takes and gives: the document of the API is made of it.
type operation struct {
	do      handler
	summary string
	// query names the parameters that it takes, with spaces between them; no other
	// one reaches it.
	query string
	// body is a value of the wire type of what a client sends; nil for nothing.
	body any
	// bare tells that the body may be left out.
	bare bool
	// bodyKind and kind are the types of the body and of the answer; JSON if empty.
	bodyKind, kind string
	// answer is a value of the wire type of the answer, conflict that of a 409 if
	// it is no error; nil for what is not JSON.
	answer, conflict any
	// status is that of success; 200 if 0.
	status int
}

// answers is the type of what the operation answers.
func (o *operation) answers() string {
	if o.kind == "" {
		return jsonType
	}
	return o.kind
}

// request is a request with what its route took from the path and the query.
type request struct {
	*http.Request
	// out is where the answer goes.
	out    http.ResponseWriter
	who    Identity
	path   map[string]string
	values url.Values
}

// router finds the route of a request. It is our own because
// [http.ServeMux] redirects what it thinks is an unclean path, which no client
// expects here, and answers a wrong method without a JSON body.
func (s *server) router() func(http.ResponseWriter, *http.Request, Identity) {
	routes := s.routes()
	split := make([][]string, len(routes))
	for i := range routes {
		split[i] = segments(routes[i].path)
	}
	return func(w http.ResponseWriter, r *http.Request, who Identity) {
		path := segments(r.URL.EscapedPath())
		for i, pattern := range split {
			if taken, ok := match(pattern, path); ok {
				s.serve(w, &request{Request: r, out: w, who: who, path: taken}, &routes[i])
				return
			}
		}
		s.fail(w, r, notFoundf("no such path: %s", r.URL.Path))
	}
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
	operations := to.operations()
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	o := operations[method]
	allow := strings.Join(to.methods(), ", ")
	switch {
	case r.Method == http.MethodOptions:
		w.Header().Set("Allow", allow)
		w.Header().Set("Content-Type", plain)
		_, _ = w.Write([]byte(allow))
	case r.Method == http.MethodTrace:
		writeTrace(w, r.Request)
	case o == nil:
		w.Header().Set("Allow", allow)
		s.fail(w, r.Request, statusf(http.StatusMethodNotAllowed, "%s is not a method of %s: it has %s", r.Method, r.URL.Path, allow))
	case to.admin && !r.who.Admin:
		s.fail(w, r.Request, statusf(http.StatusForbidden, "only an administrator may ask for %s", r.URL.Path))
	case !accepts(r.Header.Values("Accept"), o.answers()):
		s.fail(w, r.Request, statusf(http.StatusNotAcceptable, "the answer is %s, which the request does not accept", o.answers()))
	default:
		err := r.take(strings.Fields(o.query))
		if err == nil {
			err = o.do(w, r)
		}
		if err != nil {
			s.fail(w, r.Request, err)
		}
	}
}

// operations returns what the route has, by method.
func (to *route) operations() map[string]*operation {
	all := map[string]*operation{
		http.MethodGet: to.get, http.MethodPut: to.put, http.MethodPost: to.post, http.MethodDelete: to.del,
	}
	for method, o := range all {
		if o == nil {
			delete(all, method)
		}
	}
	return all
}

// methods lists the methods that the route takes. TRACE works everywhere and is
// listed nowhere, as in Digdag.
func (to *route) methods() []string {
	list := []string{http.MethodOptions}
	for method := range to.operations() {
		list = append(list, method)
		if method == http.MethodGet {
			list = append(list, http.MethodHead)
		}
	}
	slices.Sort(list)
	return list
}

// writeTrace answers with the head of the request as it came, but without what
// lets a client in.
func writeTrace(w http.ResponseWriter, r *http.Request) {
	head := r.Header.Clone()
	for _, name := range []string{"Authorization", "Proxy-Authorization", "Cookie"} {
		head.Del(name)
	}
	w.Header().Set("Content-Type", "message/http")
	_, _ = w.Write([]byte("TRACE " + r.URL.RequestURI() + " " + r.Proto + "\r\nHost: " + r.Host + "\r\n"))
	_ = head.Write(w)
	_, _ = w.Write([]byte("\r\n"))
}
