package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"gitdag/agent/api"
)

// scheduled is a rig with a schedule 3 that has run times to fill in: its next
// session is 2041-04-06 in Tokyo.
func scheduled(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	r.push("quay", "r3", quay[2])
	return r
}

// A schedule moves on, holds still and goes on; what becomes of it is the answer,
// with the time of the change (Q9). No body and no type are needed (Q32).
func TestRescheduling(t *testing.T) {
	r := scheduled(t)
	skip := func(body string) string { return "POST /api/schedules/3/skip " + strings.ReplaceAll(body, " ", "") }
	enable := func(body string) string {
		return "POST /api/schedules/3/enable " + strings.ReplaceAll(body, " ", "")
	}
	r.scene("rescheduled",
		skip(`{"nextTime":"2041-04-09T00:00", "dryRun":true}`),
		"GET /api/schedules/3",
		skip(`{"nextTime":"2041-04-09T00:00", "dryRun":false}`),
		skip(`{"nextTime":"2041-04-09T00:00", "dryRun":false}`),
		skip(`{"nextTime":"2041-04-08T00:00", "dryRun":true}`),
		skip(`{"fromTime":"2041-04-09T22:00:00Z", "count":3, "nextRunTime":null, "dryRun":true}`),
		skip(`{"fromTime":"2041-04-09T22:00:00Z", "count":-1, "dryRun":true}`),
		skip(`{"nextTime":"2041-04-15T00:00:00Z", "nextRunTime":"2041-04-15T01:02:03Z", "dryRun":false}`),
		skip(`{"nextTime":"2041-04-20T00:00"}`),
		skip(`{"dryRun":true}`),
		skip(`{"fromTime":"2041-04-09T22:00:00Z", "dryRun":true}`),
		skip(`{"fromTime":"2041-04-09T22:00", "count":1, "dryRun":true}`),
		skip(`{"nextTime":"soon", "dryRun":true}`),
		skip(`{"nextTime":"2041-04-20T00:00", "nextRunTime":7, "dryRun":true}`),
		skip(`{"fromTime":"2041-04-09T22:00:00Z", "count":"many", "dryRun":true}`),
		"POST /api/schedules/3/disable",
		"GET /api/schedules/3",
		"POST /api/schedules/3/disable {}",
		enable(`{"skipSchedule":false, "nextTime":"2041-05-10T00:00:00"}`),
		enable(`{"skipSchedule":true, "nextTime":"2041-05-10T00:00:00"}`),
		enable(`{"skipSchedule":true, "nextTime":"2041-05-10T00:00:00"}`),
		enable(`{"skipSchedule":true, "nextTime":"2041-05-12T00:00:00+09:00"}`),
		enable(`{"skipSchedule":true, "nextTime":"soon"}`),
		enable(`{"skipSchedule":true}`),
		enable(`{"skipSchedule":"maybe"}`),
		"POST /api/schedules/3/enable",
		"GET /api/projects/3/schedules?workflow=ferry",
	)
	for request, want := range map[string]int{
		"POST /api/schedules/3/disable text/plain x":                                                                  200, // any body
		"POST /api/schedules/3/enable text/plain x":                                                                   400,
		"POST /api/schedules/3/enable application/json ":                                                              200,
		"POST /api/schedules/3/enable application/json []":                                                            200,
		`POST /api/schedules/3/skip text/plain {"dryRun":true}`:                                                       400,
		"POST /api/schedules/3/skip application/json []":                                                              400,
		`POST /api/schedules/3/skip application/json {"fromTime":"2061-04-09T22:00:00Z","count":"2","dryRun":"true"}`: 200, // texts
		`POST /api/schedules/99/skip application/json {"dryRun":1}`:                                                   404,
	} {
		parts := strings.SplitN(request, " ", 4)
		answer := r.do(parts[0], parts[1], parts[3], "Content-Type", parts[2])
		if answer.Code != want {
			t.Errorf("%s: got %d %s, want %d", request, answer.Code, answer.Body, want)
		}
	}
	was := get[api.Schedule](r, "/api/schedules/3")
	if answer := r.do(http.MethodPost, "/api/schedules/3/enable", ""); answer.Code != 200 { // without a body or a type (Q32)
		t.Errorf("enable without a body: got %d %s, want 200", answer.Code, answer.Body)
	}
	if now := get[api.Schedule](r, "/api/schedules/3"); !now.NextRunTime.Equal(was.NextRunTime.Time) || !now.DisabledAt.IsZero() {
		t.Errorf("enabled: got %+v, want the times of %+v", now, was)
	}
}

