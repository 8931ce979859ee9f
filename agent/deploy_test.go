package agent

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitdag/agent/api"
	"gitdag/bench/agenttest"
	"gitdag/engine/flow"
	"gitdag/notify"
)

// schedules lists what is scheduled as project/workflow.
func (r *rig) schedules() []string {
	var list []string
	r.view(func(s *flow.State) {
		for _, sched := range s.Schedules() {
			list = append(list, sched.Project.Name+"/"+sched.Workflow)
		}
	})
	slices.Sort(list)
	return list
}

func (r *rig) wantSchedules(want ...string) {
	r.t.Helper()
	if diff := cmp.Diff(want, r.schedules()); diff != "" {
		r.t.Errorf("schedules (-want +got):\n%s", diff)
	}
}

// next returns when a workflow of a project runs next.
func (r *rig) next(project, workflow string) time.Time {
	r.t.Helper()
	var at time.Time
	r.view(func(s *flow.State) { at = s.ProjectNamed(project).Schedule(workflow).Next.Run })
	return at
}

// revision returns a project's revision, empty if it is not live.
func (r *rig) revision(project string) string {
	revision := ""
	r.view(func(s *flow.State) {
		if p := s.ProjectNamed(project); p != nil {
			revision = p.Revision
		}
	})
	return revision
}

func daily(clock string) string {
	return "timezone: UTC\nschedule: {daily>: " + clock + "}\n+a: {echo>: a}\n"
}

// Commits change what is scheduled, without a restart: workflows and projects
// are added, changed and removed.
func TestCommitsChangeSchedules(t *testing.T) {
	r := newRig(t)
	r.start()
	first := r.push("add two projects", map[string]string{
		"etl/load.dig": daily("04:00:00"), "etl/clean.dig": daily("05:00:00"), "etl/lib.sh": "true\n",
		"report/send.dig": daily("06:00:00"), "report/manual.dig": "+a: {echo>: a}\n",
	})
	r.wantSchedules("etl/clean", "etl/load", "report/send")

	// A change of one project leaves the other and its revision alone.
	second := r.push("later", map[string]string{"etl/load.dig": daily("04:30:00")})
	if at := r.next("etl", "load"); at.Hour() != 4 || at.Minute() != 30 {
		t.Errorf("etl/load runs next at %v, want 04:30", at)
	}
	if got, want := r.revision("report"), first; got != want {
		t.Errorf("the untouched project has revision %s, want %s", got, want)
	}
	if got, want := r.revision("etl"), second; got != want {
		t.Errorf("the changed project has revision %s, want %s", got, want)
	}

	r.push("more and less", map[string]string{
		"etl/clean.dig": agenttest.Removed, "etl/extra.dig": daily("07:00:00"),
		"ml/train.dig": daily("08:00:00"),
	})
	r.wantSchedules("etl/extra", "etl/load", "ml/train", "report/send")

	r.push("remove a project, drop a schedule", map[string]string{
		"report/send.dig": agenttest.Removed, "report/manual.dig": agenttest.Removed,
		"ml/train.dig": "+a: {echo>: a}\n",
	})
	r.wantSchedules("etl/extra", "etl/load")
	if r.revision("ml") == "" || r.revision("report") != "" {
		t.Errorf("ml has revision %q, report %q, want only ml live", r.revision("ml"), r.revision("report"))
	}

	// All of it survives a restart.
	r.stop()
	r.start()
	r.wantSchedules("etl/extra", "etl/load")
}

