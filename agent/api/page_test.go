package api_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitdag/agent/api"
	"gitdag/engine/flow"
)

// world is what the lists of a rig should show.
type world struct {
	attempts []shown // oldest first
}

type shown struct {
	Attempt, Session api.ID
	Workflow         string
}

func shownOf(a api.Attempt) shown { return shown{a.ID, a.SessionID, a.Workflow.Name} }

// add notes an attempt that was started.
func (w *world) add(r *rig, id uint64) {
	w.attempts = append(w.attempts, shownOf(get[api.Attempt](r, "/api/attempts/"+api.ID(id).String())))
}

// all lists attempts, newest first.
func (w *world) all(workflow string) []shown {
	var list []shown
	for _, a := range slices.Backward(w.attempts) {
		if workflow == "" || a.Workflow == workflow {
			list = append(list, a)
		}
	}
	return list
}

// newest lists the newest attempt of each session, newest first.
func (w *world) newest(workflow string) []shown {
	var list []shown
	seen := map[api.ID]bool{}
	for _, a := range w.all(workflow) {
		if !seen[a.Session] {
			seen[a.Session] = true
			list = append(list, a)
		}
	}
	return list
}

// sessions lists the newest attempts by descending session.
func (w *world) sessions(workflow string) []shown {
	list := w.newest(workflow)
	slices.SortFunc(list, func(a, b shown) int { return int(b.Session) - int(a.Session) })
	return list
}

// walk reads a list page by page.
func walk(r *rig, target string, size int, page func(target string) (list []shown, last api.ID)) []shown {
	r.t.Helper()
	join := "?"
	if strings.Contains(target, "?") {
		join = "&"
	}
	next := fmt.Sprintf("%s%spage_size=%d", target, join, size)
	var list []shown
	for range 1000 {
		part, last := page(next)
		list = append(list, part...)
		if len(part) == 0 {
			return list
		}
		if len(part) > size {
			r.t.Fatalf("GET %s: got %d entries, want at most %d", next, len(part), size)
		}
		next = fmt.Sprintf("%s%spage_size=%d&last_id=%d", target, join, size, last)
	}
	r.t.Fatalf("GET %s never ends", target)
	return nil
}

func (r *rig) attemptsPage(target string) (list []shown, last api.ID) {
	for _, a := range get[struct{ Attempts []api.Attempt }](r, target).Attempts {
		list, last = append(list, shownOf(a)), a.ID
	}
	return list, last
}

func (r *rig) sessionsPage(target string) (list []shown, last api.ID) {
	for _, x := range get[struct{ Sessions []api.Session }](r, target).Sessions {
		list, last = append(list, shown{x.LastAttempt.ID, x.ID, x.Workflow.Name}), x.ID
	}
	return list, last
}

// check walks all lists of a world with pages of several sizes.
func (r *rig) check(w *world) {
	r.t.Helper()
	for _, size := range []int{1, 2, 3, 7, 100} {
		for _, c := range []struct {
			target string
			want   []shown
			page   func(string) ([]shown, api.ID)
		}{
			{"/api/attempts?include_retried=1", w.all(""), r.attemptsPage},
			{"/api/attempts?include_retried=yes&project=harbour&workflow=waits", w.all("waits"), r.attemptsPage},
			{"/api/attempts", w.newest(""), r.attemptsPage},
			{"/api/attempts?project=harbour", w.newest(""), r.attemptsPage},
			{"/api/attempts?project=harbour&workflow=hand", w.newest("hand"), r.attemptsPage},
			{"/api/attempts?project=harbour&workflow=ghost", nil, r.attemptsPage},
			{"/api/attempts?workflow=ghost", w.newest(""), r.attemptsPage}, // without a project it says nothing
			{"/api/sessions", w.sessions(""), r.sessionsPage},
			{"/api/projects/1/sessions", w.sessions(""), r.sessionsPage},
			{"/api/projects/1/sessions?workflow=waits", w.sessions("waits"), r.sessionsPage},
			{"/api/projects/2/sessions", nil, r.sessionsPage},
		} {
			if diff := cmp.Diff(c.want, walk(r, c.target, size, c.page)); diff != "" {
				r.t.Errorf("%s by %d (-want +got):\n%s", c.target, size, diff)
			}
		}
	}
}

