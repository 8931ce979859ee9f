package main

import (
	"encoding/json"
	"io"
	"mime/quotedprintable"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitdag/bench/agenttest"
	"gitdag/notify/mail/mailtest"
)

// runIn runs the program in a directory of its own with these files.
func runIn(t *testing.T, files map[string]string, args ...string) (output string, err error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), program(t), args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// A run waits for its alert, however often the server is not ready for it.
func TestNotificationByHTTP(t *testing.T) {
	var statuses []string
	var last map[string]any
	answers := []int{500, 404, 429, 302, 204}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := answers[len(statuses)]
		statuses = append(statuses, r.Method+" "+r.Header.Get("X-Token")+" "+strconv.Itoa(status))
		if err := json.NewDecoder(r.Body).Decode(&last); err != nil {
			t.Error(err)
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
	}))
	defer server.Close()
	out, err := runIn(t, map[string]string{"w.dig": "+a: {notify>: all is well}\n"}, "run", "w", "-X", "notification.type=http",
		"-X", "notification.http.url="+server.URL, "-X", "notification.http.method=PUT", "-X", "notification.http.headers.X-Token=secret 1",
		"-X", "notification.min_retry_wait=1")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := []string{"PUT secret 1 500", "PUT secret 1 404", "PUT secret 1 429", "PUT secret 1 302", "PUT secret 1 204"}
	if d := cmp.Diff(want, statuses); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if last["message"] != "all is well" || last["attempt_id"] != 1.0 {
		t.Errorf("got %v", last)
	}
	if strings.Contains(out, "secret 1") || strings.Contains(out, server.URL) {
		t.Errorf("a secret is in the output:\n%s", out)
	}
}

func TestNotificationByMail(t *testing.T) {
	server := mailtest.New(t, mailtest.Options{
		STARTTLS: true, User: "joe", Password: "canary-pw", Answers: map[string][]string{"RCPT": {"450 later"}},
	})
	files := map[string]string{
		"w.dig":    "timezone: Asia/Tokyo\n+a: {fail>: no tide}\n",
		"body.txt": "<b>${message}</b> in ${project_name}, ${moment(session_time).format('YYYY-MM-DD Z')}: ${error}${repository}",
		"ca.pem":   string(server.CA),
		"config": strings.Join([]string{
			"notification.type=mail", "notification.min_retry_wait=1",
			"notification.mail.host=localhost", "notification.mail.port=" + strconv.Itoa(server.Port),
			"notification.mail.username=joe", "notification.mail.password=canary-pw",
			"notification.mail.from=Robot <robot@example.com>", `notification.mail.to=["ann@example.com", "bob@example.com"]`,
			"notification.mail.bcc=carol@example.com", "notification.mail.html=TRUE", "notification.mail.debug=true",
			"notification.mail.body_template_file=body.txt",
		}, "\n"),
	}
	t.Setenv("SSL_CERT_FILE", "ca.pem")
	out, err := runIn(t, files, "run", "w", "-c", "config", "--session", "2031-04-05")
	if err == nil || !strings.Contains(out, "450") || strings.Contains(out, "canary") {
		t.Errorf("%v\n%s", err, out)
	}
	if len(server.Messages()) != 1 {
		t.Fatalf("got %d messages, want 1\n%s", len(server.Messages()), out)
	}
	m := server.Messages()[0]
	if d := cmp.Diff([]string{"ann@example.com", "bob@example.com", "carol@example.com"}, m.To); d != "" {
		t.Errorf("recipients (-want +got):\n%s", d)
	}
	if !m.Secure || m.User != "joe" {
		t.Errorf("got secure %v, user %q", m.Secure, m.User)
	}
	parsed := m.Parse(t)
	if got, want := parsed.Header.Get("Subject"), "Digdag Notification"; got != want {
		t.Errorf("got subject %q, want %q", got, want)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(parsed.Body))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.TrimSpace(string(body)), "<b>Workflow session attempt failed</b> in default, 2031-04-05 +09:00: no tide"; got != want {
		t.Errorf("got body %q, want %q", got, want)
	}
}

