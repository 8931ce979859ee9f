// Package envproxy chooses HTTP proxies by environment variables, as Digdag's
// client and its `http>` do (server.md 2.3).
//
// It knows no environment of its own: who asks says whose counts. Its invariant:
// what cannot be read is an error that tells no value, for there may be a password
// in it.
package envproxy

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// For finds the proxy for an address in an environment; nil for none. Unlike
// net/http's rules, and as in Digdag, this machine is no exception, and the proxy
// for http stands in for that for https.
func For(to *url.URL, getenv func(string) string) (*url.URL, error) {
	names := []string{"http_proxy", "HTTP_PROXY"}
	if to.Scheme == "https" {
		names = append([]string{"https_proxy", "HTTPS_PROXY"}, names...)
	}
	for _, name := range names {
		text := getenv(name)
		if text == "" {
			continue
		}
		if direct(to.Hostname(), getenv) {
			return nil, nil
		}
		if !strings.Contains(text, "://") {
			text = "http://" + text
		}
		proxy, err := url.Parse(text)
		if err != nil || proxy.Hostname() == "" {
			return nil, fmt.Errorf("the variable %s is no address of a proxy", name)
		}
		return proxy, nil
	}
	return nil, nil
}

// direct tells whether NO_PROXY names a host, or a domain or a network that it is
// in.
func direct(host string, getenv func(string) string) bool {
	list := getenv("no_proxy")
	if list == "" {
		list = getenv("NO_PROXY")
	}
	host = strings.ToLower(host)
	ip := net.ParseIP(host)
	for entry := range strings.SplitSeq(strings.ToLower(list), ",") {
		entry = strings.TrimSpace(entry)
		if name, _, err := net.SplitHostPort(entry); err == nil {
			entry = name
		}
		domain := strings.TrimPrefix(strings.TrimPrefix(entry, "*"), ".")
		_, network, err := net.ParseCIDR(entry)
		switch {
		case entry == "":
		case entry == "*", host == domain, domain != "" && strings.HasSuffix(host, "."+domain):
			return true
		case err == nil && ip != nil && network.Contains(ip):
			return true
		}
	}
	return false
}
