package agent

import (
	"net/http"
	"strings"
	"testing"
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
