package envproxy

import (
	"net/url"
	"testing"
)

func env(entries map[string]string) func(string) string {
	return func(name string) string { return entries[name] }
}

func TestFor(t *testing.T) {
	both := map[string]string{"http_proxy": "http://plain:1", "https_proxy": "http://tls:2"}
	for _, c := range []struct {
		to   string
		env  map[string]string
		want string
	}{
		{"http://a", nil, ""},
		{"http://a", both, "http://plain:1"},
		{"https://a", both, "http://tls:2"},
		{"http://localhost:65432", both, "http://plain:1"}, // this machine, too
		{"https://127.0.0.1", map[string]string{"HTTP_PROXY": "plain:1"}, "http://plain:1"},
		{"http://a", map[string]string{"HTTPS_PROXY": "http://tls:2"}, ""},
		{"http://a", map[string]string{"http_proxy": "http://low:1", "HTTP_PROXY": "http://high:1"}, "http://low:1"},
		{"https://a", map[string]string{"http_proxy": "http://plain:1", "HTTPS_PROXY": "https://u:p@tls:2/"}, "https://u:p@tls:2/"},
		{"http://a", map[string]string{"http_proxy": "http://"}, "error"},
		{"http://a", map[string]string{"http_proxy": "%"}, "error"},
	} {
		to, err := url.Parse(c.to)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		proxy, err := For(to, env(c.env))
		if err != nil {
			got = "error"
		} else if proxy != nil {
			got = proxy.String()
		}
		if got != c.want {
			t.Errorf("%s with %v: got %q, want %q", c.to, c.env, got, c.want)
		}
	}
}

func TestNoProxy(t *testing.T) {
	for _, c := range []struct {
		host, list string
		want       bool
	}{
		{"a.example.com", "", false},
		{"a.example.com", "*", true},
		{"a.example.com", "b.com, EXAMPLE.com", true},
		{"a.example.com", ".example.com", true},
		{"a.example.com", "*.example.com:80", true},
		{"example.com", ".example.com", true},
		{"badexample.com", "example.com", false},
		{"localhost", "127.0.0.1", false},
		{"10.1.2.3", "10.0.0.0/8", true},
		{"11.1.2.3", "10.0.0.0/8,,", false},
		{"::1", "::1", true},
	} {
		for _, name := range []string{"no_proxy", "NO_PROXY"} {
			if got := direct(c.host, env(map[string]string{name: c.list})); got != c.want {
				t.Errorf("%s with %s=%q: got %v, want %v", c.host, name, c.list, got, c.want)
			}
		}
	}
}
