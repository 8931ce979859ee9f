package api

import (
	"errors"
	"net/http"
	"strings"
)

// The most that the line of a request and its headers may have.
const (
	maxTarget  = 16 << 10
	maxHeaders = 32 << 10
)

// guard lets through what may be asked. All below /api/ needs the credentials
// that are asked for but the version, OPTIONS and TRACE; webhooks have
// credentials of their own. A browser may change nothing on behalf
// of another site.
func (s *server) guard(next func(http.ResponseWriter, *http.Request, Identity)) http.Handler {
	crossOrigin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if s.Webhooks != nil && strings.HasPrefix(r.URL.Path, "/webhooks/") {
			s.setHeaders(out.Header(), r.URL.Path)
			s.Webhooks.ServeHTTP(out, r)
			return
		}
		w := &paced{ResponseWriter: out, packers: &s.packers}
		s.setHeaders(w.Header(), r.URL.Path)
		if err := checkSize(r); err != nil {
			s.fail(w, r, err)
			return
		}
		who, err := s.authenticate(r)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		if err := crossOrigin.Check(r); err != nil {
			s.fail(w, r, statusf(http.StatusForbidden, "requests of other sites may change nothing: %v", err))
			return
		}
		next(w, r, who)
	})
}

func (s *server) setHeaders(h http.Header, path string) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	if !inAPI(path) {
		return
	}
	for name, values := range s.Headers {
		h[http.CanonicalHeaderKey(name)] = append([]string(nil), values...)
	}
}

func checkSize(r *http.Request) error {
	if len(r.URL.RequestURI()) > maxTarget {
		return statusf(http.StatusRequestURITooLong, "the path and query are longer than %d bytes", maxTarget)
	}
	size := 0
	for name, values := range r.Header {
		for _, value := range values {
			size += len(name) + len(value) + len(": \r\n")
		}
	}
	if size > maxHeaders {
		return statusf(http.StatusRequestHeaderFieldsTooLarge, "the headers have more than %d bytes", maxHeaders)
	}
	return nil
}

// authenticate tells who asks.
func (s *server) authenticate(r *http.Request) (Identity, error) {
	if s.Auth == nil || open(r) {
		return Identity{}, nil
	}
	return s.Auth.Authenticate(r)
}

// refuse answers whoever has not shown who he is. A browser asks for a name and
// a password then (Q1).
func (s *server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, ErrUnavailable) {
		s.fail(w, r, err)
		return
	}
	message, challenges := "unauthorized", []string{`Basic realm="gitdag"`}
	var unauthorized *Unauthorized
	if errors.As(err, &unauthorized) {
		message = unauthorized.Message
		if len(unauthorized.Challenges) > 0 {
			challenges = unauthorized.Challenges
		}
	}
	for _, challenge := range challenges {
		w.Header().Add("WWW-Authenticate", challenge)
	}
	s.fail(w, r, statusf(http.StatusUnauthorized, "%s", message))
}

// inAPI tells whether a path is one of the interface; elsewhere there are the
// health checks and nothing else.
func inAPI(path string) bool { return path == "/api" || strings.HasPrefix(path, "/api/") }

// open tells whether a request needs no credentials.
func open(r *http.Request) bool {
	switch {
	case !inAPI(r.URL.Path), r.Method == http.MethodOptions, r.Method == http.MethodTrace:
		return true
	case strings.TrimSuffix(r.URL.Path, "/") == "/api/version":
		return r.Method == http.MethodGet || r.Method == http.MethodHead
	}
	return false
}
