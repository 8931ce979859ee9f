package operator_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitdag/engine/expr"
	"gitdag/engine/operator"
	"gitdag/engine/params"
	"gitdag/notify/mail/mailtest"
)

// post runs a mail task through a server whose certificate is trusted.
func post(t *testing.T, server *mailtest.Server, task *operator.Task) error {
	t.Helper()
	task.Evaluator = expr.New(expr.Options{})
	_, err := operator.Mail(operator.MailServer{RootCAs: server.Roots}).Operator.Run(t.Context(), task)
	return err
}

func number(n int) params.Number { return params.Number(strconv.Itoa(n)) }

// port is a text, as secrets and many configurations have it.
func port(server *mailtest.Server) string { return strconv.Itoa(server.Port) }

// mailTo is what a task needs at least, with more of it.
func mailTo(server *mailtest.Server, more ...any) []any {
	return append([]any{
		"subject", "s", "to", "ann@example.com", "from", "robot@example.com", "host", server.Host, "port", port(server),
	}, more...)
}

// only returns the one message that a server has taken.
func only(t *testing.T, server *mailtest.Server) mailtest.Message {
	t.Helper()
	list := server.Messages()
	if len(list) != 1 {
		t.Fatalf("got %d messages, want 1", len(list))
	}
	return list[0]
}

func unquoted(t *testing.T, r io.Reader) string {
	t.Helper()
	text, err := io.ReadAll(quotedprintable.NewReader(r))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}

func TestMailBodyFile(t *testing.T) {
	server := mailtest.New(t, mailtest.Options{})
	p := newProject(t)
	p.workdir = "sub"
	p.write("sub/bodies/hello.txt", "Hello ${name},\n${greeting} ${1 + 1} snö\n.\n${moment('2024-01-01').format('Z')}", 0o644)
	task := p.inherit(params.Of("name", "Ann", "mail", params.Of("host", server.Host, "port", port(server), "greeting", "nested", "subject", "lower")),
		"mail>", "bodies/hello.txt", "subject", "Hi ☃\r\nBcc: eve@example.com", "from", "Robot <robot@example.com>",
		"to", params.List{"ann@example.com", `"Böb, B" <bob@example.com>`}, "cc", params.List{"carol@example.com"}, "bcc", params.List{"dan@example.com"})
	task.Zone = time.FixedZone("X", 3600)
	if err := post(t, server, task); err != nil {
		t.Fatal(err)
	}
	m := only(t, server)
	if d := cmp.Diff([]string{"ann@example.com", "bob@example.com", "carol@example.com", "dan@example.com"}, m.To); d != "" {
		t.Errorf("recipients (-want +got):\n%s", d)
	}
	parsed := m.Parse(t)
	decoder := &mime.WordDecoder{}
	for name, want := range map[string]string{
		"From": `"Robot" <robot@example.com>`, "Sender": `"Robot" <robot@example.com>`, "Cc": "<carol@example.com>", "Bcc": "",
		"To": "<ann@example.com>, Böb, B <bob@example.com>", "Subject": "Hi ☃ Bcc: eve@example.com", "Content-Type": "text/plain; charset=UTF-8",
	} {
		got, err := decoder.DecodeHeader(parsed.Header.Get(name))
		if err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
		}
	}
	if got, want := unquoted(t, parsed.Body), "Hello Ann,\nnested 2 snö\n.\n+01:00"; strings.TrimRight(got, "\n") != want {
		t.Errorf("got body %q, want %q", got, want)
	}
}

func TestMailAttachments(t *testing.T) {
	server := mailtest.New(t, mailtest.Options{})
	p := newProject(t)
	big := strings.Repeat("0123456789abcdef", 1<<16)
	p.write("out/a b.txt", "alpha\n", 0o644)
	p.write("b.csv", "x,y\n", 0o644)
	p.write("big.bin", big, 0o644)
	files := params.List{
		params.Of("path", "out/a b.txt"),
		params.Of("path", "b.csv", "content_type", "text/csv; header=present", "filename", "Größe \"x\".csv"),
		params.Of("path", filepath.Join(p.root, "big.bin")),
	}
	if err := post(t, server, p.task(append(mailTo(server), "mail>", params.Of("data", "<b>see</b>"), "html", "true", "attach_files", files)...)); err != nil {
		t.Fatal(err)
	}
	parsed := only(t, server).Parse(t)
	kind, options, err := mime.ParseMediaType(parsed.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/mixed" {
		t.Fatalf("got %q, %v", kind, err)
	}
	parts := multipart.NewReader(parsed.Body, options["boundary"])
	body, err := parts.NextRawPart()
	if err != nil {
		t.Fatal(err)
	}
	if got := body.Header.Get("Content-Type") + " " + strings.TrimSpace(unquoted(t, body)); got != "text/html; charset=UTF-8 <b>see</b>" {
		t.Errorf("got body %q", got)
	}
	type part struct{ Name, Kind, Content string }
	var got []part
	for {
		next, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, next))
		if err != nil {
			t.Fatal(err)
		}
		_, at, err := mime.ParseMediaType(next.Header.Get("Content-Disposition"))
		if err != nil {
			t.Fatal(err)
		}
		name, err := (&mime.WordDecoder{}).DecodeHeader(at["filename"])
		if err != nil {
			t.Fatal(err)
		}
		kind, _, err := mime.ParseMediaType(next.Header.Get("Content-Type"))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, part{name, kind, string(content)})
	}
	want := []part{
		{"a b.txt", "application/octet-stream", "alpha\n"}, // O14: the base name
		{"Größe _x_.csv", "text/csv", "x,y\n"},
		{"big.bin", "application/octet-stream", big},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%.2000s", d)
	}
}

