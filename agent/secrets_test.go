package agent

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gitdag/agent/api"
	"gitdag/engine/secret/agefile"
)

// keys are two for secrets, in files.
func keys(t *testing.T) (first, second string) {
	dir := t.TempDir()
	return write(t, dir, "first", "MDEyMzQ1Njc4OWFiY2RlZg==\n"), write(t, dir, "second", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n")
}

// A new key takes the place of an old one, and a wrong one is told at the start
// (Q18).
func TestKeyForSecretsIsReplaced(t *testing.T) {
	first, second := keys(t)
	r := newPushRig(t)
	restart := func(key string, old ...string) {
		t.Helper()
		r.stop()
		r.config.Secrets.KeyFile, r.config.Secrets.OldKeyFiles = key, old
		r.start()
	}
	works := func(when string, want bool) {
		t.Helper()
		if _, ok := r.startByID(r.definition("etl", "w"), "{}"); ok != want {
			t.Errorf("%s: the task has its secret: %v, want %v\n%s", when, ok, want, r.log)
		}
	}
	restart(first)
	id := r.pushed("etl", "r1", map[string]string{"w.dig": "+a: {sh>: 'test \"$v\" = s3cret', _env: {v: '${secret:db.password}'}}\n"})
	if got := r.ask(http.MethodPut, "/api/projects/"+id+"/secrets/db.password", `{"value": "s3cret"}`, "", nil); got != http.StatusOK {
		t.Fatalf("set a secret: got %d", got)
	}
	works("at first", true)

	restart(second)
	r.log.Await(t, `level=ERROR msg="not all secrets can be read" err=".*project 1 .*which is not configured"`)
	works("with another key", false)
	for method, body := range map[string]string{http.MethodGet: "", http.MethodPut: `{"value": "new"}`} {
		path := "/api/projects/" + id + "/secrets"
		if body != "" {
			path += "/db.password"
		}
		var answer api.Error
		got := r.ask(method, path, body, "", &answer)
		if got != http.StatusNotImplemented || !strings.Contains(answer.Message, "which is not configured") {
			t.Errorf("%s with another key: got %d, %q", method, got, answer.Message)
		}
	}
	restart("")
	r.log.Await(t, `level=ERROR msg="not all secrets can be read" err=".*project 1 .*no key for secrets is configured"`)

	restart(second, first)
	r.log.Await(t, `level=INFO msg="all secrets are sealed with the one key now`)
	works("with both", true)
	restart(second)
	works("with the new one alone", true)
	restart(first)
	works("with the old one alone", false)
	if n := r.log.Count("not all secrets can be read"); n != 3 {
		t.Errorf("told %d times, want at each start that has not the key\n%s", n, r.log)
	}
}

// Keys that cannot be what is meant end the start.
func TestBadKeysForSecrets(t *testing.T) {
	first, _ := keys(t)
	broken := write(t, t.TempDir(), "broken", "too short\n")
	for want, c := range map[string]Secrets{
		"read the key for secrets from " + broken:       {KeyFile: broken},
		"read the key for secrets from " + broken + ":": {KeyFile: first, OldKeyFiles: []string{broken}},
		"read the key for secrets: stat":                {KeyFile: first, OldKeyFiles: []string{broken + ".none"}},
		"secrets.old_key_files needs the key":           {OldKeyFiles: []string{first}},
	} {
		r := newPushRig(t)
		r.config.Secrets = c
		if err := r.tryStart(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", c, err, want)
		}
	}
}

const (
	identity  = "AGE-SECRET-KEY-1QTAMEYQDZ5U70XL9NZL8YT8WJT2HYS0NN0Y3L55PH2HV64FWCEFQ43LC6U\n"
	recipient = "age14nuuy4lvnkgf40wa3sqfgl8hdmn9jn0xns9ytr3u5kfhkpduc30sejn0uu"
)

// inGit is the content of a file of secrets.
func inGit(t *testing.T, pairs ...string) string {
	t.Helper()
	f, err := agefile.New([]string{recipient})
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		if err := f.Seal(pairs[i], pairs[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	data, err := f.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Of the four places the first that has the key wins; what is in Git belongs to the
// revision that runs (agent.md 7).
func TestPlacesOfSecrets(t *testing.T) {
	first, _ := keys(t)
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
	t.Setenv("GITDAG_SECRET_B", "variable-b")
	t.Setenv("GITDAG_SECRET_C", "variable-c")
	t.Setenv("GITDAG_SECRET_D", "variable-d")
	write(t, dir, "b", "file-b")
	write(t, dir, "c", "file-c")
	r := newPushRig(t)
	r.config.Secrets = Secrets{KeyFile: first, Dir: dir, AgeIdentityFiles: []string{write(t, t.TempDir(), "age.txt", identity)}}
	r.start()
	workflow := "+a: {sh>: 'echo ${secret:a} ${secret:b} ${secret:c} ${secret:d} ${secret:e} > " + out + "'}\n+b: {sh>: 'cat " + out + "'}\n"
	id := r.pushed("etl", "r1", map[string]string{"w.dig": workflow, agefile.Name: inGit(t, "a", "git-a", "b", "git-b", "c", "git-c", "d", "git-d", "e", "git-e-one")})
	if got := r.ask(http.MethodPut, "/api/projects/"+id+"/secrets/b", `{"value": "store-b"}`, "", nil); got != http.StatusOK {
		t.Fatalf("set a secret: got %d", got)
	}
	old := r.definition("etl", "w")
	has := func(definition uint64, want string) {
		t.Helper()
		_, ok := r.startByID(definition, "{}")
		if data, err := os.ReadFile(out); !ok || err != nil || strings.TrimSpace(string(data)) != want {
			t.Errorf("success %v, got %q, %v, want %q\n%s", ok, data, err, want, r.log)
		}
	}
	has(old, "git-a store-b file-c variable-d git-e-one")
	r.pushed("etl", "r2", map[string]string{"w.dig": workflow + "+c: {echo>: x}\n", agefile.Name: inGit(t, "a", "git-a", "e", "git-e-two")})
	has(r.definition("etl", "w"), "git-a store-b file-c variable-d git-e-two")
	has(old, "git-a store-b file-c variable-d git-e-one")
	if err := os.Remove(out); err != nil {
		t.Fatal(err)
	}
	r.stop()
	r.config.Secrets.AgeIdentityFiles = nil
	r.start()
	// Nobody has asked for a secret since the restart, but what there is is known.
	write(t, filepath.Dir(out), "out", "store-b file-c variable-d c3RvcmUtYg==")
	r.pushed("etl", "r3", map[string]string{"w.dig": "+a: {sh>: 'cat " + out + "'}\n"})
	shown, ok := r.startByID(r.definition("etl", "w"), "{}")
	logs, err := r.agent.logs.List(shown)
	if err != nil || len(logs) != 1 {
		t.Fatalf("got logs %v, %v, want one", logs, err)
	}
	if lines, err := r.agent.logs.Tail(shown, logs[0].Task, 1); !ok || err != nil || strings.Join(lines, " ") != "*** *** *** ***g==" {
		t.Errorf("success %v, %v, shown as %q", ok, err, lines)
	}

	attempt, ok := r.startByID(old, "{}")
	var tasks struct {
		Tasks []struct{ Error map[string]any }
	}
	r.ask(http.MethodGet, fmt.Sprintf("/api/attempts/%d/tasks", attempt), "", "", &tasks)
	if got := fmt.Sprint(tasks); ok || !strings.Contains(got, "read secret a from ") || !strings.Contains(got, agefile.Name+": no age identity is configured") {
		t.Errorf("without an identity: success %v, got %s", ok, got)
	}
	r.stop()
	r.config.Secrets.AgeIdentityFiles = []string{write(t, t.TempDir(), "age.txt", "none")}
	if err := r.tryStart(); err == nil || !strings.Contains(err.Error(), "age.txt: it is no file of `age-keygen`") {
		t.Errorf("a broken identity: got %v", err)
	}
}
