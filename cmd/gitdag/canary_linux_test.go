package main

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gitdag/bench/agenttest"
)

// canary is a secret that is told in as many ways as can be, and must not be found
// in anything that gitdag writes, answers or passes on.
const canary = `c4nary+/ë & Co. 7%="`

// canaryForms are what is looked for: as it is, in base64 wherever it begins, in
// URLs, and in JSON. They do not come from the code under test.
func canaryForms() []string {
	forms := []string{
		canary, url.QueryEscape(canary), url.PathEscape(canary), strings.ToLower(url.QueryEscape(canary)),
		strings.ReplaceAll(url.QueryEscape(canary), "+", "%20"), strings.ReplaceAll(canary, `"`, `\"`),
	}
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 {
			text := e.EncodeToString([]byte(strings.Repeat("x", before) + canary))
			forms = append(forms, text[4:len(text)-4])
		}
	}
	for _, text := range []string{canary, url.QueryEscape(canary)} {
		data, err := json.Marshal(text)
		if err != nil {
			panic(err)
		}
		forms = append(forms, string(data[1:len(data)-1]))
	}
	return forms
}

// spill tells whether a text has the canary in it, with what is around.
func spill(text []byte, forms []string) string {
	for _, form := range forms {
		if at := bytes.Index(text, []byte(form)); at >= 0 {
			return fmt.Sprintf("…%q…", text[max(0, at-100):min(len(text), at+len(form)+20)])
		}
	}
	return ""
}

// mine are the ways in which tasks tell their secret. Names of those that do not
// fail begin with "ok", of those that tell nothing from the beginning with "silent".
func mine(server, mail, database string) map[string]string {
	shell := func(text string) string {
		return "+a:\n  _env: {C: '${secret:canary}'}\n  sh>: |\n    " + text + "\n"
	}
	python := func(statement string) string {
		return "+a:\n  _env: {C: '${secret:canary}'}\n  py>: m.f\n  statement: " + strconv.Quote(statement) + "\n"
	}
	_, mailPort, _ := strings.Cut(mail, ":")
	_, databasePort, _ := strings.Cut(database, ":")
	const quiet = "\n  retry: false"
	return map[string]string{
		"echo":           shell(`echo "it is $C" && exit 1`),
		"text":           "+a:\n  sh>: |\n    echo '${secret:canary}'; exit 1\n",
		"xtrace":         "+a:\n  sh>: |\n    set -x; : '${secret:canary}'; exit 1\n",
		"environment":    shell("env; exit 1"),
		"chunks":         shell(`printf '%.5s' "$C"; sleep 0.2; printf '%s' "$C" | tail -c +6; exit 1`),
		"nonewline":      shell(`printf '%s' "$C"; exit 1`),
		"base64":         shell(`printf 'user:%s' "$C" | base64 -w 0; exit 1`),
		"url":            shell(`python3 -c 'import os, urllib.parse; print(urllib.parse.quote(os.environ["C"]))'; exit 1`),
		"stderr":         shell(`echo "$C" >&2; exit 1`),
		"large":          shell(`for i in $(seq 5000); do echo "$i: $C"; done; exit 1`),
		"exception":      python("raise Exception('it is ' + os.environ['C'])"),
		"stored":         python("digdag.env.store({'deep': {'x': ['it is ' + os.environ['C']]}})"),
		"exported":       python("digdag.env.export({'x': os.environ['C']}); digdag.env.add_subtask({'echo>': 'x'})"),
		"subtask":        python("digdag.env.add_subtask({'echo>': os.environ['C']})"),
		"ruby":           "+a:\n  _env: {C: '${secret:canary}'}\n  _export: {rb: {require: m}}\n  rb>: fails\n",
		"httpanswer":     "+a:\n  http>: " + server + "/echo\n  method: POST\n  content: {pw: '${secret:canary}'}" + quiet + "\n",
		"silentaddress":  "+a:\n  http>: \"http://127.0.0.1:1/${secret:canary}\"" + quiet + "\n",
		"silentnone":     "+a:\n  http>: \"no address ${secret:canary}\"" + quiet + "\n",
		"httpstored":     "+a:\n  http>: " + server + "/fine\n  method: POST\n  content: '${secret:canary}'\n  store_content: true" + quiet + "\n",
		"mail":           "+a:\n  mail>: {data: hello}\n  _secrets: {mail: {password: canary}}\n  host: 127.0.0.1\n  port: " + mailPort + "\n  tls: false\n  username: me\n  subject: s\n  to: [ann@example.com]\n  from: bob@example.com\n  debug: true\n",
		"database":       "+a:\n  pg>: {data: select 1}\n  _secrets: {pg: {password: canary}}\n  host: 127.0.0.1\n  port: " + databasePort + "\n  user: me\n  database: d\n",
		"silenttemplate": "+a:\n  sh>: |\n    echo '${secret:canary}' ${no:thing}\n",
		"onerror":        "+a:\n  _env: {C: '${secret:canary}'}\n  py>: m.f\n  statement: raise Exception(os.environ['C'])\n  _error: {echo>: 'told ${error.message} ${JSON.stringify(error)}'}\n",
		"oncheck":        "+a:\n  echo>: fine\n  _check:\n    _env: {C: '${secret:canary}'}\n    sh>: echo \"$C\"; exit 1\n",
		"notified":       "+a:\n  _env: {C: '${secret:canary}'}\n  py>: m.f\n  statement: raise Exception(os.environ['C'])\n  _error: {notify>: '${error.message}'}\n",
		"retry":          "+a:\n  _retry: 1\n  _env: {C: '${secret:canary}'}\n  sh>: echo \"$C\"; exit 1\n",
		"timeout":        "+a:\n  _timeout: 1s\n  _env: {C: '${secret:canary}'}\n  sh>: echo \"$C\"; sleep 60\n",
		"container":      "+a:\n  _env: {C: '${secret:canary}'}\n  docker: {image: none, docker: ./container}\n  sh>: echo \"$C\"; exit 1\n",
		"program":        "+a:\n  leak>: it\n",
		"asparameter":    "+a:\n  _env: {C: '${secret:canary}'}\n  sh>: python3 -c 'import os; open(\"c\", \"w\").write(os.environ[\"C\"])'\n+b:\n  py>: m.f\n  statement: \"digdag.env.store({'c': open('c').read()})\"\n",
		"okother":        "+a:\n  _env: {C: '${secret:canary}'}\n  sh>: python3 -c 'import os; open(\"c\", \"w\").write(os.environ[\"C\"])'\n+b:\n  sh>: cat c\n",
		"okprinted":      shell(`echo "$C"`),
		"killed":         "+a:\n  _env: {C: '${secret:canary}'}\n  sh>: echo \"$C\"; echo begun; sleep 60\n",
	}
}

