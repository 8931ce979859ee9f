package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitdag/engine/operator"
	"gitdag/engine/operator/param"
	"gitdag/engine/operator/pg"
	"gitdag/notify/mail/mailtest"
)

func TestMailServerOfTheConfiguration(t *testing.T) {
	config := properties{}
	config.read("config.mail.host=h\nconfig.mail.port=587\nconfig.mail.username=u\nconfig.mail.password=\\ p\nconfig.mail.tls=false\n" +
		"config.mail.ssl=true\nconfig.mail.debug=true\nconfig.mail.from=a@x\nconfig.mail.subject=s")
	want := operator.MailServer{
		Host: "h", Port: 587, Username: "u", Password: " p", SSL: true, Debug: true, From: "a@x", Subject: "s",
	}
	if got, err := mailServer(config); err != nil || !cmp.Equal(got, want) {
		t.Errorf("got %v, want %v", err, cmp.Diff(want, got))
	}
	if got, err := mailServer(properties{}); err != nil || !cmp.Equal(got, operator.MailServer{TLS: true}) {
		t.Errorf("without any: got %+v, %v", got, err)
	}
	for key, want := range map[string]string{
		"port": `configuration: config.mail.port: must be a number of 0 or more, not "x"`,
		"ssl":  `configuration: config.mail.ssl: must be true or false, not "x"`,
	} {
		if _, err := configuredOperators(properties{"config.mail." + key: "x"}); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestHTTPClientOfTheConfiguration(t *testing.T) {
	config := properties{}
	config.read("config.http.user_agent=u\nconfig.http.max_redirects=2\nconfig.http.max_stored_response_content_size=3\n" +
		"config.http_call.max_response_content_size=4\nconfig.http.allow_user_proxy=false\nconfig.http.proxy.enabled=true\n" +
		"config.http.proxy.host=h\nconfig.http.proxy.port=5\nconfig.http.proxy.tls=true")
	want := operator.HTTPClient{
		UserAgent: "u", MaxRedirects: 2, MaxStored: 3, MaxDocument: 4, NoTaskProxy: true, Proxy: &url.URL{Scheme: "https", Host: "h:5"},
	}
	if got, err := httpClient(config); err != nil || !cmp.Equal(got, want) {
		t.Errorf("got %v, want %v", err, cmp.Diff(want, got))
	}
	without := properties{"config.http.proxy.host": "h", "config.http.proxy.port": "5"}
	if got, err := httpClient(without); err != nil || !cmp.Equal(got, operator.HTTPClient{}) {
		t.Errorf("without any that is enabled: got %+v, %v", got, err)
	}
	for key, want := range map[string]string{
		"http.max_redirects":                  `configuration: config.http.max_redirects: must be a number of 0 or more, not "x"`,
		"http.proxy.enabled":                  `configuration: config.http.proxy.enabled: must be true or false, not "x"`,
		"http_call.max_response_content_size": `configuration: config.http_call.max_response_content_size: must be a number of 0 or more, not "x"`,
	} {
		if _, err := configuredOperators(properties{"config." + key: "x"}); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, err := httpClient(properties{"config.http.proxy.enabled": "true"}); err == nil {
		t.Error("got no error for a proxy without a host and a port")
	}
}

// A run waits for the server, with what the configuration says.
func TestHTTPOfARun(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked++; asked == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"+t": {"echo>": "day ${session_date}, ${http.last_status}, `+r.UserAgent()+`"}}`)
	}))
	defer server.Close()
	files := map[string]string{"w.dig": "+a:\n  http>: " + server.URL + "\n+b:\n  http_call>: " + server.URL + "\n"}
	out, err := runIn(t, files, "run", "w", "-X", "config.http.user_agent=robot", "--session", "2031-04-05")
	if err != nil || !strings.Contains(out, "503 Service Unavailable: retry 1 of 7 in 1s\n") || !strings.Contains(out, "day 2031-04-05, 200, robot\n") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = runIn(t, files, "run", "w", "-X", "config.http_call.max_response_content_size=9")
	if err == nil || !strings.Contains(out, "the document is too large: it has more than 9 characters") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestMailOfARun(t *testing.T) {
	server := mailtest.New(t, mailtest.Options{User: "joe", Password: "canary-pw", Answers: map[string][]string{"RCPT": {"450 later"}}})
	files := map[string]string{
		"w.dig": "+a:\n  _retry: 1\n  mail>: body.txt\n  to: ann@example.com\n  debug: true\n", "body.txt": "day ${session_date}",
		"config": strings.Join([]string{
			"config.mail.host=" + server.Host, "config.mail.port=" + strconv.Itoa(server.Port), "config.mail.from=robot@example.com",
			"config.mail.subject=${session_date}", "config.mail.username=joe", "config.mail.password=canary-pw",
		}, "\n"),
	}
	out, err := runIn(t, files, "run", "w", "-c", "config", "--session", "2031-04-05")
	if err != nil || !strings.Contains(out, `450 "later"`) || strings.Contains(out, "canary") {
		t.Errorf("%v\n%s", err, out)
	}
	list := server.Messages()
	if len(list) != 1 || !strings.Contains(list[0].Data, "\r\nday 2031-04-05") || !strings.Contains(list[0].Data, "Subject: ${session_date}\r\n") {
		t.Errorf("got %v", list)
	}
	out, err = runIn(t, files, "run", "w", "-X", "config.mail.port=x")
	if err == nil || !strings.Contains(out, "error: configuration: config.mail.port: must be a number") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestLimitsOfTheConfiguration(t *testing.T) {
	config := properties{}
	config.read("config.jdbc.max_store_last_results_rows=5\nconfig.jdbc.max_store_last_results_columns=6\nconfig.pg.max_store_last_results_rows=7")
	if got, err := resultLimits(config); err != nil || got != (pg.Limits{Rows: 7, Columns: 6}) {
		t.Errorf("got %+v, %v", got, err)
	}
	want := `configuration: config.jdbc.max_store_last_results_value_size: must be a number of 0 or more, not "x"`
	if _, err := configuredOperators(properties{"config.jdbc.max_store_last_results_value_size": "x"}); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestParamServerOfTheConfiguration(t *testing.T) {
	config := properties{}
	config.read("param_server.type=postgresql\nparam_server.host=h\nparam_server.port=1\nparam_server.user=u\nparam_server.password=\\ p\n" +
		"param_server.database=d\nparam_server.ssl=true\nparam_server.loginTimeout=2\nparam_server.socketTimeout=3")
	want := param.Server{
		Type: "postgresql", Host: "h", Port: 1, User: "u", Password: " p", Database: "d", SSL: true, Connect: 2 * time.Second, Silence: 3 * time.Second,
	}
	if got, err := paramServer(config); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	config.set("param_server.type", "redis") // which has no use for some of it
	want = param.Server{Type: "redis", Host: "h", Port: 1, Password: " p", SSL: true}
	if got, err := paramServer(config); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	delete(config, "param_server.type")
	if got, err := paramServer(config); err != nil || got != (param.Server{}) {
		t.Errorf("without a type: got %+v, %v", got, err)
	}
	for want, config := range map[string]properties{
		`configuration: param_server.port: must be a number of 0 or more, not "x"`: {"param_server.type": "redis", "param_server.port": "x"},
		`configuration: param_server: type is postgresql or redis, not "mysql"`:    {"param_server.type": "mysql"},
		`configuration: param_server: database is missing, which postgresql needs`: {"param_server.type": "postgresql", "param_server.host": "h", "param_server.user": "u"},
	} {
		if _, err := paramServer(config); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