// A project that does not load keeps its last good revision, the others deploy.
// The log and the alert name file, line and column.
func TestBrokenProjectKeepsItsLastGoodRevision(t *testing.T) {
	r := newRig(t)
	r.start()
	first := r.push("good", map[string]string{"etl/load.dig": daily("04:00:00"), "ml/train.dig": daily("08:00:00")})
	second := r.push("break etl", map[string]string{
		"etl/load.dig": "timezone: UTC\nschedule:\n  daily>: 25:00:00\n+a:\n  echo>: a\n+a2: [\n", "ml/train.dig": daily("09:00:00"),
	})
	if got := r.revision("etl"); got != first {
		t.Errorf("the broken project has revision %s, want %s", got, first)
	}
	if got := r.revision("ml"); got != second {
		t.Errorf("the other project has revision %s, want %s", got, second)
	}
	r.wantSchedules("etl/load", "ml/train")
	if at := r.next("ml", "train"); at.Hour() != 9 {
		t.Errorf("ml/train runs next at %v, want 09:00", at)
	}
	r.log.Await(t, `project rejected.* project=etl .*author="Ada Lovelace" diagnostic="load\.dig:6:6: error: `)
	r.eventually("the rejection is told", func() bool { return len(r.told.of(notify.Rejected)) == 1 })
	told := r.told.of(notify.Rejected)[0]
	if len(told.Diagnostics) == 0 || !strings.HasPrefix(told.Diagnostics[0], "load.dig:6:6: error: ") {
		t.Errorf("diagnostics %q, want file, line and column", told.Diagnostics)
	}
	if told.Revision.Author != agenttest.Author || told.Revision.Subject != "break etl" {
		t.Errorf("revision %+v, want author and subject of the commit", told.Revision)
	}

	var status api.Status
	r.ask(http.MethodGet, "/api/status", "", "", &status)
	if got := status.Repositories[0].Rejected; len(got) != 1 || !got[0].Live || got[0].Commit != second || !strings.HasPrefix(got[0].Reasons[0], "load.dig:6:6: error: ") {
		t.Errorf("status shows %+v, want the rejection with file, line and column", got)
	}

	// Told once for each commit, however often it is looked at; also by the next
	// agent.
	r.agent.Sync("")
	r.stop()
	r.start()
	third := r.push("unrelated", map[string]string{"ml/train.dig": daily("10:00:00")})
	if got := r.revision("etl"); got != first {
		t.Errorf("the broken project has revision %s, want %s", got, first)
	}
	fourth := r.push("mend", map[string]string{"etl/load.dig": daily("04:15:00")})
	if got := r.revision("etl"); got != fourth {
		t.Errorf("the mended project has revision %s, want %s", got, fourth)
	}
	if got := r.revision("ml"); got != third {
		t.Errorf("the other project has revision %s, want %s", got, third)
	}
	var about []string
	for _, a := range r.told.of(notify.Rejected) {
		about = append(about, a.Project+" "+a.Revision.ID)
	}
	if diff := cmp.Diff([]string{"etl " + second, "etl " + third}, about); diff != "" {
		t.Errorf("rejections told (-want +got):\n%s", diff)
	}
}

// A name that another repository has live is refused, and says whose it is.
func TestTwoRepositoriesWithOneProject(t *testing.T) {
	r := newRig(t)
	other := agenttest.NewRepo(t, "others")
	r.repo.Push("first", map[string]string{"etl/load.dig": daily("04:00:00")})
	commit := other.Push("second", map[string]string{"etl/load.dig": daily("05:00:00"), "own/w.dig": daily("06:00:00")})
	r.start()
	r.push("again", map[string]string{"x/w.dig": daily("01:00:00")})
	r.stop()
	r.config.Repos = append(r.config.Repos, Repo{URL: other.Path(), Poll: Duration(time.Hour)})
	r.start()
	r.live(commit)
	r.wantSchedules("etl/load", "own/w", "x/w")
	if at := r.next("etl", "load"); at.Hour() != 4 {
		t.Errorf("etl/load runs next at %v, want 04:00, of the first repository", at)
	}
	r.eventually("the rejection is told", func() bool { return len(r.told.of(notify.Rejected)) == 1 })
}

// A remote that goes away is told after a while, once, and so is its return;
// what is live stays so.
func TestRemoteThatGoesAway(t *testing.T) {
	r := newRig(t)
	r.config.Sync.AlertAfter = Duration(time.Millisecond)
	r.config.Repos[0].Poll = Duration(time.Second)
	r.start()
	r.push("first", map[string]string{"w.dig": daily("04:00:00")})
	away := r.repo.Path() + ".away"
	if err := os.Rename(r.repo.Path(), away); err != nil {
		t.Fatal(err)
	}
	r.eventually("the failure is told", func() bool { r.agent.Sync(""); return len(r.told.of(notify.SyncFailed)) > 0 })
	r.wantSchedules("flows/w")
	if err := os.Rename(away, r.repo.Path()); err != nil {
		t.Fatal(err)
	}
	r.eventually("the recovery is told", func() bool { r.agent.Sync(""); return len(r.told.of(notify.SyncRecovered)) > 0 })
	if n := len(r.told.of(notify.SyncFailed)); n != 1 {
		t.Errorf("the failure is told %d times, want once", n)
	}
}

