package agenttest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// API asks an agent over HTTP, on as many connections as there are requests at
// a time. Nothing is asked twice.
type API struct {
	Address string
	client  *http.Client
}

// NewAPI returns a client of the agent that listens on an address.
func NewAPI(t testing.TB, address string) *API {
	t.Helper()
	transport := &http.Transport{MaxIdleConns: 2000, MaxIdleConnsPerHost: 2000, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &API{Address: address, client: &http.Client{Transport: transport, Timeout: Patience}}
}

// Request is what is asked; a body has a type.
type Request struct {
	Method, Path string
	Type, Body   string
	// Gzip says that the answer may be compressed, as the stock client does; it
	// is returned as it came.
	Gzip bool
}

// Get is a request without a body.
func Get(format string, args ...any) Request {
	return Request{Method: http.MethodGet, Path: fmt.Sprintf(format, args...)}
}

// Send is a request with a body of JSON.
func Send(method, path string, body any) Request {
	text, err := json.Marshal(body)
	if err != nil {
		panic("agenttest: " + err.Error())
	}
	return Request{Method: method, Path: path, Type: "application/json", Body: string(text)}
}

// Refused is the error of an answer that is not 200.
type Refused struct {
	Request Request
	Status  int
	Body    string
}

func (e *Refused) Error() string {
	return fmt.Sprintf("%s %s: status %d: %.300s", e.Request.Method, e.Request.Path, e.Status, e.Body)
}

// Ask sends a request and reads the whole answer. An answer that is not 200 is
// a [*Refused]; after any other error nobody knows what the agent has done.
func (a *API) Ask(r Request) ([]byte, error) {
	request, err := http.NewRequest(r.Method, "http://"+a.Address+r.Path, strings.NewReader(r.Body))
	if err != nil {
		return nil, err
	}
	if r.Type != "" {
		request.Header.Set("Content-Type", r.Type)
	}
	if r.Gzip {
		request.Header.Set("Accept-Encoding", "gzip")
	}
	answer, err := a.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, &Refused{r, answer.StatusCode, string(data)}
	}
	return data, nil
}

// Into is Ask that reads the answer as JSON.
func (a *API) Into(to any, r Request) error {
	data, err := a.Ask(r)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, to); err != nil {
		return fmt.Errorf("%s %s: %w", r.Method, r.Path, err)
	}
	return nil
}

// Tarball packs files as `push` does.
func Tarball(files map[string]string) (string, error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	for name, text := range files {
		head := tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(text)), Mode: 0o644}
		if err := w.WriteHeader(&head); err != nil {
			return "", err
		}
		if _, err := w.Write([]byte(text)); err != nil {
			return "", err
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		return "", err
	}
	return out.String(), nil
}

// Archived is what the archive file of an attempt says, as docs/history.md has
// it.
type Archived struct {
	CreatedAt, FinishedAt time.Time
	Killed, Succeeded     bool
	Tasks                 int
	// Started is when the first of its tasks began; zero if none did.
	Started time.Time `json:"-"`
}

// ReadArchived reads the archive file of an attempt. There is none yet if the
// error is [os.ErrNotExist].
func ReadArchived(data string, attempt uint64) (*Archived, error) {
	files, err := filepath.Glob(filepath.Join(data, "archive", "*", fmt.Sprintf("%d.jsonl.gz", attempt)))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("archive file of attempt %d: %w", attempt, os.ErrNotExist)
	}
	f, err := os.Open(files[0])
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	lines := json.NewDecoder(z)
	a := &Archived{}
	if err := lines.Decode(a); err != nil {
		return nil, err
	}
	for range a.Tasks {
		var task struct{ StartedAt time.Time }
		if err := lines.Decode(&task); err != nil {
			return nil, err
		}
		if t := task.StartedAt; !t.IsZero() && (a.Started.IsZero() || t.Before(a.Started)) {
			a.Started = t
		}
	}
	return a, nil
}
