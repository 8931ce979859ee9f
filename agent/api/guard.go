package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// guard lets through what may be asked: with a token, everything needs it but
// the health checks, the version, OPTIONS and webhooks, which have credentials
// of their own. A browser may change nothing on behalf of another site.
func (s *server) guard(next http.Handler) http.Handler {
	crossOrigin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		if s.Webhooks != nil && strings.HasPrefix(r.URL.Path, "/webhooks/") {
			s.Webhooks.ServeHTTP(w, r)
			return
		}
		if err := s.authorize(r); err != nil {
			w.Header().Set("WWW-Authenticate", `Bearer realm="gitdag"`)
			s.fail(w, r, err)
			return
		}
		if err := crossOrigin.Check(r); err != nil {
			s.fail(w, r, statusf(http.StatusForbidden, "requests of other sites may change nothing: %v", err))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// authorize checks the bearer token, in a time that tells nothing about it.
func (s *server) authorize(r *http.Request) error {
	if s.Token == nil || open(r) {
		return nil
	}
	token := s.Token()
	if token == "" {
		return nil
	}
	given := r.Header.Get("Authorization")
	if given == "" {
		return statusf(http.StatusUnauthorized, "Missing Authorization header")
	}
	scheme, borne, _ := strings.Cut(given, " ")
	have, want := sha256.Sum256([]byte(strings.TrimSpace(borne))), sha256.Sum256([]byte(token))
	if subtle.ConstantTimeCompare(have[:], want[:]) != 1 || !strings.EqualFold(scheme, "Bearer") {
		return statusf(http.StatusUnauthorized, "unauthorized")
	}
	return nil
}

// open tells whether a request needs no token.
func open(r *http.Request) bool {
	if r.Method == http.MethodOptions {
		return true
	}
	switch strings.TrimSuffix(r.URL.EscapedPath(), "/") {
	case "/livez", "/readyz", "/api/version":
		return r.Method == http.MethodGet || r.Method == http.MethodHead
	}
	return false
}
