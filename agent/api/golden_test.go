package api_test

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitdag/agent/api"
	"gitdag/engine/flow"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Golden files hold requests and what the API answers. What differs from run to
// run is replaced by a placeholder that stands for its form.
var (
	instants  = regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"`)
	begins    = regexp.MustCompile(`"wait_start_time_millis":\d+`)
	uuids     = regexp.MustCompile(`"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"`)
	deletions = regexp.MustCompile(`deleted at [^"]+`)
	sums      = regexp.MustCompile(`"archiveMd5":"[^"]+"`)
	logTimes  = regexp.MustCompile(`@[0-9a-f]{16}\.4242@test`)
)

func normalise(text string) string {
	text = instants.ReplaceAllStringFunc(text, func(quoted string) string {
		t, err := time.Parse(`"2006-01-02T15:04:05Z"`, quoted)
		if err != nil || time.Since(t).Abs() > time.Hour {
			return quoted
		}
		return `"$instant"`
	})
	text = begins.ReplaceAllString(text, `"wait_start_time_millis":0`)
	text = deletions.ReplaceAllString(text, "deleted at $$instant")
	text = sums.ReplaceAllString(text, `"archiveMd5":"$$md5"`)
	text = uuids.ReplaceAllString(text, `"$$uuid"`)
	return logTimes.ReplaceAllString(text, "@$$time.4242@test")
}

