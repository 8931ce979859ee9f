package client

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// transport returns the transport that the options ask for.
func (o *Options) transport() (*http.Transport, error) {
	standard, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return nil, errors.New("the HTTP transport was replaced")
	}
	t := standard.Clone()
	t.ResponseHeaderTimeout = timeout
	t.Proxy = nil
	if o.Getenv != nil {
		proxies := o.Getenv
		t.Proxy = func(r *http.Request) (*url.URL, error) { return proxyFor(r.URL, proxies) }
	}
	if o.AnyCertificate {
		t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	}
	return t, nil
}

// proxyFor finds the proxy for an address in the environment (server.md 2.3),
// nil for none. Unlike net/http's rules, and as in Digdag, this machine is no
// exception, and the proxy for http stands in for that for https.
func proxyFor(to *url.URL, getenv func(string) string) (*url.URL, error) {
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
		if err != nil || proxy.Host == "" {
			return nil, fmt.Errorf("%s is no address of a proxy", name)
		}
		return proxy, nil
	}
	return nil, nil
}

// direct tells whether NO_PROXY names a host, or a domain that it is in, or a
// network.
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
		case entry == "*", host == domain, strings.HasSuffix(host, "."+domain):
			return true
		case err == nil && ip != nil && network.Contains(ip):
			return true
		}
	}
	return false
}

// checkHeader refuses what HTTP cannot carry.
func checkHeader(h http.Header) error {
	for name, values := range h {
		if name == "" || strings.ContainsAny(name, " \t\r\n:") {
			return fmt.Errorf("%q is no name of a header", name)
		}
		for _, value := range values {
			if strings.ContainsAny(value, "\r\n\x00") {
				return fmt.Errorf("the value of header %s has a line break", name)
			}
		}
	}
	return nil
}

// badCertificate tells whether a server's certificate was refused.
func badCertificate(err error) bool {
	var refused *tls.CertificateVerificationError
	return errors.As(err, &refused)
}
