package operator_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitdag/engine/operator"
	"gitdag/engine/params"
)

func TestHTTPWritesTheAddress(t *testing.T) {
	server := newWeb(t, nil)
	p := newProject(t)
	for _, tt := range []struct {
		path  string
		query any
		want  string
	}{
		{"", nil, "GET /"},
		{"/a%20b/ü?x=%2F&y=ü z#part", nil, "GET /a%20b/%C3%BC?x=%2F&y=%C3%BC%20z"},
		{"/a?x=1", params.Of("b", "x y", "a", "1&2=", "n", 3, "t", true, "e", nil), "GET /a?x=1&b=x+y&a=1%262%3D&n=3&t=true&e="},
		{"/", `{"k": "v", "l": 1.50}`, "GET /?k=v&l=1.5"},
		{"/", "a=b&c=d%20e&a=2&&f", "GET /?a=b&c=d+e&a=2&f="},
		{"/", params.Of("${secret:name}", "<${secret:value}>"), "GET /?key+name=%3C%26secret%26%3E"},
		{"/${secret:name}", "x=${secret:value}", "GET /key%20name?x=%26secret%26"},
	} {
		task := p.task("http>", server.URL+tt.path, "query", tt.query)
		task.Secrets = secrets{"name": "key name", "value": "&secret&"}
		if got := server.only(t, task).line; got != tt.want {
			t.Errorf("%s, %v: got %s, want %s", tt.path, tt.query, got, tt.want)
		}
	}
	task := p.task("http>", nil)
	task.Secrets = secrets{"http.uri": server.URL + "/hidden\n"}
	if got, want := server.only(t, task).line, "GET /hidden"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	task = p.inherit(params.Of("_secrets", params.Of("http", "team")), "http>", "x")
	task.Secrets = secrets{"http.uri": "wrong", "team.uri": server.URL + "/renamed"}
	if got, want := server.only(t, task).line, "GET /renamed"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestHTTPWritesHeaders(t *testing.T) {
	server := newWeb(t, nil)
	p := newProject(t)
	task := p.task("http>", server.URL, "headers", []any{
		params.Of("X-One", " a "), params.Of("x-one", 2), params.Of("X-One", "a"), params.Of("Host", "other.example"),
		params.Of("X-${secret:name}", "<${secret:value}>"), params.Of("user-agent", "mine"), params.Of("Umlaut", "ü"),
	})
	task.Secrets = secrets{"name": "Key", "value": "s"}
	got := server.only(t, task)
	got.header.Del("Accept-Encoding")
	want := map[string][]string{"X-One": {"a", "2"}, "X-Key": {"<s>"}, "User-Agent": {"mine"}, "Umlaut": {"ü"}}
	if diff := cmp.Diff(want, map[string][]string(got.header)); diff != "" || got.host != "other.example" {
		t.Errorf("host %s, headers (-want +got):\n%s", got.host, diff)
	}
	for _, tt := range []struct {
		secrets secrets
		headers any
		want    string
	}{
		{nil, nil, ""},
		{secrets{"http.password": "p"}, nil, ""},
		{secrets{"http.user": "joe"}, nil, "Basic am9lOg=="},
		{secrets{"http.user": "joe\n", "http.password": "p:w\n"}, nil, "Basic am9lOnA6dw=="},
		{secrets{"http.user": "joe", "http.authorization": "Bearer t"}, nil, "Bearer t"},
		{secrets{"http.authorization": "Bearer t"}, []any{params.Of("authorization", "Mine")}, "Mine"},
	} {
		task := p.task("http>", server.URL, "headers", tt.headers, "user", "ann", "password", "ignored") // O33
		task.Secrets = tt.secrets
		if got := server.only(t, task).header.Get("Authorization"); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.secrets, got, tt.want)
		}
	}
	inAddress := p.task("http>", withUser(server, "joe:pw"))
	if got, want := server.only(t, inAddress).header.Get("Authorization"), "Basic am9lOnB3"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestHTTPWritesContent(t *testing.T) {
	server := newWeb(t, nil)
	p := newProject(t)
	const form = "application/x-www-form-urlencoded"
	object := params.Of("a", 1, "big", params.Number("12345678901234567890"), "l", []any{nil, "x", tmpl("y")})
	for _, tt := range []struct {
		content              any
		format, typ, headers any
		wantKind, wantBody   string
	}{
		{nil, nil, "text/x", nil, "", ""},
		{"", nil, nil, nil, "plain/text", ""},
		{"ü ${secret:s}", nil, nil, nil, "plain/text", "ü $&%"},
		{true, "TEXT", "text/csv", nil, "text/csv", "true"},
		{params.Number("1.50"), nil, nil, nil, "plain/text", "1.5"},
		{object, nil, nil, nil, "application/json", `{"a":1,"big":12345678901234567890,"l":[null,"x","y"]}`},
		{[]any{params.Of("${secret:s}", "${secret:s}")}, nil, "a/b", nil, "a/b", `[{"$&%":"$&%"}]`},
		{"x", "json", nil, nil, "application/json", `"x"`},
		{params.Of("a", "x y&", "n", 1, "t", true, "e", nil, "u", "ü"), "form", "text/ignored", nil, form, "a=x+y%26&n=1&t=true&e=&u=%C3%BC"},
		{params.Of("${secret:s}", "${secret:s}"), "Form", nil, nil, form, "%24%26%25=%24%26%25"},
		{"x", nil, nil, []any{params.Of("content-type", "text/mine")}, "text/mine", "x"},
		{"x", nil, "text/said", []any{params.Of("content-type", "text/mine")}, "text/said", "x"},
	} {
		task := p.task("http>", server.URL, "method", "post", "content", tt.content, "content_format", tt.format,
			"content_type", tt.typ, "headers", tt.headers)
		task.Secrets = secrets{"s": "$&%"}
		got := server.only(t, task)
		if kind := got.header.Get("Content-Type"); kind != tt.wantKind || got.body != tt.wantBody {
			t.Errorf("%v: got %q and %q, want %q and %q", tt.content, kind, got.body, tt.wantKind, tt.wantBody)
		}
	}
	visible := params.Of("timeout", 5, "http", params.Of("method", "PUT", "content", params.Of("from", "export"), "last_status", 200))
	if got, want := server.only(t, p.inherit(visible, "http>", server.URL)), `PUT / {"from":"export"}`; got.line+" "+got.body != want {
		t.Errorf("got %s %s, want %s", got.line, got.body, want)
	}
}

