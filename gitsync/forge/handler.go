package forge

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// Marker marks repositories as due.
type Marker interface {
	// Trigger returns at once. It says whether there is such a repository.
	Trigger(repo string) bool
}

// Repo is a repository that webhooks may be about.
type Repo struct {
	Name        string
	URL         string
	Ref         string   // empty for the default branch
	SecretFiles []string // read at every delivery; several are good at a time, for rotation
}

// Options configures a Handler.
type Options struct {
	Repos  []Repo
	Marker Marker
	Log    *slog.Logger
	Now    func() time.Time // default time.Now
}

// Handler answers POST /webhooks/github and POST /webhooks/github/REPO.
type Handler struct {
	opts    Options
	seen    deliveries
	sources buckets
	mux     *http.ServeMux
}

const (
	maxBodyBytes   = 1 << 20
	maxSecretBytes = 64 << 10
	readTimeout    = 10 * time.Second
)

// New makes the handler. It is to be mounted at /webhooks/.
func New(o Options) *Handler {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Log = o.Log.With("component", "webhook")
	h := &Handler{opts: o, mux: http.NewServeMux()}
	h.mux.HandleFunc("POST /webhooks/github", h.github)
	h.mux.HandleFunc("POST /webhooks/github/{repo}", h.github)
	return h
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// refused is a request that is answered with an error.
type refused struct {
	status int
	reason string
}

func (e refused) Error() string { return e.reason }

func (h *Handler) github(w http.ResponseWriter, r *http.Request) {
	answer, status, err := h.receive(w, r)
	if err == nil {
		w.WriteHeader(status)
		_, _ = fmt.Fprintln(w, answer)
		return
	}
	var no refused
	if !errors.As(err, &no) {
		no = refused{http.StatusBadRequest, err.Error()}
	}
	if no.status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "10")
	}
	h.opts.Log.Warn("webhook refused", "source", source(r), "status", no.status, "err", no.reason)
	http.Error(w, no.reason, no.status)
}

// receive decides on one delivery and marks what it is about.
func (h *Handler) receive(w http.ResponseWriter, r *http.Request) (answer string, status int, err error) {
	now := h.opts.Now()
	if !h.sources.take(now, source(r)) {
		return "", 0, refused{http.StatusTooManyRequests, "too many deliveries"}
	}
	named := h.named(r.PathValue("repo"))
	body, err := readBody(w, r)
	if err != nil {
		return "", 0, err
	}
	signature := r.Header.Get("X-Hub-Signature-256")
	trusted, configured := h.verified(named, signature, body)
	switch {
	case !configured:
		return "", 0, refused{http.StatusForbidden, "no secret is configured for this webhook"}
	case len(trusted) == 0:
		return "", 0, refused{http.StatusForbidden, "the signature is missing or wrong"}
	}
	switch event := r.Header.Get("X-GitHub-Event"); event {
	case "ping":
		return "pong", http.StatusOK, nil
	case "push":
	default:
		return "ignored: only pushes are of interest", http.StatusOK, nil
	}
	p, err := decodeGitHub(r.Header.Get("Content-Type"), body)
	if errors.Is(err, errContentType) {
		return "", 0, refused{http.StatusUnsupportedMediaType, err.Error()}
	}
	if err != nil {
		return "", 0, err
	}
	if !h.seen.add(now, r.Header.Get("X-GitHub-Delivery"), strings.ToLower(signature)) {
		return "ignored: delivered before", http.StatusAccepted, nil
	}
	return h.mark(matching(trusted, p, r.PathValue("repo") != "" || len(h.opts.Repos) == 1)), http.StatusAccepted, nil
}

// named lists the repositories that a request may be about.
func (h *Handler) named(name string) []Repo {
	if name == "" {
		return h.opts.Repos
	}
	for _, r := range h.opts.Repos {
		if r.Name == name {
			return []Repo{r}
		}
	}
	return nil
}

// verified lists the repositories with a secret that signed the body, and says
// whether there is any secret at all.
func (h *Handler) verified(repos []Repo, signature string, body []byte) (trusted []Repo, configured bool) {
	for _, r := range repos {
		secrets := h.secrets(r)
		configured = configured || len(secrets) > 0
		if verifyGitHub(signature, body, secrets) {
			trusted = append(trusted, r)
		}
	}
	return trusted, configured
}

// secrets reads what can be read: one bad file must not disable the other.
func (h *Handler) secrets(r Repo) [][]byte {
	var secrets [][]byte
	for _, file := range r.SecretFiles {
		s, err := readSecret(file)
		if err != nil {
			h.opts.Log.Error("webhook secret cannot be used", "repo", r.Name, "err", err)
			continue
		}
		secrets = append(secrets, s)
	}
	return secrets
}

func readSecret(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecretBytes))
	if err != nil {
		return nil, err
	}
	s := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if s == "" {
		return nil, fmt.Errorf("%s is empty", file)
	}
	return []byte(s), nil
}

// matching lists the repositories that a push is about. Where there is no doubt
// about the repository, every push counts: its URL may be an alias.
func matching(trusted []Repo, p push, certain bool) []string {
	var names []string
	for _, r := range trusted {
		if certain || p.about(r) {
			names = append(names, r.Name)
		}
	}
	return names
}

func (h *Handler) mark(names []string) string {
	if len(names) == 0 {
		return "ignored: no configured repository and reference"
	}
	for _, n := range names {
		h.opts.Marker.Trigger(n)
	}
	h.opts.Log.Info("webhook marks repositories as due", "repos", names)
	return "marked as due: " + strings.Join(names, ", ")
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	// A recorder in a test has no deadlines; a server does.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(readTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, refused{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", maxBodyBytes)}
	}
	if err != nil {
		return nil, refused{http.StatusBadRequest, "the body could not be read"}
	}
	return body, nil
}

func source(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
