package main

import (
	"testing"
)

const aStatus = `{"version":"1.2.3","now":"2031-04-05T12:00:00Z","startedAt":"2031-04-05T11:00:00Z","ready":false,
"notReady":["repository other has not been read yet: no route"],"diskFull":true,"running":{"attempts":1,"tasks":2},
"repositories":[{"name":"flows","url":"https://git.example.com/flows.git","ref":"main","path":".",
"commit":{"id":"0123456789abcdef0123","author":"Ada","email":"ada@example.com","subject":"Add buoys","time":"2031-04-05T09:30:00Z"},
"liveSince":"2031-04-05T10:00:00Z","phase":"waiting","lastPoll":"2031-04-05T11:59:30Z","lastSuccess":"2031-04-05T11:59:30Z","nextPoll":"2031-04-05T12:00:30Z",
"lastError":null,"failingSince":null,"failures":0,"projects":2,"workflows":6,
"rejected":[{"project":"broken","path":"broken","commit":"0123456789abcdef0123","since":"2031-04-05T10:00:00Z","live":true,"reasons":["broken/w.dig:3:5: error: unknown key"]},
{"project":"new","path":"new","commit":"0123","since":"2031-04-05T10:00:00Z","live":false,"reasons":[]}]},
{"name":"other","url":"/srv/other","ref":"","path":".","commit":null,"liveSince":null,"phase":"fetching","lastPoll":null,"lastSuccess":null,"nextPoll":null,
"lastError":"no route","failingSince":"2031-04-05T11:00:00Z","failures":3,"projects":0,"workflows":0,"rejected":[]}],
"failing":[{"project":{"id":"1","name":"etl"},"workflow":{"id":"2","name":"daily"},"failures":2,"since":"2031-04-04T00:00:00Z","revision":"c0ffee"}],
"nextRuns":[{"id":"1","project":{"id":"1","name":"etl"},"workflow":{"id":"1","name":"buoy"},"nextRunTime":"2031-04-05T22:00:00Z","nextScheduleTime":"2031-04-06T00:00:00+09:00","disabledAt":null}],
"alerts":{"pending":2,"oldest":"2031-04-05T11:30:00Z","lastError":"channel_not_found"}}`

func TestStatus(t *testing.T) {
	a := newFakeAgent(t, "GET /api/status", aStatus)
	a.want(a.gitdag("status"), outcome{0, `gitdag 1.2.3 at ` + a.server.URL + `: not ready
  repository other has not been read yet: no route
  started at: ` + here("2031-04-05T11:00:00Z") + ` (1h ago)
  running: 1 attempt, 2 tasks
  disk: FULL, nothing new is accepted until there is space
  alerts: 2 not delivered yet, the oldest of ` + here("2031-04-05T11:30:00Z") + ` (30m ago): channel_not_found

Repositories:
  flows
    url: https://git.example.com/flows.git
    ref: main
    commit: 0123456789ab Add buoys (Ada)
    live since: ` + here("2031-04-05T10:00:00Z") + ` (2h ago)
    sync: waiting, last poll 30s ago, next in 30s
    live: 2 projects, 6 workflows
    rejected: broken in 0123456789ab, its last good revision stays live
      broken/w.dig:3:5: error: unknown key
    rejected: new in 0123, nothing of it is live
  other
    url: /srv/other
    commit: none yet
    sync: fetching
    error: no route (3 failures in a row since ` + here("2031-04-05T11:00:00Z") + `)
    live: 0 projects, 0 workflows

Failing workflows:
  etl daily: 2 failures in a row since ` + here("2031-04-04T00:00:00Z") + ` (1d 12h ago), first with c0ffee

Next runs:
  ` + here("2031-04-05T22:00:00Z") + ` (in 10h): etl buoy, session 2031-04-06 00:00:00 +0900
`, ""})
}

// A quiet agent's status has no empty sections.
func TestStatusOfAQuietAgent(t *testing.T) {
	a := newFakeAgent(t, "GET /api/status", `{"version":"1","now":"2031-04-05T12:00:00Z","startedAt":"2031-04-05T12:00:00Z","ready":true}`)
	a.want(a.gitdag("status"), outcome{0, `gitdag 1 at ` + a.server.URL + `: ready
  started at: ` + here("2031-04-05T12:00:00Z") + ` (0s ago)
  running: 0 attempts, 0 tasks

Repositories:
`, ""})
}

// A health check says what it has to say by its status alone, and asks once.
func TestHealthy(t *testing.T) {
	a := newFakeAgent(t, "GET /readyz", "ok")
	a.want(a.gitdag("status", "--healthy"), outcome{0, "", ""})
	a = newFakeAgent(t, "GET /readyz", "503 1 of 2 repositories have not been read yet")
	a.want(a.gitdag("status", "--healthy"), outcome{1, "", ""})
	if n := len(a.requests()); n != 1 {
		t.Errorf("got %d requests, want 1", n)
	}
	if got := gitdag(t, nil, "status", "--healthy", "-e", "127.0.0.1:1"); got != (outcome{1, "", ""}) {
		t.Errorf("nobody there: got %+v, want a quiet 1", got)
	}
}