func TestHTTPRefuses(t *testing.T) {
	p := newProject(t)
	const address = "http://127.0.0.1:1/"
	bad := func(own ...any) *operator.Task {
		task := p.task(append([]any{"http>", address}, own...)...)
		task.Secrets = secrets{"line": "a\nb", "http.authorization": "c\r\nd"}
		return task
	}
	for _, tt := range []struct {
		task *operator.Task
		want string
	}{
		{p.task("http>", nil), "Parameter '_command' is required but not set"},
		{p.task("http>", "ftp://h/"), `No http or https address: "ftp://h/"`},
		{p.task("http>", "http:///x"), `No http or https address: "http:///x"`},
		{p.task("http>", "/x"), `No http or https address: "/x"`},
		{p.task("http>", "http://h:port/"), `No http or https address: "http://h:port/"`},
		{p.task("http>", address+"${other:x}"), `invalid parametrization: "${other:x}"`},
		{bad("http", 1), "Expected object type for key 'http' but got 1 (number)"},
		{bad("method", "A B"), `Parameter 'method' is no HTTP method: "A B"`},
		{bad("method", []any{}), "Expected string type for key 'method' but got [] (array)"},
		{bad("query", []any{1}), "Expected string type for key 'query' but got [1] (array)"},
		{bad("query", "a=%zz"), `Parameter 'query' is no query: "a=%zz"`},
		{bad("query", params.Of("a", []any{1})), "Parameter 'query' may hold texts, numbers and true or false, but not a: [1]"},
		{bad("headers", params.Of("a", 1)), `Expected array type for key 'headers' but got {"a":1} (object)`},
		{bad("headers", []any{"a: b"}), `Each of 'headers' must be an object with one key, the header's name, and not "a: b"`},
		{bad("headers", []any{params.Of("a", 1, "b", 2)}), `Each of 'headers' must be an object with one key, the header's name, and not {"a":1,"b":2}`},
		{bad("headers", []any{params.Of("a", []any{})}), "Expected string type for key 'a' but got [] (array)"},
		{bad("headers", []any{params.Of("a b", 1)}), `One of 'headers' can be no header: "a b"`},
		{bad("headers", []any{params.Of("a", "x\r\ny: z")}), `One of 'headers' can be no header: "a"`},
		{bad("headers", []any{params.Of("a", "${secret:line}")}), `One of 'headers' can be no header: "a"`},
		{bad(), "The secret http.authorization can be no header"},
		{p.task("http>", address, "content", []any{1}, "content_format", "form"), "Parameter 'content' cannot be sent as form, which takes an object: [1]"},
		{p.task("http>", address, "content", 1, "content_format", "form"), "Parameter 'content' cannot be sent as form, which takes an object: 1"},
		{p.task("http>", address, "content", params.Of("a", params.Of()), "content_format", "form"), "Parameter 'content' may hold texts, numbers and true or false, but not a: {}"},
		{p.task("http>", address, "content", []any{1}, "content_format", "text"), "Parameter 'content' cannot be sent as text: [1]"},
		{p.task("http>", address, "content", 1, "content_format", "xml"), `Parameter 'content_format' must be text, json or form, not "xml"`},
		{p.task("http>", address, "content", []any{"${x:y}"}), `invalid parametrization: "${x:y}"`},
		{p.task("http>", address, "timeout", "1m"), `Expected integer (int) type for key 'timeout' but got "1m" (string)`},
		{p.task("http>", address, "timeout", -1), "Parameter 'timeout' must be a number of seconds, not -1"},
		{p.task("http>", address, "follow_redirects", "maybe"), `Expected 'true' or 'false' for key 'follow_redirects' but got "maybe" (string)`},
		{p.task("http>", address, "retry", 1.5), "Expected 'true' or 'false' for key 'retry' but got 1.5 (number)"},
		{p.task("http>", address, "store_content", "x"), `Expected 'true' or 'false' for key 'store_content' but got "x" (string)`},
		{p.task("http>", address, "insecure", "x"), `Expected 'true' or 'false' for key 'insecure' but got "x" (string)`},
		{p.task("http>", address, "proxy", params.Of("enabled", true)), "Parameter 'host' is required but not set"},
		{p.task("http>", address, "proxy", params.Of("enabled", true, "host", "h")), "Parameter 'port' is required but not set"},
		{p.task("http>", address, "proxy", params.Of("enabled", true, "host", "h", "port", 0)), "Parameter 'proxy': the port must be between 1 and 65535, not 0"},
		{p.task("http>", address, "proxy", params.Of("enabled", true, "host", "a/b", "port", 1)), `Parameter 'proxy': no host: "a/b"`},
	} {
		wantFailure(t, tt.task, tt.want+" (config)")
	}
	wantFailure(t, p.task("http>", address+"${secret:no}"), "Secret not found for key: 'no' (secret not found)")
}

