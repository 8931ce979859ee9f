package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

const (
	aSchedule = `{"id":"5","project":{"id":"12","name":"tide_tables"},"workflow":{"id":"903","name":"harbor_report"},"nextRunTime":"2031-04-05T17:15:00Z",` +
		`"nextScheduleTime":"2031-04-06T00:00:00+12:00","createdAt":"2031-01-09T03:12:44Z","updatedAt":"2031-04-05T09:30:00Z","disabledAt":null}`
	someSchedules = `{"schedules":[` + aSchedule + `]}`
)

// newSchedulingAgent has schedule 5, of a workflow of project 12.
func newSchedulingAgent(t *testing.T, pairs ...string) *fakeAgent {
	return newFakeAgent(t, append([]string{
		"GET /api/projects", aProject, "GET /api/projects/12/schedules", someSchedules, "GET /api/schedules/5", aSchedule,
		"GET /api/workflows/903/truncated_session_time", aTime, "POST /api/schedules/5/skip", aSchedule,
	}, pairs...)...)
}

func TestReschedule(t *testing.T) {
	a := newSchedulingAgent(t)
	got := a.gitdag("reschedule", "tide_tables", "harbor_report", "-s", "3")
	want := "  id: 5\n  workflow: harbor_report\n  disabled at: \n  next session time: 2031-04-06 00:00:00 +1200\n  next scheduled to run at: " +
		here("2031-04-05T17:15:00Z") + " ("
	if got.status != 0 || !strings.HasPrefix(got.stdout, want) || !strings.HasSuffix(got.stdout, ")\n\n") || got.stderr != "" {
		t.Errorf("got %+v, want it to begin with %q", got, want)
	}
	a.gitdag("reschedule", "5", "--skip-to", "now", "--dry-run", "--run-at", "1933000000")
	a.gitdag("reschedule", "5", "-t", "2031-04-05 09:00:00 +0900")
	asked := a.requests()
	now := `"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"`
	for i, pattern := range []string{
		`GET /api/projects\?name=tide_tables`,
		`GET /api/projects/12/schedules\?workflow=harbor_report`,
		`POST /api/schedules/5/skip {"fromTime":` + now + `,"count":3,"nextTime":null,"nextRunTime":null,"dryRun":false}`,
		`POST /api/schedules/5/skip {"fromTime":null,"count":null,"nextTime":` + now + `,"nextRunTime":"2031-04-03T16:26:40Z","dryRun":true}`,
		`POST /api/schedules/5/skip {"fromTime":null,"count":null,"nextTime":"2031-04-05T00:00:00Z","nextRunTime":null,"dryRun":false}`,
	} {
		if i >= len(asked) || !regexp.MustCompile("^"+pattern+"$").MatchString(asked[i]) {
			t.Fatalf("question %d of %q is not %s", i, asked, pattern)
		}
	}
	if got := a.gitdag("reschedule", "5", "-s", "1", "-d"); !strings.HasPrefix(got.stderr, "Dry run: ") {
		t.Errorf("dry run: got %+v, want it said", got)
	}
	if got := a.gitdag("reschedule", "5", "-s", "1", "-d", "--json"); !strings.Contains(got.stdout, `"updatedAt": "2031-04-05T09:30:00Z"`) || got.stderr != "" {
		t.Errorf("as JSON: got %+v, want the summary", got)
	}
	a = newSchedulingAgent(t, "POST /api/schedules/6/skip", `409 {"message":"Specified time to skip schedules is already past","status":409}`)
	a.want(a.gitdag("reschedule", "6", "-t", "now"), outcome{1, "", "error: Specified time to skip schedules is already past\n"})
}

