package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// logFile is a log in a list: of a task, begun at a nanosecond, so long.
func logFile(task string, at, size int) string {
	return fmt.Sprintf(`{"fileName":%q,"fileSize":%d,"taskName":%q,"fileTime":"2031-04-05T00:00:00Z","agentId":"1@a","direct":null}`,
		logName(task, at), size, task)
}

func logName(task string, at int) string { return fmt.Sprintf("%s@73389a52%08x.1@a.log.gz", task, at) }

func logPath(task string, at int) string {
	return "GET /api/logs/9/files/" + logName(task, at)
}

func files(list ...string) string { return `{"files":[` + strings.Join(list, ",") + `]}` }

const (
	stillRunning = `{"id":"9","status":"running","done":false}`
	isOver       = `{"id":"9","status":"success","done":true}`
)

// Logs come in the order in which they began; a line without an end gets one.
func TestLog(t *testing.T) {
	a := newFakeAgent(t, "GET /api/attempts/9", isOver,
		"GET /api/logs/9/files", files(logFile("+w+b", 1, 4), logFile("+w+a^sub", 2, 5), logFile("+w+c", 0, 1), logFile("+w+d", 3, 0)),
		logPath("+w+b", 1), "two\n", logPath("+w+a^sub", 2), "three", logPath("+w+c", 0), "1")
	a.want(a.gitdag("log", "9", "+w"), outcome{0, "1\ntwo\nthree\n", ""})
	if got := a.requests()[0]; got != "GET /api/logs/9/files?task=%2Bw" {
		t.Errorf("asked %s, want the prefix", got)
	}
	a.want(a.gitdag("log", "9", "--json"), outcome{0, `{"task":"+w+c","line":"1"}
{"task":"+w+b","line":"two"}
{"task":"+w+a^sub","line":"three"}
`, ""})
}

func TestLogOfNothing(t *testing.T) {
	a := newFakeAgent(t, "GET /api/attempts/9", isOver, "GET /api/logs/9/files", files())
	a.want(a.gitdag("log", "9"), outcome{0, "", ""})
	got := a.gitdag("log", "9", "+load")
	if got.status != 0 || got.stdout != "" || !strings.HasPrefix(got.stderr, "hint: no task whose full name begins with +load") {
		t.Errorf("got %+v, want a hint", got)
	}
	a.want(a.gitdag("log", "8"), outcome{1, "", "error: Resource does not exist: /api/logs/8/files\n"})
}

// Following prints what has come, keeps the lines of two logs whole, and looks
// once more when the attempt is over (Q35).
func TestLogFollows(t *testing.T) {
	a := newFakeAgent(t,
		"GET /api/attempts/9", stillRunning, "GET /api/attempts/9", stillRunning, "GET /api/attempts/9", isOver,
		"GET /api/logs/9/files", files(logFile("+w+a", 0, 6)),
		"GET /api/logs/9/files", files(logFile("+w+a", 0, 6), logFile("+w+b", 1, 2)),
		"GET /api/logs/9/files", files(logFile("+w+a", 0, 14), logFile("+w+b", 1, 2)),
		logPath("+w+a", 0), "one\ntw", logPath("+w+a", 0), "one\ntwo\nthree\n",
		logPath("+w+b", 1), "b\n",
	)
	a.want(a.gitdag("log", "9", "-f"), outcome{0, "one\nb\ntwo\nthree\n", ""})
	var logs []string
	for _, r := range a.requests() {
		if strings.Contains(r, ".log.gz") {
			logs = append(logs, r)
		}
	}
	want := []string{logPath("+w+a", 0), logPath("+w+b", 1), logPath("+w+a", 0) + "?offset=6"}
	if diff := cmp.Diff(want, logs); diff != "" {
		t.Errorf("logs read (-want +got):\n%s", diff)
	}
}

