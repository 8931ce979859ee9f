package operator_test

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"gitdag/engine/operator"
	"gitdag/engine/params"
)

var quiet = log.New(io.Discard, "", 0)

// echoBack refuses a request and tells all that it has of it.
func echoBack(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	header, _ := json.Marshal(r.Header)
	w.WriteHeader(http.StatusBadRequest)
	fmt.Fprintf(w, "%s http://%s%s %s %s", r.Method, r.Host, r.RequestURI, header, body)
}

// redirecting answers with a redirect for each path that is listed.
func redirecting(status int, to map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if location, ok := to[r.URL.Path]; ok {
			w.Header().Set("Location", location)
			w.WriteHeader(status)
		}
	}
}

// A redirected request goes on as HTTP clients have it (O38).
func TestHTTPFollowsRedirects(t *testing.T) {
	for _, tt := range []struct {
		method string
		status int
		want   string
	}{
		{"GET", 301, "GET /a x, GET /b x"},
		{"GET", 302, "GET /a x, GET /b x"},
		{"GET", 303, "GET /a x, GET /b"},
		{"HEAD", 303, "HEAD /a x, HEAD /b x"},
		{"POST", 301, "POST /a x, GET /b"},
		{"POST", 302, "POST /a x, GET /b"},
		{"POST", 303, "POST /a x, GET /b"},
		{"POST", 307, "POST /a x, POST /b x"},
		{"POST", 308, "POST /a x, POST /b x"},
		{"PUT", 302, "PUT /a x, PUT /b x"},
		{"PUT", 303, "PUT /a x, GET /b"},
		{"DELETE", 307, "DELETE /a x, DELETE /b x"},
		{"POST", 300, "POST /a x"},
		{"POST", 304, "POST /a x"},
	} {
		server := newWeb(t, redirecting(tt.status, map[string]string{"/a": "/b"}))
		got := mustRun(t, newProject(t).task("http>", server.URL+"/a", "method", tt.method, "content", "x", "headers",
			[]any{params.Of("X-Kept", "k")}))
		asked := server.requests()
		server.asked = asked
		if lines := server.lines(); lines != tt.want {
			t.Errorf("%s, %d: got %s, want %s", tt.method, tt.status, lines, tt.want)
		}
		last := asked[len(asked)-1]
		if got := last.header.Get("Content-Type") != ""; got != (last.body != "") || last.header.Get("X-Kept") != "k" || last.header.Get("Referer") != "" {
			t.Errorf("%s, %d: got headers %v in the end", tt.method, tt.status, last.header)
		}
		if stored := encoded(got.Store); tt.status > 304 && !strings.Contains(stored, "200") {
			t.Errorf("%s, %d: got %s, want the last status", tt.method, tt.status, stored)
		}
	}
}