func TestBackfill(t *testing.T) {
	const result = `{"id":"5","project":{"id":"12","name":"tide_tables"},"workflow":{"id":"903","name":"harbor_report"},"attempts":[` + aLiveAttempt + `]}`
	a := newSchedulingAgent(t, "POST /api/schedules/5/backfill", result)
	a.want(a.gitdag("backfill", "tide_tables", "harbor_report", "-f", "2031-04-05", "--name", "refill"), outcome{0, `Session attempts:
` + begunBlock("  id: 9022\n", "second-try", `{}`, "2031-04-04T18:00:00Z") + `
`, "hint: they run one after another; gitdag attempts shows how far they are\n"})
	const question = "GET /api/workflows/903/truncated_session_time?session_time=2031-04-05T00%3A00"
	a.expect("GET /api/projects?name=tide_tables", "GET /api/projects/12/schedules?workflow=harbor_report", question,
		`POST /api/schedules/5/backfill {"fromTime":"2031-04-04T12:00:00Z","attemptName":"refill","count":null,"dryRun":false}`)

	a = newSchedulingAgent(t, "POST /api/schedules/5/backfill", strings.Replace(result, aLiveAttempt, "", 1))
	if got := a.gitdag("backfill", "5", "--from", "2031-04-05 01:02:03", "--count", "0"); got.status != 0 || !strings.HasPrefix(got.stderr, "Nothing was started") {
		t.Errorf("nothing: got %+v, want it said", got)
	}
	asked := a.requests()
	if len(asked) != 3 || asked[0] != "GET /api/schedules/5" || asked[1] != strings.Replace(question, "T00%3A00", "T01%3A02%3A03", 1) ||
		!regexp.MustCompile(`"attemptName":"[0-9a-f-]{36}","count":0,`).MatchString(asked[2]) {
		t.Errorf("by id: asked %q", asked)
	}
	if got := a.gitdag("backfill", "5", "-f", "2031-04-05", "-d"); got.status != 0 || got.stdout != "Session attempts:\n" || !strings.HasPrefix(got.stderr, "Dry run: ") {
		t.Errorf("dry run: got %+v, want it said", got)
	}
	if got := a.gitdag("backfill", "5", "-f", "2031-04-05", "--json"); !strings.Contains(got.stdout, `"attempts": []`) || got.stderr != "" {
		t.Errorf("as JSON: got %+v, want the result", got)
	}
	a.want(a.gitdag("backfill", "6", "-f", "2031-04-05"), outcome{1, "", "error: Resource does not exist: /api/schedules/6\n"})
	a = newFakeAgent(t, "GET /api/projects", aProject, "GET /api/projects/12/schedules", `{"schedules":[]}`)
	a.want(a.gitdag("backfill", "tide_tables", "ghost", "-f", "2031-04-05"),
		outcome{1, "", "error: there is no schedule of a workflow \"ghost\" in project \"tide_tables\"\n"})
}

func TestDisableAndEnable(t *testing.T) {
	for _, c := range []struct{ command, done string }{{"disable", "Disabled"}, {"enable", "Enabled"}} {
		post := func(id string) []string {
			return []string{fmt.Sprintf("POST /api/schedules/%s/%s", id, c.command), strings.Replace(aSchedule, `"id":"5"`, fmt.Sprintf(`"id":%q`, id), 1)}
		}
		a := newSchedulingAgent(t, post("5")...)
		a.want(a.gitdag(c.command, "5"), outcome{0, c.done + " schedule id: 5\n", ""})
		a.want(a.gitdag(c.command, "tide_tables", "harbor_report"), outcome{0, c.done + " schedule id: 5\n", ""})
		a.expect("POST /api/schedules/5/"+c.command+" {}",
			"GET /api/projects?name=tide_tables", "GET /api/projects/12/schedules?workflow=harbor_report", "POST /api/schedules/5/"+c.command+" {}")

		// All of a project, page by page until one is empty.
		pages := []string{
			"GET /api/projects", aProject,
			"GET /api/projects/12/schedules", `{"schedules":[{"id":"5"},{"id":"6"}]}`,
			"GET /api/projects/12/schedules", `{"schedules":[{"id":"7"}]}`,
			"GET /api/projects/12/schedules", `{"schedules":[]}`,
		}
		a = newFakeAgent(t, append(append(append(pages, post("5")...), post("6")...), post("7")...)...)
		a.want(a.gitdag(c.command, "tide_tables"), outcome{0, fmt.Sprintf("%[1]s schedule id: 5\n%[1]s schedule id: 6\n%[1]s schedule id: 7\n", c.done), ""})
		a.expect("GET /api/projects?name=tide_tables", "GET /api/projects/12/schedules",
			"POST /api/schedules/5/"+c.command+" {}", "POST /api/schedules/6/"+c.command+" {}",
			"GET /api/projects/12/schedules?last_id=6", "POST /api/schedules/7/"+c.command+" {}", "GET /api/projects/12/schedules?last_id=7")
		a.want(a.gitdag(c.command, "tide_tables"), outcome{0, "", "hint: project tide_tables has no schedules\n"})
		if got := a.gitdag(c.command, "tide_tables", "--json"); got != (outcome{0, "[]\n", ""}) {
			t.Errorf("as JSON: got %+v, want a list", got)
		}
		a.want(a.gitdag(c.command, "99"), outcome{1, "", "error: Resource does not exist: /api/schedules/99/" + c.command + "\n"})
	}
}

func TestInstants(t *testing.T) {
	want := time.Date(2031, 4, 5, 0, 0, 0, 0, time.UTC)
	for _, text := range []string{"2031-04-05 09:00:00 +0900", fmt.Sprint(want.Unix()), "2031-04-05T00:00:00Z"} {
		if got, err := instantOption("x", text); err != nil || !got.Equal(want) {
			t.Errorf("%s: got %v, %v, want %v", text, got, err, want)
		}
	}
	if _, err := instantOption("x", "2031-04-05 09:00:00"); err == nil {
		t.Error("without an offset: got no error")
	}
}