// Lines below INFO are left out, with those that follow them, unless all are
// wanted.
func TestLogLevels(t *testing.T) {
	const text = "2031-04-05 09:30:00.123 +0900 [DEBUG] (main): d\n  more of it\n2031-04-05 09:30:00 +0900 [INFO] (main): i\n  more\n" +
		"[trace] t\n[WARN] w\n[ERROR] e\nplain [DEBUG]\n[note] n\n"
	a := newFakeAgent(t, "GET /api/logs/9/files", files(logFile("+w+a", 0, len(text))), logPath("+w+a", 0), text)
	const shown = "2031-04-05 09:30:00 +0900 [INFO] (main): i\n  more\n[WARN] w\n[ERROR] e\nplain [DEBUG]\n[note] n\n"
	a.want(a.gitdag("log", "9"), outcome{0, shown, ""})
	a.want(a.gitdag("log", "9", "-v"), outcome{0, text, ""})
	if got := a.gitdag("logs", "9", "--json"); strings.Count(got.stdout, "\n") != strings.Count(shown, "\n") {
		t.Errorf("as JSON: got %s, want the same lines", got.stdout)
	}
	if got := a.gitdag("logs", "9", "--json", "--verbose"); strings.Count(got.stdout, "\n") != strings.Count(text, "\n") {
		t.Errorf("all as JSON: got %s, want all lines", got.stdout)
	}
}

// The logs of one task stay together, in the order in which tasks began.
func TestLogsOfATask(t *testing.T) {
	a := newFakeAgent(t, "GET /api/logs/9/files", files(logFile("+w+a", 0, 1), logFile("+w+a", 5, 1), logFile("+w+b", 1, 1)),
		logPath("+w+a", 0), "1", logPath("+w+a", 5), "2", logPath("+w+b", 1), "3")
	a.want(a.gitdag("log", "9"), outcome{0, "1\n2\n3\n", ""})
}

// Following some tasks ends with them, whatever else runs.
func TestLogFollowsATask(t *testing.T) {
	task := func(name, state string) string { return fmt.Sprintf(`{"fullName":%q,"state":%q}`, name, state) }
	tasks := func(list ...string) string { return `{"tasks":[` + strings.Join(list, ",") + `]}` }
	a := newFakeAgent(t, "GET /api/attempts/9", stillRunning,
		"GET /api/attempts/9/tasks", tasks(task("+w", "planned")),
		"GET /api/attempts/9/tasks", tasks(task("+w", "planned"), task("+w+a", "running"), task("+w+ab", "success")),
		"GET /api/attempts/9/tasks", tasks(task("+w", "planned"), task("+w+a", "error"), task("+w+ab", "success"), task("+w+b", "running")),
		"GET /api/logs/9/files", files(), "GET /api/logs/9/files", files(), "GET /api/logs/9/files", files(),
		"GET /api/logs/9/files", files(logFile("+w+a", 0, 2)), logPath("+w+a", 0), "x\n")
	a.want(a.gitdag("log", "9", "+w+a", "-f"), outcome{0, "x\n", ""})
	if got := len(a.requests()); got != 3*3+2 {
		t.Errorf("got %d questions, want three rounds and a last look: %q", got, a.requests())
	}
}

// A line that never ends is printed before it takes all memory.
func TestLogOfAnEndlessLine(t *testing.T) {
	long := strings.Repeat("x", 3*maxRest)
	a := newFakeAgent(t, "GET /api/attempts/9", isOver, "GET /api/logs/9/files", files(logFile("+w+a", 0, len(long))), logPath("+w+a", 0), long)
	got := a.gitdag("log", "9")
	if n := strings.Count(got.stdout, "x"); got.status != 0 || n != len(long) {
		t.Errorf("got %d characters, want %d", n, len(long))
	}
}

// An agent that dies ends a command that follows, with what was there.
func TestLogOfAnAgentThatDies(t *testing.T) {
	a := newFakeAgent(t, "GET /api/attempts/9", stillRunning, "GET /api/attempts/9", dies,
		"GET /api/logs/9/files", files(logFile("+w+a", 0, 4)), logPath("+w+a", 0), "one\n")
	got := a.gitdag("log", "9", "-f")
	if got.status != 1 || got.stdout != "one\n" || !strings.HasPrefix(got.stderr, "error: no agent answers at "+a.server.URL) {
		t.Errorf("got %+v, want what there was and an error", got)
	}
}
