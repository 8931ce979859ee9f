package api_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"gitdag/agent/api"
	"gitdag/engine"
	"gitdag/engine/archive"
	"gitdag/engine/dig"
	"gitdag/engine/flow"
	"gitdag/engine/params"
)

func (s shell) Backfill(ctx context.Context, b api.Backfill) (api.Backfilled, error) {
	done, err := s.Engine.Backfill(ctx, engine.Backfill(b))
	return api.Backfilled(done), apiError(err)
}

func (s shell) Skip(ctx context.Context, in api.Skip) (flow.TickFacts, error) {
	next, err := s.Engine.Skip(ctx, engine.Skip(in))
	return next, apiError(err)
}

func (s shell) SetSchedule(ctx context.Context, in api.SetSchedule) error {
	return apiError(s.Engine.SetSchedule(ctx, engine.SetSchedule(in)))
}

// shop takes pushes in on a real engine.
type shop struct{ *rig }

func (s shop) Push(ctx context.Context, in api.Push) error {
	data, err := io.ReadAll(in.Archive)
	if err != nil {
		return err
	}
	dir := s.t.TempDir()
	if err := archive.Unpack(bytes.NewReader(data), dir, archive.Limits{}); err != nil {
		return &api.Invalid{Reason: err}
	}
	content, found := dig.Load(dir, dig.Options{})
	if len(found.Errors()) > 0 {
		return &api.Invalid{Reason: fmt.Errorf("%v", found.Errors())}
	}
	object, err := s.e.PutObject(data)
	if err != nil {
		return err
	}
	sum := md5.Sum(data)
	return apiError(s.e.Deploy(ctx, &engine.Deployment{
		Repo: flow.PushedSource(in.Project), Strict: true, ScheduleFrom: in.ScheduleFrom,
		Projects: []engine.Project{{
			Name: in.Project, Revision: in.Revision, Content: content, Keep: 3,
			Archive: &flow.Archive{
				Object: object, MD5: base64.StdEncoding.EncodeToString(sum[:]), Size: int64(len(data)), UserInfo: in.UserInfo,
			},
		}},
	}))
}

func (s shop) Delete(ctx context.Context, project uint64) error {
	return apiError(s.e.DeleteProject(ctx, project))
}

func (s shop) Archive(_ context.Context, project uint64, revision string) (io.ReadCloser, int64, error) {
	var object string
	s.e.View(func(state *flow.State) {
		p := state.Project(project)
		if revision == "" {
			revision = p.Revision
		}
		if x := p.RevisionNamed(revision); x != nil && x.Archive != nil {
			object = x.Archive.Object
		}
	})
	if object == "" {
		return nil, 0, api.ErrNotFound
	}
	data, err := s.objects.Read(object)
	return io.NopCloser(bytes.NewReader(data)), int64(len(data)), err
}

// vault keeps secrets in memory.
type vault struct {
	mu   sync.Mutex
	kept map[uint64]map[string]string
}

func (v *vault) Keys(project uint64) ([]string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Sorted(maps.Keys(v.kept[project])), nil
}

func (v *vault) Set(project uint64, key, value string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.kept[project] == nil {
		v.kept[project] = map[string]string{}
	}
	v.kept[project][key] = value
	return nil
}

func (v *vault) Delete(project uint64, key string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.kept[project], key)
	return nil
}

// packed is the archive of files.
func (r *rig) packed(files map[string]string) []byte {
	r.t.Helper()
	dir := r.t.TempDir()
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			r.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			r.t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if _, err := archive.Pack(&out, dir, archive.PackOptions{}); err != nil {
		r.t.Fatal(err)
	}
	return out.Bytes()
}

// upload pushes an archive with a query.
func (r *rig) upload(query string, body io.Reader, headers ...string) *httptest.ResponseRecorder {
	in := httptest.NewRequest(http.MethodPut, "/api/projects?"+query, body)
	in.Header.Set("Content-Type", "application/gzip")
	for i := 0; i < len(headers); i += 2 {
		in.Header.Set(headers[i], headers[i+1])
	}
	out := httptest.NewRecorder()
	r.handler.ServeHTTP(out, in)
	return out
}

// push pushes a revision of a project.
func (r *rig) push(project, revision string, files map[string]string) {
	r.t.Helper()
	query := url.Values{"project": {project}, "revision": {revision}, "schedule_from": {"2041-04-05T00:00:00Z"}}
	if answer := r.upload(query.Encode(), bytes.NewReader(r.packed(files))); answer.Code != http.StatusOK {
		r.t.Fatalf("push %s %s: got %d %s", project, revision, answer.Code, answer.Body)
	}
}

// userInfo is what an authenticator of these tests attaches.
type userInfo struct{}

func (userInfo) Authenticate(r *http.Request) (api.Identity, error) {
	return api.Identity{Name: "mara", Admin: true, UserInfo: string(params.AppendJSON(nil, params.Of("name", "mara")))}, nil
}