// around are the other files of the project.
func aroundMine() map[string]string {
	return map[string]string{
		"m.py":                "import os\nimport digdag\n\ndef f(statement):\n    exec(statement)\n",
		"m.rb":                "def fails; raise \"it is #{ENV['C']}\"; end\n",
		"operators/leak":      "#!/usr/bin/env python3\nimport json, os, sys\nask = json.load(sys.stdin)\nc = ask['secrets']['canary']\nprint('it is', c, flush=True)\njson.dump({'error': {'message': 'it is ' + c, 'detail': {'of': [c]}}}, os.fdopen(3, 'w'))\nsys.exit(1)\n",
		"container":           "#!/bin/sh\nsleep 0.2\necho \"it has $*; $C\"\nexit 1\n",
		"operators/leak.yaml": "secrets: [canary]\n",
	}
}

// processes looks at the arguments of all processes of the machine, again and again.
type processes struct {
	stop, done chan struct{}
	looked     int
	found      string
}

func watchProcesses(forms []string) *processes {
	p := &processes{stop: make(chan struct{}), done: make(chan struct{})}
	go func() { // ends by end
		defer close(p.done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			p.look(forms)
			select {
			case <-tick.C:
			case <-p.stop:
				return
			}
		}
	}()
	return p
}

func (p *processes) look(forms []string) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		p.looked++
		if found := spill(data, forms); found != "" {
			p.found = found
		}
	}
}

func (p *processes) end(t *testing.T) {
	t.Helper()
	close(p.stop)
	<-p.done
	if p.found != "" || p.looked == 0 {
		t.Errorf("of the arguments of %d processes: %s", p.looked, p.found)
	}
}

