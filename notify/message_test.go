package notify

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func tokyo() *time.Location { return time.FixedZone("JST", 9*3600) }

// failed is the alert of gitsync.md's example: a scheduled workflow, one failing task.
func failed() Alert {
	return Alert{
		Key: "attempt/12/failed", Kind: AttemptFailed, At: time.Date(2026, 11, 22, 15, 3, 12, 0, time.UTC),
		Repo: "workflows", Project: "billing", Workflow: "daily_load",
		Session: time.Date(2026, 11, 23, 0, 0, 0, 0, tokyo()), Attempt: 12, Task: "+daily_load+load+copy",
		Message: "Command failed with code 1", LogTail: []string{"loading\r\n", "\x1b[31mERROR\x1b[0m: no such table <orders>", "10%\r50%\r100%"},
		Revision: Commit{ID: "4a1c9e77d0f2", Author: "Ada", Subject: "Load orders & refunds", Link: "https://git.example.com/c/4a1c9e77d0f2"},
		Link:     "https://gitdag.example.com/attempts/12",
		Duration: 192 * time.Second, Usual: 64 * time.Second,
		Next: time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC),
	}
}

func samples() []Alert {
	again := failed()
	again.Key, again.Attempt, again.Count = "attempt/14/failed", 14, 3
	again.Since = time.Date(2026, 11, 20, 15, 3, 0, 0, time.UTC)
	again.FailingSince = Commit{ID: "99f00d1234", Author: "Bob", Subject: "Rename the table"}
	again.Changes = []Commit{{ID: "99f00d1234", Author: "Bob", Subject: "Rename the table"}, {ID: "4a1c9e77d0f2", Author: "Ada", Subject: "Load orders & refunds"}}
	again.Message = "Command failed with code 1\nTraceback:\n  line 2"
	recovered := again
	recovered.Key, recovered.Kind, recovered.LogTail, recovered.Task, recovered.Changes = "attempt/15/recovered", AttemptRecovered, nil, "", nil
	session := Alert{Project: "billing", Workflow: "daily_load", Session: failed().Session, Attempt: 12, Deadline: time.Date(2026, 11, 22, 17, 0, 0, 0, time.UTC)}
	missed, late := session, session
	missed.Kind, missed.At, missed.Message = SLAMissed, session.Deadline, "SLA violation"
	late.Kind, late.At = FinishedLate, session.Deadline.Add(14*time.Minute)
	away := Alert{Kind: SyncFailed, At: time.Date(2026, 11, 22, 15, 10, 0, 0, time.UTC), Repo: "workflows", Count: 9, Since: time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC), Message: "list refs of https://git.example.com/workflows.git: connection refused"}
	back := away
	back.Kind, back.At = SyncRecovered, away.At.Add(25*time.Hour)
	broken := Alert{Kind: Rejected, Repo: "workflows", Project: "etl/daily", Revision: failed().Revision, Diagnostics: []string{
		"etl/daily/load.dig:3:5: error: unknown key \"shh>\", did you mean \"sh>\"?", "etl/daily/load.dig:9:1: error: tabs are not allowed",
	}}
	many := broken
	many.Project, many.Diagnostics = "", nil
	for i := range 25 {
		many.Diagnostics = append(many.Diagnostics, fmt.Sprintf("a.dig:%d:1: error: bad", i+1))
	}
	return []Alert{
		failed(), again, recovered, missed, late, away, back, broken, many,
		{Kind: Deployed, Project: "billing", Revision: failed().Revision, Repo: "workflows"},
		{Kind: AgentCrashed, Message: "3 attempts continue", Link: "https://gitdag.example.com/"},
		{Kind: TicksSkipped, Project: "p", Workflow: "w", Message: "12 missed ticks are not run; gitdag backfill p w runs them"},
		{Kind: DiskNearlyFull, Message: "2% free"},
		{Kind: ScheduleFailed, Project: "p", Workflow: "w", Session: failed().Session, Message: "too many attempts running"},
		{Kind: Notice, Project: "p", Workflow: "w", Message: "orders are in"},
		{Kind: "brand_new", Workflow: "w"},
	}
}