// Lists join live and archived attempts; either kind may be the newest of its
// session.
// Flags may be true, yes or 1 (Q4).
func TestListsJoinLiveAndArchived(t *testing.T) {
	r := newRig(t)
	w := &world{}
	w.add(r, r.run("hand", 1, ""))
	w.add(r, r.waiting(2, "")) // stays live under a newer one that is over
	w.add(r, r.killed(2, "x"))
	w.add(r, r.killed(3, ""))
	w.add(r, r.waiting(3, "x"))
	w.add(r, r.run("hand", 4, ""))
	w.add(r, r.run("hand", 4, "x"))
	w.add(r, r.waiting(5, ""))
	w.add(r, r.run("hand", 6, ""))
	r.check(w)
	session := get[api.Attempt](r, "/api/attempts/3").SessionID
	if got := get[api.Session](r, "/api/sessions/"+session.String()).LastAttempt; got.ID != 3 || !got.Done {
		t.Errorf("session with an older live attempt: got attempt %d, done %v, want 3, true", got.ID, got.Done)
	}
	list, _ := r.attemptsPage("/api/attempts/2/retries")
	if diff := cmp.Diff([]shown{{2, session, "waits"}, {3, session, "waits"}}, list); diff != "" {
		t.Errorf("retries (-want +got):\n%s", diff)
	}
	for target, want := range map[string]int{"/api/attempts?page_size=0": 0, "/api/attempts?last_id=0": 0, "/api/attempts?last_id=1": 0, "/api/sessions?page_size=0": 0} {
		answer := r.do(http.MethodGet, target, "")
		if got := strings.Count(answer.Body.String(), `"id"`); answer.Code != 200 || got != want {
			t.Errorf("GET %s: got %d %s, want an empty list", target, answer.Code, answer.Body)
		}
	}
}

func TestListsOfRandomHistories(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := newRig(t)
			random := rand.New(rand.NewPCG(seed, 1))
			w := &world{}
			retries := map[string]int{}
			for range 25 {
				workflow, day := []string{"waits", "hand"}[random.IntN(2)], 1+random.IntN(6)
				key := fmt.Sprint(workflow, day)
				name := ""
				if retries[key] > 0 {
					name = fmt.Sprint("retry ", retries[key])
				}
				retries[key]++
				switch {
				case workflow == "hand":
					w.add(r, r.run("hand", day, name))
				case random.IntN(2) == 0:
					w.add(r, r.killed(day, name))
				default:
					w.add(r, r.waiting(day, name))
				}
			}
			r.check(w)
		})
	}
}

// killed starts an attempt that waits, kills it and waits until it is archived.
func (r *rig) killed(day int, retry string) uint64 {
	r.t.Helper()
	id := r.waiting(day, retry)
	if answer := r.do(http.MethodPost, fmt.Sprintf("/api/attempts/%d/kill", id), "{}"); answer.Code != http.StatusOK {
		r.t.Fatalf("kill: got %d %s", answer.Code, answer.Body)
	}
	r.await(id)
	return id
}

// A log can be read while it is written, from where the reader has got to (Q23).
func TestLogOfARunningTask(t *testing.T) {
	r := newRig(t)
	id := r.start("slow", 5, "")
	var file api.LogFile
	r.until(func(*flow.State) bool {
		files := get[struct{ Files []api.LogFile }](r, fmt.Sprintf("/api/logs/%d/files", id)).Files
		if len(files) == 1 && files[0].FileSize == 6 {
			file = files[0]
		}
		return file.FileName != ""
	})
	target := fmt.Sprintf("/api/logs/%d/files/%s", id, file.FileName)
	answer := r.do(http.MethodGet, target, "", "Accept-Encoding", "gzip")
	if h := answer.Header(); h.Get("Content-Encoding") != "gzip" || h.Get("Content-Type") != "application/gzip" {
		t.Errorf("got headers %v, want gzip twice", h)
	}
	if got := gunzip(t, []byte(gunzip(t, answer.Body.Bytes()))); got != "begin\n" {
		t.Errorf("while it runs: got %q, want %q", got, "begin\n")
	}
	if err := os.WriteFile(filepath.Join(r.dir, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	r.await(id)
	for query, want := range map[string]string{"": "begin\nend\n", "?offset=6": "end\n", "?offset=99": "", "?direct_download=false": "begin\nend\n"} {
		answer := r.do(http.MethodGet, target+query, "")
		if h := answer.Header(); h.Get("Content-Encoding") != "" {
			t.Errorf("%q: got %v, want no encoding that nobody asked for", query, h)
		}
		if got := gunzip(t, answer.Body.Bytes()); got != want {
			t.Errorf("%q afterwards: got %q, want %q", query, got, want)
		}
	}
	if answer := r.do(http.MethodHead, target, ""); answer.Code != 200 || answer.Body.Len() != 0 {
		t.Errorf("HEAD: got %d and %d bytes, want 200 and none", answer.Code, answer.Body.Len())
	}
}

// The rows of a large live attempt are all there, each once, in order.
func TestTasksOfALargeAttempt(t *testing.T) {
	r := newRig(t)
	id := r.start("wide", 5, "")
	want := 0
	r.until(func(s *flow.State) bool {
		a := s.Attempt(id)
		want = a.Size()
		for t := range a.Tasks {
			if t.Row().State == flow.RetryWaiting {
				return true
			}
		}
		return false
	})
	tasks := get[struct{ Tasks []api.Task }](r, fmt.Sprintf("/api/attempts/%d/tasks", id)).Tasks
	if len(tasks) != want || want < 5000 {
		t.Errorf("got %d tasks, want %d", len(tasks), want)
	}
	if !slices.IsSortedFunc(tasks, func(a, b api.Task) int { return int(a.ID) - int(b.ID) }) {
		t.Error("tasks are not in the order of their ids")
	}
}