// A backfill starts attempts that run one after another; those that wait have no
// tasks, look as if they ran (Q21) and can be killed (Q8).
func TestBackfills(t *testing.T) {
	r := scheduled(t)
	backfill := func(body string) string {
		return "POST /api/schedules/3/backfill " + strings.ReplaceAll(body, " ", "")
	}
	r.scene("backfill",
		backfill(`{"fromTime":"2041-04-02T00:00:00Z", "attemptName":"refill", "dryRun":true, "count":null}`),
		backfill(`{"fromTime":"2041-04-02T22:00:01Z", "attemptName":"refill", "dryRun":true, "count":1}`),
		backfill(`{"fromTime":"2041-04-02T22:00:00Z", "attemptName":"refill", "dryRun":true, "count":4}`),
		backfill(`{"fromTime":"2041-05-02T00:00:00Z", "attemptName":"refill", "dryRun":true}`),
		backfill(`{"fromTime":"2041-04-02T00:00:00Z", "attemptName":"refill", "dryRun":true, "count":0}`),
		backfill(`{"fromTime":"2041-04-02T00:00:00Z", "attemptName":"refill", "dryRun":true, "count":-1}`),
		backfill(`{"fromTime":"2041-04-02T00:00:00Z", "attemptName":"refill"}`),
		backfill(`{"fromTime":"2041-04-02T00:00:00Z", "dryRun":true}`),
		backfill(`{"attemptName":"refill", "dryRun":true}`),
		backfill(`{"fromTime":"2041-04-02T00:00:00Z", "attemptName":"", "dryRun":true}`),
		backfill(`{"fromTime":"now", "attemptName":"refill", "dryRun":true}`),
		backfill(`{"fromTime":"2041-04-02T00:00:00Z", "attemptName":"refill", "dryRun":true, "params":[]}`),
		"GET /api/projects/3/sessions",
		backfill(`{"fromTime":"2041-04-02T00:00:00Z", "attemptName":"refill", "dryRun":false, "count":3, "params":{"given":1}}`),
		"GET /api/projects/3/sessions",
		"GET /api/attempts/2/tasks",
		"GET /api/attempts/2",
		"GET /api/attempts/2/retries",
		"GET /api/logs/2/files",
		"POST /api/attempts/3/kill {}",
		"POST /api/attempts/3/kill {}",
		backfill(`{"fromTime":"2041-04-02T00:00:00Z", "attemptName":"refill", "dryRun":false, "count":1}`),
		backfill(`{"fromTime":"2041-04-02T00:00:00Z", "attemptName":"refill", "dryRun":true, "count":3}`),
	)
}

// Secrets are set and listed, never told; keys and values have their grammar.
func TestSecrets(t *testing.T) {
	r := newRig(t)
	r.scene("secrets",
		"GET /api/projects/1/secrets",
		`PUT /api/projects/1/secrets/warehouse.password {"value":"p4ss"}`,
		`PUT /api/projects/1/secrets/api.key {"value":"k"}`,
		`PUT /api/projects/1/secrets/warehouse.password {"value":"changed"}`,
		`PUT /api/projects/1/secrets/a {"value":""}`,
		"GET /api/projects/1/secrets",
		"GET /api/projects/2/secrets",
		"DELETE /api/projects/1/secrets/api.key",
		"DELETE /api/projects/1/secrets/never.set",
		"GET /api/projects/1/secrets/a",
		"GET /api/projects/1/secrets",
	)
	kept := r.vault.kept[1]
	if kept["warehouse.password"] != "changed" || kept["a"] != "" || len(kept) != 2 {
		t.Errorf("got %v, want what was set last", kept)
	}
	for path, want := range map[string]int{
		"a": 200, "A-b_c9": 200, "a.b.c": 200, strings.Repeat("a", 255): 200,
		strings.Repeat("a", 256): 400, "1a": 400, "a_": 400, "a-": 400, "_a": 400, ".a": 400, "a.": 400, "a..b": 400, "a.1": 400,
		"%C3%BCn": 400, "a%20b": 400, "a%0A": 400, "a%ff": 400,
	} {
		if answer := r.do(http.MethodPut, "/api/projects/1/secrets/"+path, `{"value":"x"}`); answer.Code != want {
			t.Errorf("key %s: got %d %s, want %d", path, answer.Code, answer.Body, want)
		}
	}
	for body, want := range map[string]int{
		`{"value":true}`: 200, `{"value":1.5}`: 200, `{"value":"` + strings.Repeat("ä", 8<<10) + `"}`: 200,
		`{"value":"` + strings.Repeat("ä", 8<<10) + `x"}`: 400, `{"value":null}`: 400, `{"value":[]}`: 400, `{"value":{}}`: 400,
		`{}`: 400, `[]`: 400, ``: 400, `{"value":"` + "\xff" + `"}`: 400,
	} {
		if answer := r.do(http.MethodPut, "/api/projects/1/secrets/a", body); answer.Code != want {
			t.Errorf("body %.40s: got %d %s, want %d", body, answer.Code, answer.Body, want)
		}
	}
}

// How large a page may be is the server's choice; 100 is not asked for.
func TestPageLimits(t *testing.T) {
	r := newRig(t, func(o *api.Options) { o.PageLimit = api.PageLimit{Sessions: 3, Attempts: 200} })
	for target, want := range map[string]int{
		"/api/sessions": 200, "/api/sessions?page_size=3": 200, "/api/sessions?page_size=4": 400, "/api/projects/1/sessions?page_size=4": 400,
		"/api/attempts?page_size=200": 200, "/api/attempts?page_size=201": 400, "/api/projects?count=100000": 200,
	} {
		if answer := r.do(http.MethodGet, target, ""); answer.Code != want {
			t.Errorf("%s: got %d %s, want %d", target, answer.Code, answer.Body, want)
		}
	}
}

// Clients below a floor are told so.
func TestVersionFloors(t *testing.T) {
	r := newRig(t, func(o *api.Options) { o.VersionFloor = api.VersionFloor{Recommend: "0.10.5", Require: "0.9-rc1"} })
	for client, want := range map[string]string{
		"0.10.5": "false true", "0.10.5.0": "false true", "0.10.5.1": "false true", "1": "false true", "00.010.05": "false true",
		"0.10.5-SNAPSHOT": "true true", "0.10.4": "true true", "0.9": "true true", "0.9-rc1": "true true", "0.9-rc2": "true true",
		"0.9-rc0": "true false", "0.8.99": "true false", "99999999999999999999.1": "false true", "0.0": "true false",
	} {
		got := get[api.VersionCheck](r, "/api/version/check?client="+client)
		if fmt.Sprint(got.UpgradeRecommended, got.APICompatible) != want {
			t.Errorf("%s: got %v %v, want %s", client, got.UpgradeRecommended, got.APICompatible, want)
		}
	}
}