func TestHTTPEndsRedirects(t *testing.T) {
	p := newProject(t)
	loop := newWeb(t, redirecting(302, map[string]string{"/a": "b?x", "/b": "/a"}))
	wantFailure(t, p.task("http>", loop.URL+"/a", "retry", false),
		"HTTP request failed: GET "+loop.URL+"/a: it was redirected more than 8 times")
	if got := len(loop.requests()); got != 9 {
		t.Errorf("got %d requests, want 9", got)
	}
	polled(t, p.task("http>", loop.URL+"/a"))
	loop.requests()
	two := operator.HTTP(operator.HTTPClient{MaxRedirects: 2}).Operator
	if _, err := two.Run(t.Context(), p.task("http>", loop.URL+"/a", "retry", false)); err == nil || !strings.Contains(err.Error(), "more than 2 times") {
		t.Errorf("got %v, want the end after 2 redirects", err)
	}
	loop.requests()
	if got, want := encoded(mustRun(t, p.task("http>", loop.URL+"/a", "follow_redirects", false)).Store), `{"http":{"last_status":302}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := loop.lines(), "GET /a"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	odd := newWeb(t, redirecting(301, map[string]string{"/none": "", "/file": "file:///etc/passwd", "/bad": "http://%zz/"}))
	if got := encoded(mustRun(t, p.task("http>", odd.URL+"/none")).Store); !strings.Contains(got, "301") {
		t.Errorf("got %s, want the redirect that leads nowhere", got)
	}
	for _, path := range []string{"/file", "/bad"} {
		wantFailure(t, p.task("http>", odd.URL+path, "retry", false),
			"HTTP request failed: GET "+odd.URL+path+": it was redirected to what is no http or https address")
	}
}

// Another server than the one that was meant gets no secrets.
func TestHTTPRedirectsCarryNoSecretsElsewhere(t *testing.T) {
	other := newWeb(t, nil)
	same := newWeb(t, nil)
	same.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		same.asked = append(same.asked, asked{r.Method + " " + r.RequestURI, r.Header, r.Host, string(body)})
		redirecting(307, map[string]string{"/out": other.URL + "/x", "/in": "/x"})(w, r)
	})
	p := newProject(t)
	task := func(path string, content string) *operator.Task {
		task := p.task("http>", same.URL+path, "method", "POST", "content", content, "headers", []any{
			params.Of("X-Token", "${secret:token}"), params.Of("X-Open", "o"), params.Of("Cookie", "c"), params.Of("Host", "named.example"),
		})
		task.Secrets = secrets{"token": "canary", "http.authorization": "Bearer canary"}
		return task
	}
	mustRun(t, task("/in", "${secret:token}"))
	for _, a := range same.requests() {
		if a.header.Get("X-Token") != "canary" || a.header.Get("Authorization") != "Bearer canary" || a.body != "canary" || a.host != "named.example" {
			t.Errorf("got %+v, want all secrets", a)
		}
	}
	mustRun(t, task("/out", "open"))
	a := other.requests()[0]
	if a.header.Get("X-Open") != "o" || a.body != "open" || strings.Contains(fmt.Sprint(a), "canary") || a.header.Get("Cookie") != "" ||
		a.host != strings.TrimPrefix(other.URL, "http://") {
		t.Errorf("got %+v, want no secrets", a)
	}
	wantFailure(t, task("/out", "${secret:token}"), "HTTP request failed: POST "+same.URL+
		"/out: it was redirected to another server, which must not get the secret in its body")
	if got := other.lines(); got != "" {
		t.Errorf("got the requests %s, want none", got)
	}
}

// Servers that do what they should not are failures that another try may mend.
func TestHTTPServersThatFail(t *testing.T) {
	p := newProject(t)
	hijack := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(c, text)
			_ = c.Close()
		}
	}
	waiting := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, text)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	}
	silent := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"hangs up":              {hijack(""), "the server closed the connection"},
		"hangs up in the head":  {hijack("HTTP/1.1 200 OK\r\nA: b\r\n"), "the server closed the connection"},
		"hangs up in the body":  {hijack("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), "the server closed the connection"},
		"speaks something else": {hijack("220 mail.example ESMTP\r\n\r\n"), "malformed HTTP"},
		"endless head":          {hijack("HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", 2<<20)), "headers exceeded"},
		"bad chunks":            {hijack("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "invalid byte in chunk length"},
		"says nothing":          {silent, "timed out after 1s"},
		"does not end":          {waiting("abc"), "timed out after 1s"},
	} {
		for _, store := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, store_content: %v", name, store), func(t *testing.T) {
				t.Parallel()
				server := newWeb(t, tt.answer)
				_, err := run(t, p.task("http>", server.URL, "timeout", 1, "retry", false, "store_content", store))
				if err == nil || !strings.HasPrefix(err.Error(), "HTTP request failed: GET "+server.URL+": ") || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, want %s", err, tt.want)
				}
				polled(t, p.task("http>", server.URL, "timeout", 1, "store_content", store))
			})
		}
	}
}

// Neither is more read than is wanted, nor waited for.
func TestHTTPReadsWithinBounds(t *testing.T) {
	p := newProject(t)
	server := newWeb(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "why")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	wantFailure(t, p.task("http>", server.URL, "timeout", 1), "HTTP request failed: GET "+server.URL+": 400 Bad Request: why")
	endless := newWeb(t, func(w http.ResponseWriter, _ *http.Request) {
		block := []byte(strings.Repeat("x", 64<<10))
		for {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	mustRun(t, p.task("http>", endless.URL, "timeout", 0))
	wantFailure(t, p.task("http>", endless.URL, "store_content", true), "HTTP request failed: GET "+endless.URL+
		": the answer is too large to be stored: it has more than 65536 characters")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + listener.Addr().String()
	_ = listener.Close()
	if _, err := run(t, p.task("http>", closed, "method", "POST")); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("got %v, want a failure", err)
	}
}

func TestHTTPTrustsCertificates(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "over tls") }))
	server.Config.ErrorLog = quiet
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	p := newProject(t)
	for _, tt := range []struct {
		client   operator.HTTPClient
		insecure any
		want     string
	}{
		{operator.HTTPClient{}, nil, "certificate signed by unknown authority"},
		{operator.HTTPClient{}, true, ""},
		{operator.HTTPClient{RootCAs: roots}, nil, ""},
	} {
		task := p.task("http>", server.URL, "insecure", tt.insecure, "retry", false, "store_content", true)
		result, err := operator.HTTP(tt.client).Operator.Run(t.Context(), task)
		switch {
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("got %v, want %s", err, tt.want)
		case tt.want == "" && (err != nil || !strings.Contains(encoded(result.Store), "over tls")):
			t.Errorf("insecure: %v: got %v", tt.insecure, err)
		}
	}
	polled(t, p.task("http>", server.URL))
}

// newProxy starts a proxy that notes what it is asked for, and passes it on.
func newProxy(t *testing.T) *web {
	t.Helper()
	return newWeb(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			if r.URL.Host == "" {
				t.Errorf("got %s, want an absolute address", r.RequestURI)
			}
			return
		}
		to, err := net.Dial("tcp", r.Host)
		if err != nil {
			t.Error(err)
			return
		}
		defer to.Close()
		from, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer from.Close()
		_, _ = io.WriteString(from, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(to, from) }()
		_, _ = io.Copy(from, to)
	})
}

func TestHTTPProxies(t *testing.T) {
	server := newWeb(t, nil)
	encrypted := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer encrypted.Close()
	proxy := newProxy(t)
	at, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	own := params.Of("enabled", true, "host", at.Hostname(), "port", at.Port())
	p := newProject(t)
	direct, through, tunnel := "", "GET "+server.URL+"/", "CONNECT "+strings.TrimPrefix(encrypted.URL, "https://")
	for name, tt := range map[string]struct {
		client  operator.HTTPClient
		address string
		own     *params.Map
		environ []string
		want    string
	}{
		"none":                    {address: server.URL, want: direct},
		"http_proxy":              {address: server.URL, environ: []string{"http_proxy=" + proxy.URL}, want: through},
		"without a scheme":        {address: server.URL, environ: []string{"HTTP_PROXY=" + at.Host}, want: through},
		"for https":               {address: encrypted.URL, environ: []string{"HTTPS_PROXY=" + proxy.URL, "http_proxy=http://127.0.0.1:1"}, want: tunnel},
		"http's for https":        {address: encrypted.URL, environ: []string{"http_proxy=" + proxy.URL}, want: tunnel},
		"https's not for http":    {address: server.URL, environ: []string{"https_proxy=" + proxy.URL}, want: direct},
		"no_proxy":                {address: server.URL, environ: []string{"http_proxy=" + proxy.URL, "no_proxy=x, 127.0.0.0/8"}, want: direct},
		"NO_PROXY of others":      {address: server.URL, environ: []string{"http_proxy=" + proxy.URL, "NO_PROXY=.example.com,,10.0.0.1:80,7.0.0.1"}, want: through},
		"NO_PROXY for all":        {address: server.URL, environ: []string{"http_proxy=" + proxy.URL, "NO_PROXY=*"}, want: direct},
		"the task's":              {address: server.URL, own: own, environ: []string{"http_proxy=http://127.0.0.1:1"}, want: through},
		"the task's for https":    {address: encrypted.URL, own: own, want: tunnel},
		"the task's, not enabled": {address: server.URL, own: params.Of("host", "h", "port", 1), want: direct},
		"the task's, which is not allowed": {
			client: operator.HTTPClient{NoTaskProxy: true}, address: server.URL, own: own, want: direct,
		},
		"the installation's":     {client: operator.HTTPClient{Proxy: at}, address: server.URL, environ: []string{"http_proxy=http://127.0.0.1:1"}, want: through},
		"the task's before that": {client: operator.HTTPClient{Proxy: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}}, address: server.URL, own: own, want: through},
		"of another environment": {
			client: operator.HTTPClient{Getenv: func(name string) string { return map[string]string{"http_proxy": proxy.URL}[name] }}, address: server.URL, want: through,
		},
	} {
		task := p.task("http>", tt.address, "proxy", tt.own, "insecure", true)
		task.Environ = append(task.Environ, tt.environ...)
		if _, err := operator.HTTP(tt.client).Operator.Run(t.Context(), task); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := proxy.lines(); got != tt.want {
			t.Errorf("%s: got the proxy asked for %q, want %q", name, got, tt.want)
		}
	}
	if got, want := p.logged(), "the proxy of this task is not used: config.http.allow_user_proxy is false"; strings.Count(got, want) != 1 {
		t.Errorf("got the log %s, want it to say once that %s", got, want)
	}
	task := p.task("http>", server.URL, "proxy", own)
	task.Secrets = secrets{"http.proxy.user": "joe", "http.proxy.password": "pw"}
	mustRun(t, task)
	if got, want := proxy.requests()[0].header.Get("Proxy-Authorization"), "Basic am9lOnB3"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	task = p.task("http>", server.URL, "retry", false)
	task.Environ = append(task.Environ, "http_proxy=://canary")
	_, err = run(t, task)
	var failure *operator.Error
	if !errors.As(err, &failure) || !strings.HasSuffix(err.Error(), "the variable http_proxy is no address of a proxy") {
		t.Errorf("got %v, want a failure", err)
	}
}

func TestProxyAddress(t *testing.T) {
	for _, tt := range []struct {
		host   string
		port   int
		secure bool
		want   string
	}{
		{"h", 80, false, "http://h:80"}, {"::1", 443, true, "https://[::1]:443"}, {"", 1, false, ""}, {"h", 70000, false, ""}, {"u@h", 1, false, ""},
	} {
		got, err := operator.ProxyAddress(tt.host, tt.port, tt.secure)
		if (err == nil) != (tt.want != "") || err == nil && got.String() != tt.want {
			t.Errorf("%s:%d: got %v, %v, want %q", tt.host, tt.port, got, err, tt.want)
		}
	}
}