func TestRenderGolden(t *testing.T) {
	var b strings.Builder
	for _, a := range samples() {
		fmt.Fprintf(&b, "-- %s --\n%s", a.Kind, Render(a))
	}
	golden(t, filepath.Join("testdata", "messages.txt"), b.String())
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

func TestRenderIsAFunctionOfTheAlert(t *testing.T) {
	for _, a := range samples() {
		if d := cmp.Diff(Render(a), Render(a)); d != "" {
			t.Errorf("%s: two renderings differ:\n%s", a.Kind, d)
		}
	}
}

func TestRenderLogTail(t *testing.T) {
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprintf("line %d", i))
	}
	long := make([]string, 15)
	for i := range long {
		long[i] = strings.Repeat("é", 400)
	}
	tests := []struct {
		name        string
		in          []string
		lines       int
		first, last string
	}{
		{"the last fifteen", many, 15, "line 85", "line 99"},
		{"the newest that fit", long, 6, long[0], long[0]},
		{"a long line", []string{strings.Repeat("x", 9999)}, 1, strings.Repeat("x", maxLogLine-1) + "…", strings.Repeat("x", maxLogLine-1) + "…"},
		{"broken text", []string{"a\xffb\x00c\x1b]0;title\x07d\x1b[1;31me"}, 1, "a\ufffdbcde", "a\ufffdbcde"},
		{"a mark that reorders", []string{"\u202egpj.exe"}, 1, "gpj.exe", "gpj.exe"},
	}
	for _, tt := range tests {
		got := Render(Alert{LogTail: tt.in}).Log
		if len(got) != tt.lines || got[0] != tt.first || got[len(got)-1] != tt.last {
			t.Errorf("%s: got %d lines %.80q, want %d from %.40q to %.40q", tt.name, len(got), got, tt.lines, tt.first, tt.last)
		}
	}
	if got := Render(Alert{}).Log; len(got) != 0 {
		t.Errorf("no log: got %q", got)
	}
}

func TestSpan(t *testing.T) {
	for _, tt := range []struct {
		d    time.Duration
		want string
	}{
		{-time.Second, "0s"},
		{999 * time.Millisecond, "0s"},
		{59 * time.Second, "59s"},
		{time.Minute, "1m"},
		{61 * time.Second, "1m 1s"},
		{time.Hour + time.Second, "1h"},
		{90 * time.Minute, "1h 30m"},
		{50 * time.Hour, "2d 2h"},
		{100 * 24 * time.Hour, "100d"},
	} {
		if got := span(tt.d); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.d, got, tt.want)
		}
	}
}

func TestStampKeepsSeconds(t *testing.T) {
	at := time.Date(2026, 11, 23, 1, 2, 3, 0, tokyo())
	if got, want := stamp(at), "2026-11-23 01:02:03 JST"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Whatever an alert holds, its message is valid text within the limits.
func FuzzRender(f *testing.F) {
	f.Add("p", "w", "+t", "message", "line\nline", "attempt_failed", 3)
	f.Add("\xff", "\x1b[", "\u202e", "<!here> & `", strings.Repeat("é\x00\r", 100), "sync_failed", -1)
	f.Add("", "", "", "\n\n", "", "", 0)
	f.Fuzz(func(t *testing.T, project, workflow, task, message, log, kind string, n int) {
		a := Alert{
			Kind: Kind(kind), At: time.Unix(int64(n), 0), Project: project, Workflow: workflow, Task: task, Message: message,
			LogTail: strings.Split(log, "\n"), Diagnostics: strings.Split(log, "\r"), Count: n, Link: log, Attempt: uint64(max(0, n)),
			Revision: Commit{ID: project, Author: workflow, Subject: message, Link: log},
		}
		m := Render(a)
		if n := utf8.RuneCountInString(m.Title); n > maxTitle || strings.Contains(m.Title, "\n") {
			t.Errorf("title of %d characters: %q", n, m.Title)
		}
		if n := utf8.RuneCountInString(m.Text); n > maxText {
			t.Errorf("text of %d characters", n)
		}
		if n := utf8.RuneCountInString(strings.Join(m.Log, "\n")); n > maxLog || len(m.Log) > LogLines {
			t.Errorf("log of %d lines, %d characters", len(m.Log), n)
		}
		for _, fact := range m.Facts {
			if n := utf8.RuneCountInString(fact.Value); n > maxValue || n == 0 {
				t.Errorf("fact of %d characters: %v", n, fact)
			}
		}
		text := m.String()
		if !utf8.ValidString(text) {
			t.Errorf("invalid UTF-8: %q", text)
		}
		if i := strings.IndexFunc(text, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' }); i >= 0 {
			t.Errorf("control character at %d: %q", i, text)
		}
	})
}