// echoServer answers with what it was told, and takes alerts.
func echoServer(t *testing.T) (address string, alerts func() []byte) {
	t.Helper()
	var mu sync.Mutex
	var told []byte
	server := newLoopback(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		switch r.URL.Path {
		case "/alerts":
			mu.Lock()
			told = append(append(told, body...), '\n')
			mu.Unlock()
			_, _ = io.WriteString(w, "ok")
			return
		case "/echo":
			w.WriteHeader(http.StatusBadRequest)
		}
		_, _ = w.Write(body)
	}))
	return server, func() []byte {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(told)
	}
}

// everyFile adds the content of all files below a directory, unpacked, but for those
// that belong to tasks.
func everyFile(t *testing.T, found map[string][]byte, dir string, leave ...string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil || slices.Contains(leave, e.Name()):
			if e != nil && e.IsDir() {
				return fs.SkipDir
			}
			return err
		case !e.Type().IsRegular():
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if z, err := gzip.NewReader(bytes.NewReader(data)); err == nil {
			if data, err = io.ReadAll(z); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
		found[path] = data
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func spills(t *testing.T, found map[string][]byte, forms []string) {
	t.Helper()
	size := 0
	for name, text := range found {
		size += len(text)
		if at := spill(text, forms); at != "" {
			t.Errorf("%s: %s", name, at)
		}
	}
	t.Logf("looked at %d texts, %d bytes", len(found), size)
}

// An agent whose tasks spill their secrets in every way shows none anywhere: not in logs,
// journal, archives, alerts, answers, or arguments of processes, and neither does it
// after it was killed and started again.
func TestCanaryOnAnAgent(t *testing.T) {
	forms := canaryForms()
	server, alerts := echoServer(t)
	files := mine(server, refusingMail(t), refusingDatabase(t))
	s := newSite(t)
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "key"), "MDEyMzQ1Njc4OWFiY2RlZg==\n")
	writeFile(t, filepath.Join(dir, "slack"), server+"/alerts\n")
	args := []string{"--secrets-key-file", filepath.Join(dir, "key"), "--slack-webhook-file", filepath.Join(dir, "slack"), "--allow-push", "--tasks-max", "8"}
	for name, text := range aroundMine() {
		writeProject(t, dir, name, text)
	}
	for name, text := range files {
		writeProject(t, dir, name+".dig", text)
	}
	watch := watchProcesses(forms)
	found := map[string][]byte{}

	p := s.launch(args...)
	env := append(os.Environ(), "GITDAG_ENDPOINT="+p.Address())
	outputs := 0
	client := func(stdin string, args ...string) string {
		cmd := exec.CommandContext(t.Context(), s.bin, args...)
		cmd.Env, cmd.Stdin = env, strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		outputs++
		found[fmt.Sprintf("output %d of %s", outputs, args)] = out
		if err != nil {
			t.Fatalf("%s: %v\n%s\n%s", args, err, out, p.Log())
		}
		return string(out)
	}
	client("", "push", "mine", "--project", filepath.Join(dir, "mine"))
	client(canary, "secrets", "--project", "mine", "--set", "canary=-")
	for name := range files {
		client("", "start", "mine", name, "--session", "now")
	}
	api := agenttest.NewAPI(t, p.Address())
	type attempt struct {
		ID            string
		Done, Success bool
		Workflow      struct{ Name string }
	}
	list := func() []attempt {
		var answer struct{ Attempts []attempt }
		if err := api.Into(&answer, agenttest.Get("/api/attempts?page_size=100&include_retried=true")); err != nil {
			t.Fatal(err)
		}
		return answer.Attempts
	}
	left := func() (names []string) {
		for _, a := range list() {
			if !a.Done {
				names = append(names, a.Workflow.Name)
			}
		}
		return names
	}
	agenttest.Eventually(t, "all but one have ended", func() bool { return slices.Equal(left(), []string{"killed"}) }, p.Log, func() string { return fmt.Sprint(left()) })
	p.Kill()
	found["log before the kill"] = []byte(p.Log())
	p = s.launch(args...)
	env = append(os.Environ(), "GITDAG_ENDPOINT="+p.Address())
	api = agenttest.NewAPI(t, p.Address())
	for _, a := range list() {
		if !a.Done {
			agenttest.Eventually(t, "it runs again", func() bool {
				return strings.Count(client("", "log", a.ID), "begun") >= 2
			}, p.Log)
			client("", "kill", a.ID)
		}
	}
	agenttest.Eventually(t, "all have ended", func() bool { return len(left()) == 0 }, p.Log)

	for _, a := range list() {
		if want := strings.HasPrefix(a.Workflow.Name, "ok"); a.Success != want {
			t.Errorf("%s: success %v, want %v\n%s", a.Workflow.Name, a.Success, want, client("", "log", a.ID))
		}
		log := client("", "log", a.ID)
		if strings.Contains(log, "it is") && !strings.Contains(log, "***") {
			t.Errorf("%s: nothing is masked in\n%s", a.Workflow.Name, log)
		}
		client("", "attempt", a.ID)
		client("", "tasks", a.ID)
		for _, of := range []string{"", "/tasks", "/retries"} {
			answer, err := api.Ask(agenttest.Get("/api/attempts/%s%s", a.ID, of))
			if err != nil {
				t.Fatal(err)
			}
			found["answer "+of+" about "+a.Workflow.Name] = answer
		}
	}
	for _, of := range []string{"sessions", "projects", "workflows", "projects/1/secrets", "schedules"} {
		answer, err := api.Ask(agenttest.Get("/api/%s", of))
		if err != nil {
			t.Fatal(err)
		}
		found["answer "+of] = answer
	}
	agenttest.Eventually(t, "alerts are there, of which there is one a second", func() bool { return bytes.Count(alerts(), []byte("\n")) >= 10 }, p.Log)
	s.stop(p)
	watch.end(t)
	found["log after the kill"], found["alerts"] = []byte(p.Log()), alerts()
	var journal strings.Builder
	for _, e := range agenttest.Events(t, s.bin, s.data) {
		journal.WriteString(e.Text + "\n")
	}
	found["journal"] = []byte(journal.String())
	everyFile(t, found, s.data, "workspaces")
	spills(t, found, forms)
}