// scene asks the API and compares a golden file with what it answers.
func (r *rig) scene(name string, requests ...string) {
	r.t.Helper()
	var got strings.Builder
	for _, request := range requests {
		method, target, _ := strings.Cut(request, " ")
		target, body, _ := strings.Cut(target, " ")
		answer := r.do(method, target, body)
		fmt.Fprintf(&got, "%s\n%d %s\n", request, answer.Code, answer.Header().Get("Content-Type"))
		got.WriteString(normalise(answer.Body.String()) + "\n")
	}
	file := filepath.Join("..", "..", "testdata", "golden", "api", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			r.t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		r.t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		r.t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// Workflows have ids in the order of their names (Q38), times are truncated in each mode (Q10), and schedules come in pages (Q12).
func TestProjectsWorkflowsAndSchedules(t *testing.T) {
	r := newRig(t)
	tree, buoy := r.definition("harbour", "tree"), r.definition("harbour", "buoy")
	r.scene("projects",
		"GET /api/projects",
		"GET /api/projects/",
		"GET /api/projects?name=harbour",
		"GET /api/projects?name=bay/a",
		"GET /api/projects?name=ghost",
		"GET /api/projects?last_id=1",
		"GET /api/projects?count=1",
		"GET /api/projects?count=0",
		"GET /api/projects?name_pattern=arb",
		"GET /api/projects?name_pattern=ARB",
		"GET /api/projects/1",
		"GET /api/projects/2",
		"GET /api/projects/99",
	)
	r.scene("workflows",
		"GET /api/projects/1/workflows",
		"GET /api/projects/1/workflows?name=tree",
		"GET /api/projects/1/workflows?name=ghost",
		"GET /api/projects/1/workflows?name=hand&revision=c0ffee",
		"GET /api/projects/1/workflows?revision=other",
		"GET /api/projects/99/workflows",
		"GET /api/projects/1/workflows/hand",
		"GET /api/projects/1/workflows/ghost",
		"GET /api/workflows?count=1",
		"GET /api/workflows?count=1&order=desc",
		"GET /api/workflows?order=desc&last_id=2",
		"GET /api/workflows?order=asc&last_id=5",
		"GET /api/workflows?order=sideways",
		"GET /api/workflows?name_pattern=al",
		"GET /api/workflows?name_pattern=bay&search_project_name=true",
		fmt.Sprintf("GET /api/workflows/%d", tree),
		"GET /api/workflows/99",
		"GET /api/workflows/0",
	)
	r.scene("truncated-session-time", truncations(buoy, r.definition("harbour", "hand"))...)
	r.scene("schedules",
		"GET /api/schedules",
		"GET /api/schedules?last_id=1",
		"GET /api/schedules?page_size=1",
		"GET /api/schedules?count=1&last_id=1",
		"GET /api/schedules?last_id=2",
		"GET /api/schedules/1",
		"GET /api/schedules/9",
		"GET /api/schedules/-1",
		"GET /api/projects/1/schedules",
		"GET /api/projects/1/schedules?workflow=buoy",
		"GET /api/projects/1/schedules?workflow=hand",
		"GET /api/projects/2/schedules?last_id=1",
		"GET /api/projects/9/schedules",
	)
}

func truncations(buoy, hand uint64) []string {
	var list []string
	for _, query := range []string{
		"session_time=2031-04-05T11:22:33Z", "session_time=2031-04-05T11:22:33Z&mode=second",
		"session_time=2031-04-05T11:22:33Z&mode=minute", "session_time=2031-04-05T11:22:33Z&mode=hour",
		"session_time=2031-04-05T11:22:33Z&mode=day", "session_time=2031-04-05T21:22:33Z&mode=day",
		"session_time=2041-04-05T21:22:33Z&mode=schedule", "session_time=2041-04-05T22:00:00Z&mode=schedule",
		"session_time=2041-04-05T22:00:01Z&mode=schedule", "session_time=2041-04-05T15:00:00Z&mode=next_schedule",
		"session_time=2041-04-05T14:59:59Z&mode=next_schedule",
		"session_time=2031-04-05T11:22:33", "session_time=2031-04-05T11:22", "session_time=2031-04-05T11:22:33.987654321",
		"session_time=2031-04-05T11:22:33.5%2B02:00", "session_time=2031-04-05T11:22:33&mode=week",
		"session_time=2031-04-05T11:22:33&mode=DAY", "session_time=2031-04-05", "session_time=now", "session_time=2031-02-30T00:00", "",
	} {
		list = append(list, fmt.Sprintf("GET /api/workflows/%d/truncated_session_time?%s", buoy, query))
	}
	return append(list,
		fmt.Sprintf("GET /api/workflows/%d/truncated_session_time?session_time=2031-04-05T11:22:33Z&mode=schedule", hand),
		"GET /api/workflows/99/truncated_session_time?session_time=2031-04-05T11:22:33Z")
}

// Logs are there without any setting (Q27).
func TestArchivedAttempts(t *testing.T) {
	r := newRig(t)
	r.run("tree", 5, "")
	r.run("fails", 5, "")
	r.run("tree", 5, "again")
	r.scene("archived",
		"GET /api/attempts/1",
		"GET /api/attempts/1/tasks",
		"GET /api/attempts/2",
		"GET /api/attempts/2/tasks",
		"GET /api/attempts/1/retries",
		"GET /api/attempts/3/retries",
		"GET /api/sessions/1",
		"GET /api/sessions/1/attempts",
		"GET /api/sessions/1/attempts?last_id=3",
		"GET /api/sessions/1/attempts?page_size=1",
		"GET /api/sessions",
		"GET /api/projects/1/sessions?workflow=fails",
		"GET /api/attempts",
		"GET /api/attempts?include_retried=TRUE&project=harbour&workflow=tree",
	)
	r.scene("archived-logs",
		"GET /api/logs/2/files",
		"GET /api/logs/2/files?task=%2Bfails%2Bfine",
		"GET /api/logs/2/files?task=%2Bfails%2Bf", // a plain prefix (Q22)
		"GET /api/logs/2/files?task=%2Bfails%2Bf&exact=true",
		"GET /api/logs/2/files?task=%2Bfails%2Bfine&exact=yes",
		"GET /api/logs/2/files?task=%2Bghost&direct_download=false",
	)
}

// What is not there yet is null (Q13); a kill is answered with the new state (Q7); what is queued is running too (Q21).
func TestLiveAttempts(t *testing.T) {
	r := newRig(t)
	r.waiting(5, "")
	r.scene("live",
		"GET /api/attempts/1",
		"GET /api/attempts/1/tasks",
		"GET /api/attempts/1/retries",
		"GET /api/sessions/1",
		"GET /api/sessions/1/attempts",
		"GET /api/sessions",
		"GET /api/projects/1/sessions",
		"GET /api/attempts",
		"GET /api/logs/1/files",
		"POST /api/attempts/1/kill {}",
	)
	r.await(1)
	r.scene("killed",
		"GET /api/attempts/1",
		"GET /api/attempts/1/tasks",
		"POST /api/attempts/1/kill",
	)
}

func TestVersionAndStatus(t *testing.T) {
	r := newRig(t, func(o *api.Options) {
		o.Now = func() time.Time { return time.Date(2031, 4, 5, 12, 0, 0, 999, time.UTC) }
	})
	polled := time.Date(2031, 4, 5, 11, 59, 30, 0, time.UTC)
	r.repos.state = []api.Syncing{
		{Name: "workflows", URL: "https://git.example.com/team/workflows.git", Path: ".", Phase: "waiting", LastPoll: polled, LastSuccess: polled, NextPoll: polled.Add(time.Minute)},
		{Name: "other", URL: "/srv/other", Ref: "main", Path: "etl", Phase: "waiting", LastPoll: polled, LastError: "no route", FailingSince: polled, Failures: 3},
	}
	r.run("fails", 5, "")
	r.until(pendingAlerts(2))
	r.waiting(5, "")
	r.scene("status",
		"GET /api/version",
		"GET /api/version/check?client=0.10.5.1",
		"GET /api/status",
		"GET /livez",
		"GET /readyz",
		"POST /api/sync",
		"POST /api/sync?repo=other {}",
		"POST /api/sync?repo=ghost",
	)
	if diff := cmp.Diff([]string{"", "other"}, r.repos.synced); diff != "" {
		t.Errorf("syncs (-want +got):\n%s", diff)
	}
	r.repos.state = r.repos.state[:1]
	if got := r.do(http.MethodGet, "/readyz", ""); got.Code != http.StatusOK {
		t.Errorf("ready with all repositories read: got %d, want 200", got.Code)
	}
}

// pendingAlerts tells whether so many alerts have been tried in vain.
func pendingAlerts(n int) func(*flow.State) bool {
	return func(s *flow.State) bool {
		tried := 0
		for _, p := range s.Alerts() {
			if p.Tries > 0 {
				tried++
			}
		}
		return tried == n
	}
}