func TestMailServers(t *testing.T) {
	type own = map[string]any
	for _, tt := range []struct {
		name    string
		server  mailtest.Options
		own     own // beside what any mail has; host and port too
		secrets secrets
		secure  bool
		user    string
	}{
		{"in the clear", mailtest.Options{}, own{"host": "HOST", "port": "PORT"}, nil, false, ""},
		{"STARTTLS", mailtest.Options{STARTTLS: true}, own{"host": "HOST", "port": "PORT"}, nil, true, ""},
		{"no STARTTLS", mailtest.Options{STARTTLS: true}, own{"host": "HOST", "port": "PORT", "tls": false}, nil, false, ""},
		{"TLS at once", mailtest.Options{Implicit: true}, own{"host": "HOST", "port": "PORT", "ssl": true}, nil, true, ""},
		{
			"the secret port alone is enough (O14)",
			mailtest.Options{},
			own{"host": "HOST"},
			secrets{"mail.port": "PORT"},
			false, "",
		},
		{
			"secrets beat parameters",
			mailtest.Options{User: "joe", Password: "pw", Implicit: true},
			own{"host": "nowhere.invalid", "port": 1, "username": "ann", "password": "ignored", "ssl": false},
			secrets{"mail.host": "HOST\n", "mail.port": "PORT", "mail.username": "joe", "mail.password": "pw\n", "mail.ssl": "true", "mail.tls": "false"},
			true, "joe",
		},
		{
			"secrets by other names",
			mailtest.Options{User: "joe", Password: "pw", Mechanisms: []string{"LOGIN"}},
			own{"host": "HOST", "port": "PORT", "username": "joe", "_secrets": params.Of("mail", params.Of("password", "relay.pw"))},
			secrets{"relay.pw": "pw"},
			false, "joe",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := mailtest.New(t, tt.server)
			fill := func(v any) any {
				switch v {
				case "HOST", "HOST\n":
					return strings.Replace(v.(string), "HOST", server.Host, 1)
				case "PORT":
					return port(server)
				}
				return v
			}
			p := newProject(t)
			args := []any{"mail>", params.Of("data", "x"), "subject", "s", "to", "ann@example.com", "from", "robot@example.com"}
			for key, value := range tt.own {
				if n, ok := value.(int); ok {
					value = number(n)
				}
				args = append(args, key, fill(value))
			}
			task := p.task(args...)
			for key, value := range tt.secrets {
				task.Secrets.(secrets)[key] = fill(value).(string)
			}
			if err := post(t, server, task); err != nil {
				t.Fatal(err)
			}
			if m := only(t, server); m.Secure != tt.secure || m.User != tt.user {
				t.Errorf("got secure %v, user %q, want %v, %q", m.Secure, m.User, tt.secure, tt.user)
			}
			if _, ok := tt.own["password"]; ok != strings.Contains(p.logged(), "`password` is ignored") {
				t.Errorf("got log %q", p.logged())
			}
		})
	}
}

