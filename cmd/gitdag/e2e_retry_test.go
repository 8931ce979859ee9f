package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gitdag/bench/agenttest"
)

// retried runs gitdag retry and waits for the end of the attempt.
func retried(t *testing.T, p *agenttest.Process, endpoint string, args ...string) {
	t.Helper()
	got := gitdag(t, []string{"GITDAG_ENDPOINT=" + endpoint}, append([]string{"retry"}, args...)...)
	id := regexp.MustCompile(`(?m)^  attempt id: (\d+)$`).FindStringSubmatch(got.stdout)
	if got.status != 0 || id == nil {
		t.Fatalf("retry %q: got %+v\n%s", args, got, p.Log())
	}
	p.Await(`msg="attempt ended".* attempt=` + id[1] + ` .*success=true`)
}

// An attempt fails, a commit mends it, and `gitdag retry` runs what failed and
// what follows: with what the tasks stored that had succeeded. The revision
// that failed can be run once more as well, after a restart too.
func TestRetryAfterAFix(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	s := newSite(t)
	say := func(text string) string { return "{sh>: 'echo " + text + " >> " + out + "'}\n" }
	module := "import digdag\ndef begin():\n    digdag.env.store(tide='high', sum={'a': 1})\n    open('" + out + "', 'a').write('begin\\n')\n"
	workflow := func(right string) map[string]string {
		return map[string]string{"m.py": module, "w.dig": "+begin: {py>: m.begin}\n" +
			"+pair:\n  +left: " + say("left") + "  +right: " + right +
			"+end: " + say("${tide} ${sum.a} ${given}")}
	}
	broken := s.repo.Push("broken", workflow(say("-n; test -e "+out+".gate && echo old")))
	p := s.launch()
	endpoint := p.Address()
	p.Await("commit is live")
	begun := gitdag(t, []string{"GITDAG_ENDPOINT=" + endpoint}, "start", "flows", "w", "--session", "2031-04-05", "-p", "given=kept")
	if begun.status != 0 {
		t.Fatalf("start: %+v", begun)
	}
	p.Await(`msg="attempt ended".* attempt=1 .*success=false`)
	fixed := s.repo.Push("fixed", workflow(say("right")))
	p.Await("commit is live.*" + fixed)

	did := func(what, want string) {
		t.Helper()
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(data); got != want {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
		if err := os.Remove(out); err != nil {
			t.Fatal(err)
		}
	}
	if data, err := os.ReadFile(out); err != nil || !strings.Contains(string(data), "left") || !strings.Contains(string(data), "begin") {
		t.Fatalf("the first attempt left %q, %v, want begin and left", data, err)
	}
	if err := os.Remove(out); err != nil {
		t.Fatal(err)
	}
	retried(t, p, endpoint, "1")
	did("what failed and what follows", "right\nhigh 1 kept\n")
	retried(t, p, endpoint, "2", "--resume-from", "+end", "-p", "given=other", "--name", "end")
	did("the end alone, of the attempt that took over", "high 1 other\n")
	s.stop(p)

	if err := os.WriteFile(out+".gate", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	p = s.launch()
	endpoint = p.Address()
	retried(t, p, endpoint, "1", "--keep-revision")
	did("the revision that failed", "old\nhigh 1 kept\n")
	retried(t, p, endpoint, "1", "--revision", broken, "--resume-from", "+left", "-p", "given=x")
	did("the same by its name", "left\nold\nhigh 1 x\n")
	s.stop(p)
}