// No secret is in a failure, in the log or in the state, whatever the server
// says of it (operators.md 7.1).
func TestHTTPTellsNoSecrets(t *testing.T) {
	echo := newWeb(t, echoBack)
	dead := newWeb(t, nil)
	dead.Close()
	p := newProject(t)
	all := secrets{
		"host": strings.TrimPrefix(echo.URL, "http://"), "token": "canary-tok&n", "http.user": "canary-user", "http.password": "canary-pw",
	}
	for _, tt := range []struct {
		own           []any
		secrets       secrets
		shown, hidden string
	}{
		{[]any{"http>", "http://${secret:host}/a"}, all, "GET http://***: 400 Bad Request: GET", all["host"]},
		{[]any{"http>", echo.URL + "/${secret:token}"}, all, "GET http://***: 400 Bad Request: GET", all["host"]},
		{[]any{"http>", echo.URL, "query", params.Of("t", "${secret:token}")}, all, "GET http://***: 400 Bad Request: GET", all["host"]},
		{[]any{"http>", echo.URL, "headers", []any{params.Of("X-Token", "${secret:token}")}}, all, "GET " + echo.URL + ": 400", "tok"},
		{[]any{"http>", echo.URL, "content", params.Of("t", "${secret:token}"), "method", "POST"}, all, "POST " + echo.URL + ": 400", "tok"},
		{[]any{"http>", withUser(echo, "joe:canary-pw")}, nil, "GET " + withUser(echo, "joe:xxxxx") + ": 400", "pw"},
		{[]any{"http>", nil}, secrets{"http.uri": dead.URL + "/canary"}, "GET http://***: ", strings.TrimPrefix(dead.URL, "http://")},
		{[]any{"http>", nil}, secrets{"http.uri": "http://canary.invalid/"}, "GET http://***: ", "invalid/"},
		{[]any{"http>", nil}, secrets{"http.uri": "http://[canary/"}, "The address of a request, which has a secret in it, is no", "["},
		{[]any{"http>", "http://h/%z${secret:token}"}, all, "The address of a request, which has a secret in it, is no", "%z"},
	} {
		for _, retry := range []any{nil, false} {
			before := len(p.logged())
			task := p.task(append(tt.own, "retry", retry)...)
			task.Secrets = tt.secrets
			_, err := run(t, task)
			if err == nil {
				t.Fatalf("%v: got success, want a failure", tt.own)
			}
			seen := err.Error() + p.logged()[before:]
			for _, hidden := range []string{"canary", "Y2FuYXJ5", tt.hidden} {
				if strings.Contains(seen, hidden) {
					t.Errorf("%v: got %s, want it without %s", tt.own, seen, hidden)
				}
			}
			if !strings.Contains(seen, tt.shown) {
				t.Errorf("%v: got %s, want it to contain %s", tt.own, seen, tt.shown)
			}
		}
	}
}

func withUser(server *web, user string) string {
	return strings.Replace(server.URL, "://", "://"+user+"@", 1)
}