// The installation's server is used wholly or not at all: its password never goes to a
// host that a task names.
func TestMailInstalledServer(t *testing.T) {
	server := mailtest.New(t, mailtest.Options{User: "sys", Password: "canary-pw", STARTTLS: true})
	installed := operator.MailServer{
		Host: server.Host, Port: server.Port, Username: "sys", Password: "canary-pw", TLS: true, RootCAs: server.Roots,
		From: "sys@example.com", Subject: "from config",
	}
	p := newProject(t)
	task := p.task("mail>", params.Of("data", "x"), "to", "ann@example.com", "port", number(1), "username", "mine", "tls", false)
	if _, err := operator.Mail(installed).Operator.Run(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	m := only(t, server)
	if got := m.Parse(t).Header.Get("Subject"); m.User != "sys" || !m.Secure || m.From != "sys@example.com" || got != "from config" {
		t.Errorf("got user %q, secure %v, from %q, subject %q", m.User, m.Secure, m.From, got)
	}

	other := mailtest.New(t, mailtest.Options{User: "mine", Password: "x"})
	task = p.task("mail>", params.Of("data", "x"), "to", "ann@example.com", "host", other.Host, "port", port(other))
	if _, err := operator.Mail(installed).Operator.Run(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	if m := only(t, other); m.User != "" || slices.Contains(other.Commands(), "AUTH") || m.From != "sys@example.com" {
		t.Errorf("got user %q, commands %v, from %q", m.User, other.Commands(), m.From)
	}
}

func TestMailFailures(t *testing.T) {
	server := mailtest.New(t, mailtest.Options{})
	outside := filepath.Join(t.TempDir(), "outside.txt")
	if err := os.WriteFile(outside, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := newProject(t)
	p.write("bad.txt", "${nonsense}", 0o644)
	p.write("latin.txt", "\xe9", 0o644)
	if err := os.Symlink(outside, filepath.Join(p.root, "link.txt")); err != nil {
		t.Fatal(err)
	}
	data := params.Of("data", "x")
	for _, tt := range []struct {
		own  []any
		want string
	}{
		{[]any{"mail>", data, "subject", nil}, "Parameter 'subject' is required but null (config)"},
		{[]any{"mail>", data, "to", nil}, "Parameter 'to' is required but null (config)"},
		{[]any{"mail>", data, "to", params.List{}}, "Parameter 'to' names nobody (config)"},
		{[]any{"mail>", data, "to", "a b c"}, `Parameter 'to' holds no mail address: "a b c" (config)`},
		{[]any{"mail>", data, "to", params.Of("a", "b")}, `Expected string or array of strings for key 'to' but got {"a":"b"} (object) (config)`},
		{[]any{"mail>", data, "cc", "b@example.com"}, `Expected array of strings for key 'cc' but got "b@example.com" (string) (config)`},
		{[]any{"mail>", data, "bcc", params.List{"x@y\nz"}}, `Parameter 'bcc' holds no mail address: "x@y\nz" (config)`},
		{[]any{"mail>", data, "from", nil}, "Parameter 'from' is required but null (config)"},
		{[]any{"mail>", data, "from", "r"}, `Parameter 'from' holds no mail address: "r" (config)`},
		{[]any{"mail>", data, "html", "yes"}, `Expected 'true' or 'false' for key 'html' but got "yes" (string) (config)`},
		{[]any{"mail>", nil}, "Parameter 'body' is required but not set (config)"},
		{[]any{"mail>", params.Of("text", "x")}, "Parameter 'data' is required but not set (config)"},
		{[]any{"mail>", "none.txt"}, "Failed to load a template file: none.txt: openat none.txt: no such file or directory (config)"},
		{[]any{"mail>", "../x.txt"}, "Failed to load a template file: ../x.txt: it is outside of the project (config)"},
		{[]any{"mail>", outside}, "Failed to load a template file: " + outside + ": it is outside of the project (config)"},
		{[]any{"mail>", "link.txt"}, "Failed to load a template file: link.txt: openat link.txt: path escapes from parent (config)"},
		{[]any{"mail>", "."}, "Failed to load a template file: .: it is not a regular file (config)"},
		{[]any{"mail>", "latin.txt"}, "Failed to load a template file: latin.txt: it is not UTF-8 (config)"},
		{[]any{"mail>", data, "attach_files", "a.txt"}, `Expected array type for key 'attach_files' but got "a.txt" (string) (config)`},
		{[]any{"mail>", data, "attach_files", params.List{"a.txt"}}, `Expected object type for each of 'attach_files' but got "a.txt" (config)`},
		{[]any{"mail>", data, "attach_files", params.List{params.Of("path", "bad.txt"), params.Of("path", "gone")}}, "Failed to attach gone: openat gone: no such file or directory (config)"},
		{[]any{"mail>", data, "attach_files", params.List{params.NewMap(0)}}, "Parameter 'path' is required but not set (config)"},
		{[]any{"mail>", data, "attach_files", params.List{params.Of("path", "bad.txt", "content_type", "a;\nB: c")}}, `Parameter 'content_type' of bad.txt is no media type: "a;\nB: c" (config)`},
		{[]any{"mail>", data, "host", nil}, "Parameter 'host' is required: neither the task, nor the secret mail.host, nor the configuration names a mail server (config)"},
		{[]any{"mail>", data, "port", nil}, "Parameter 'port' is required but null (config)"},
		{[]any{"mail>", data, "port", number(70000)}, "Parameter 'port' must be between 1 and 65535, not 70000 (config)"},
		{[]any{"mail>", data, "tls", "perhaps"}, `Expected 'true' or 'false' for key 'tls' but got "perhaps" (string) (config)`},
		{[]any{"mail>", data, "port", number(1)}, "send mail through 127.0.0.1: dial tcp 127.0.0.1:1: connect: connection refused (runtime)"},
	} {
		task := p.inherit(params.Of(mailTo(server)...), tt.own...)
		var failure *operator.Error
		if err := post(t, server, task); !errors.As(err, &failure) || failure.Error() != tt.want {
			t.Errorf("%v: got\n  %v\nwant\n  %s", tt.own, err, tt.want)
		}
	}
	task := p.inherit(params.Of(mailTo(server)...), "mail>", "bad.txt")
	if err := post(t, server, task); err == nil || !strings.Contains(err.Error(), "bad.txt") || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("a bad template: got %v", err)
	}
	task = p.inherit(params.Of(mailTo(server)...), "mail>", data)
	task.Secrets = secrets{"mail.port": "canary"}
	if err := post(t, server, task); err == nil || err.Error() != "Expected integer (int) type for the secret 'mail.port' (config)" {
		t.Errorf("a bad secret: got %v", err)
	}
	if n := len(server.Messages()); n != 0 {
		t.Errorf("got %d messages, want none", n)
	}
}

func TestMailRefusals(t *testing.T) {
	for _, tt := range []struct {
		name   string
		server mailtest.Options
		own    []any
		want   string
	}{
		{"unknown recipient", mailtest.Options{Answers: map[string][]string{"RCPT": {"550 who?"}}}, nil, `550 "who?"`},
		{"wrong password", mailtest.Options{User: "joe", Password: "x", Answers: map[string][]string{"AUTH": {"535 not canary-pw"}}}, []any{"username", "joe"}, `535 "not ***"`},
		{"hang-up", mailtest.Options{Answers: map[string][]string{"DATA": {mailtest.HangUp}}}, nil, "EOF"},
		{"TLS with a certificate of nobody's", mailtest.Options{STARTTLS: true}, []any{"host", "localhost"}, "certificate"},
	} {
		server := mailtest.New(t, tt.server)
		if strings.Contains(tt.name, "nobody's") {
			server.Roots = nil
		}
		p := newProject(t)
		task := p.inherit(params.Of(mailTo(server)...), append([]any{"mail>", params.Of("data", "x")}, tt.own...)...)
		task.Secrets = secrets{"mail.password": "canary-pw"}
		var failure *operator.Error
		err := post(t, server, task)
		if !errors.As(err, &failure) || failure.Kind != "runtime" || !strings.Contains(failure.Message, tt.want) || strings.Contains(failure.Message, "canary") {
			t.Errorf("%s: got %v, want a failure with %q", tt.name, err, tt.want)
		}
		if n := len(server.Messages()); n != 0 {
			t.Errorf("%s: got %d messages, want none", tt.name, n)
		}
	}
}

// A mail that the server has taken is sent, whatever follows: it is not sent twice.
func TestMailTaken(t *testing.T) {
	for _, answers := range []map[string][]string{{"BODY": {mailtest.ThenEnd}}, {"QUIT": {mailtest.Silence}}} {
		server := mailtest.New(t, mailtest.Options{Answers: answers})
		start := time.Now()
		if err := post(t, server, newProject(t).task(append(mailTo(server), "mail>", params.Of("data", "x"))...)); err != nil {
			t.Errorf("%v: %v", answers, err)
		}
		only(t, server)
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%v: took %s", answers, took)
		}
	}
}

// A killed task ends at once, whatever the server does.
func TestMailKilled(t *testing.T) {
	for _, verb := range []string{"CONNECT", "RCPT"} {
		server := mailtest.New(t, mailtest.Options{Answers: map[string][]string{verb: {mailtest.Silence}}})
		killed := errors.New("killed")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, killed)
		task := newProject(t).task(append(mailTo(server), "mail>", params.Of("data", "x"))...)
		_, err := operator.Mail(operator.MailServer{}).Operator.Run(ctx, task)
		cancel()
		if !errors.Is(err, killed) {
			t.Errorf("%s: got %v, want %v", verb, err, killed)
		}
	}
}

func TestMailDebug(t *testing.T) {
	server := mailtest.New(t, mailtest.Options{User: "joe", Password: "canary-pw"})
	p := newProject(t)
	task := p.task(append(mailTo(server), "mail>", params.Of("data", "secret words"), "debug", true, "username", "joe")...)
	task.Secrets = secrets{"mail.password": "canary-pw"}
	if err := post(t, server, task); err != nil {
		t.Fatal(err)
	}
	log := p.logged()
	hidden := base64.StdEncoding.EncodeToString([]byte("\x00joe\x00canary-pw"))
	if !strings.Contains(log, "RCPT TO") || strings.Contains(log, "canary") || strings.Contains(log, hidden) {
		t.Errorf("got log\n%s", log)
	}
}