// A verified push webhook polls at once; an unsigned one does nothing.
func TestWebhookPollsAtOnce(t *testing.T) {
	r := newRig(t)
	secret := filepath.Join(t.TempDir(), "hook")
	if err := os.WriteFile(secret, []byte("h00k\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.config.Repos[0].Webhook.SecretFiles = []string{secret}
	r.start()
	r.push("first", map[string]string{"w.dig": daily("04:00:00")})
	commit := r.repo.Push("second", map[string]string{"v.dig": daily("05:00:00")})
	body := `{"ref":"refs/heads/main","repository":{"default_branch":"main"}}`
	post := func(key string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+r.agent.Addr()+"/webhooks/github", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(body))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-GitHub-Event", "push")
		req.Header.Set("X-GitHub-Delivery", "delivery-"+key)
		req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		_, _ = io.Copy(io.Discard, res.Body)
		return res.StatusCode
	}
	if got := post("wrong"); got != http.StatusForbidden && got != http.StatusUnauthorized {
		t.Errorf("status %d for a wrong signature, want a refusal", got)
	}
	if got := post("h00k"); got != http.StatusAccepted {
		t.Errorf("status %d for a push, want 202", got)
	}
	r.live(commit)
}

// A new configuration is taken over while the agent runs, and every repository
// polled.
func TestReload(t *testing.T) {
	r := newRig(t)
	r.start()
	r.push("first", map[string]string{"w.dig": daily("04:00:00")})
	commit := r.repo.Push("second", map[string]string{"v.dig": daily("05:00:00")})
	if err := r.agent.Reload(context.Background(), Config{}); err == nil {
		t.Error("a configuration without a repository is taken over")
	}
	if err := r.agent.Reload(context.Background(), r.config); err != nil {
		t.Error(err)
	}
	r.live(commit)
	changed := r.config
	changed.Listen = "127.0.0.1:1"
	if err := r.agent.Reload(context.Background(), changed); err != nil {
		t.Error(err)
	}
	r.log.Await(t, "level=WARN .*change at the next start only")
}

// A hundred projects deploy together and each has its schedule.
func TestManyProjects(t *testing.T) {
	r := newRig(t)
	r.start()
	files := map[string]string{}
	for i := range 100 {
		files[fmt.Sprintf("p%02d/w.dig", i)] = daily("04:00:00")
	}
	r.push("many", files)
	if got := len(r.schedules()); got != 100 {
		t.Errorf("%d schedules, want 100", got)
	}
}

// POST /api/sync polls at once. With a token, every route but the ones for
// supervisors and clients' first steps needs it.
func TestTokenGuardsTheInterface(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t)
	r.config.Auth.TokenFile = file
	r.start()
	r.push("first", map[string]string{"w.dig": daily("04:00:00")})
	commit := r.repo.Push("second", map[string]string{"v.dig": daily("05:00:00")})
	for _, c := range []struct {
		method, path, token string
		want                int
	}{
		{http.MethodGet, "/livez", "", 200},
		{http.MethodGet, "/readyz", "", 200},
		{http.MethodGet, "/api/version", "", 200},
		{http.MethodGet, "/api/status", "", 401},
		{http.MethodGet, "/api/status", "wrong", 401},
		{http.MethodGet, "/api/status", "s3cret", 200},
		{http.MethodPost, "/api/sync", "", 401},
		{http.MethodPost, "/webhooks/github", "", 403},
	} {
		if got := r.ask(c.method, c.path, "{}", c.token, nil); got != c.want {
			t.Errorf("%s %s with token %q: status %d, want %d", c.method, c.path, c.token, got, c.want)
		}
	}
	if got := r.ask(http.MethodPost, "/api/sync", "", "s3cret", nil); got/100 != 2 {
		t.Errorf("POST /api/sync: status %d, want success", got)
	}
	r.live(commit)
}