func TestNotificationSettings(t *testing.T) {
	for _, tt := range []struct{ config, want string }{
		{"notification.type=http", "notification.http.url: it is required"},
		{"notification.type=http\nnotification.http.url=http://x\nnotification.http.headers.a\\ b=c", "notification.http.headers.a b: it is not the name of a header"},
		{"notification.type=http\nnotification.http.url=http://x\nnotification.http.method=a b", `notification.http.method: "a b" is not an HTTP method`},
		{"notification.type=shell\nnotification.shell.timeout=1s", `notification.shell.timeout: must be a number of 0 or more, not "1s"`},
		{"notification.type=mail", "notification.mail.host: it is required"},
		{"notification.type=mail\nnotification.mail.host=h\nnotification.mail.port=x", `notification.mail.port: must be a number of 0 or more, not "x"`},
		{"notification.type=mail\nnotification.mail.host=h\nnotification.mail.from=a@x\nnotification.mail.to=[1]", "notification.mail.to: must be an address or a JSON list of addresses, not [1]"},
		{"notification.type=mail\nnotification.mail.host=h\nnotification.mail.from=a@x\nnotification.mail.to=b@x\nnotification.mail.ssl=yes", `notification.mail.ssl: must be true or false, not "yes"`},
		{"notification.type=mail\nnotification.mail.host=h\nnotification.mail.from=a@x\nnotification.mail.to=b", `notification.mail.to: "b" is not a mail address`},
		{"notification.type=mail\nnotification.mail.body_template_file=/no/such", "notification.mail.body_template_file: open /no/such: no such file or directory"},
		{"notification.type=shell\nnotification.shell.command=true\nnotification.max_retry_wait=soon", `notification.max_retry_wait: must be a number of 0 or more, not "soon"`},
	} {
		config := properties{}
		config.read(tt.config)
		c := &cli{environ: os.Environ}
		if _, err := c.notificationSender(config); err == nil || err.Error() != "configuration: "+tt.want {
			t.Errorf("%s:\ngot  %v\nwant %s", tt.config, err, tt.want)
		}
	}
	for _, config := range []string{
		"", "notification.type=\nnotification.shell.command=x",
	} {
		p := properties{}
		p.read(config)
		if s, err := (&cli{environ: os.Environ}).notificationSender(p); s != nil || err != nil {
			t.Errorf("%q: got %v, %v, want none", config, s, err)
		}
	}
}

// A scheduler's alerts go the same way, with its patience, and outlive a kill.
func TestNotificationOfTheScheduler(t *testing.T) {
	dir, data, tries := t.TempDir(), filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "tries")
	writeFile(t, filepath.Join(dir, "w.dig"), "+a: {fail>: no tide}\n")
	launch := func(command string) *agenttest.Process {
		return agenttest.Launch(t, program(t), nil, "scheduler", "--project", dir, "-n", "0", "-o", data,
			"-X", "notification.type=shell", "-X", "notification.shell.command="+command, "-X", "notification.retries=100000",
			"-X", "notification.min_retry_wait=1", "-X", "notification.max_retry_wait=100")
	}
	p := launch("echo x >> " + tries + "; exit 1")
	if got := gitdag(t, nil, "start", "-e", p.Address(), "default", "w", "--session", "2031-04-05"); got.status != 0 {
		t.Fatalf("start: got %+v\n%s", got, p.Log())
	}
	agenttest.Eventually(t, "the alert is tried again", func() bool {
		text, err := os.ReadFile(tries)
		return err == nil && len(text) >= 4
	}, p.Log)
	p.Kill()
	told := filepath.Join(dir, "told.json")
	p = launch("cat > " + told + ".part && mv " + told + ".part " + told)
	agenttest.Eventually(t, "the alert is told", func() bool { return exists(told) }, p.Log)
	text, err := os.ReadFile(told)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"message": "Workflow session attempt failed", "error": "no tide", "failed_task": "+w+a", "project_name": "default",
		"attempt_id": 1.0, "session_time": "2031-04-05T00:00:00+00:00",
	} {
		if got[key] != want {
			t.Errorf("%s: got %v, want %v", key, got[key], want)
		}
	}
	for _, key := range []string{"project_id", "session_id", "session_uuid", "workflow_definition_id", "revision"} {
		if got[key] == nil {
			t.Errorf("%s is null", key)
		}
	}
	if code := p.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0:\n%s", code, p.Log())
	}
}