// Local runs neither show nor keep the secrets of their tasks.
func TestCanaryInLocalRuns(t *testing.T) {
	forms := canaryForms()
	server, _ := echoServer(t)
	files := mine(server, refusingMail(t), refusingDatabase(t))
	delete(files, "killed") // an interrupt is what ends it here
	watch := watchProcesses(forms)
	found := map[string][]byte{}
	bin := program(t)
	var group sync.WaitGroup
	var mu sync.Mutex
	slots := make(chan struct{}, 4)
	for name, text := range files {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			dir := t.TempDir()
			for name, text := range aroundMine() {
				writeProject(t, dir, name, text)
			}
			writeProject(t, dir, name+".dig", text)
			writeProject(t, filepath.Join(dir, "home"), "secrets/canary", canary)
			cmd := exec.CommandContext(t.Context(), bin, "run", name, "--log-level", "trace", "--task-log", "logs", "--show-params")
			cmd.Dir = filepath.Join(dir, "mine")
			cmd.Env = append(os.Environ(), "GITDAG_CONFIG_HOME="+filepath.Join(dir, "home", "mine"))
			out, err := cmd.CombinedOutput()
			mu.Lock()
			defer mu.Unlock()
			found["run "+name] = out
			if want := strings.HasPrefix(name, "ok"); (err == nil) != want {
				t.Errorf("%s: %v, want success %v\n%s", name, err, want, out)
			}
			if !strings.HasPrefix(name, "silent") && !bytes.Contains(out, []byte("***")) && !bytes.Contains(out, []byte("A secret would be written to disk")) {
				t.Errorf("%s: nothing is masked in\n%s", name, out)
			}
			everyFile(t, found, filepath.Join(dir, "mine"), "c")
		})
	}
	group.Wait()
	watch.end(t)
	spills(t, found, forms)
}

func writeProject(t *testing.T, dir, name, text string) {
	t.Helper()
	file := filepath.Join(dir, "mine", filepath.FromSlash(name))
	mode := os.FileMode(0o644)
	if strings.HasPrefix(text, "#!") {
		mode = 0o755
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Error(err)
	}
}
