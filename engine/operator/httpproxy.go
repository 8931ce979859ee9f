package operator

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gitdag/engine/params"
	"gitdag/internal/envproxy"
)

// readTransport reads how the server is reached.
func (r *requestReader) readTransport(ctx context.Context) error {
	insecure, err := params.Optional(r.config, "insecure", params.Bool, false)
	if err != nil {
		return err
	}
	proxy, err := r.proxy(ctx)
	if err != nil {
		return err
	}
	r.transport = &http.Transport{
		Proxy:                  proxy,
		DialContext:            (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: r.client.RootCAs, InsecureSkipVerify: insecure},
		MaxResponseHeaderBytes: 1 << 20,
	}
	return nil
}

type proxyChoice func(*http.Request) (*url.URL, error)

// proxy chooses the proxy: the task's own, or the installation's, or one that
// the environment names.
func (r *requestReader) proxy(ctx context.Context) (proxyChoice, error) {
	own, err := r.ownProxy(ctx)
	switch {
	case err != nil:
		return nil, err
	case own != nil && !r.client.NoTaskProxy:
		return http.ProxyURL(own), nil
	case own != nil:
		if _, err := io.WriteString(r.t.Log, "http: the proxy of this task is not used: config.http.allow_user_proxy is false\n"); err != nil {
			return nil, fmt.Errorf("write to the task log: %w", err)
		}
	}
	if r.client.Proxy != nil {
		return http.ProxyURL(r.client.Proxy), nil
	}
	if getenv := r.client.Getenv; getenv != nil {
		return func(request *http.Request) (*url.URL, error) { return envproxy.For(request.URL, getenv) }, nil
	}
	return EnvironmentProxy(r.t), nil
}

// EnvironmentProxy chooses the proxy that the environment of a task's commands names.
func EnvironmentProxy(t *Task) func(*http.Request) (*url.URL, error) {
	getenv := func(name string) string { return variable(t.Environ, name) }
	return func(request *http.Request) (*url.URL, error) { return envproxy.For(request.URL, getenv) }
}

// ownProxy reads the parameter `proxy`; nil if there is none. The secrets
// http.proxy.user and http.proxy.password say who asks there.
func (r *requestReader) ownProxy(ctx context.Context) (*url.URL, error) {
	options, err := params.Optional(r.config, "proxy", params.Object, nil)
	if err != nil {
		return nil, err
	}
	enabled, err := params.Optional(options, "enabled", params.Bool, false)
	if err != nil || !enabled {
		return nil, err
	}
	host, err := params.Required(options, "host", params.String)
	if err != nil {
		return nil, err
	}
	port, err := params.Required(options, "port", params.Int)
	if err != nil {
		return nil, err
	}
	secure, err := params.Optional(options, "tls", params.Bool, false)
	if err != nil {
		return nil, err
	}
	proxy, err := ProxyAddress(host, port, secure)
	if err != nil {
		return nil, configError("Parameter 'proxy': %v", err)
	}
	user, found, err := r.secret(ctx, "proxy.user")
	if err != nil || !found {
		return proxy, err
	}
	password, _, err := r.secret(ctx, "proxy.password")
	proxy.User = url.UserPassword(user, password)
	return proxy, err
}

// ProxyAddress returns the address of a proxy that is reached in the clear, or
// by TLS.
func ProxyAddress(host string, port int, secure bool) (*url.URL, error) {
	scheme := "http"
	if secure {
		scheme = "https"
	}
	if port < 1 || port > 65535 {
		return nil, fmt.Errorf("the port must be between 1 and 65535, not %d", port)
	}
	proxy, err := url.Parse(scheme + "://" + net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil || proxy.Hostname() != host || host == "" {
		return nil, fmt.Errorf("no host: %s", sample(host))
	}
	return proxy, nil
}

// variable finds a variable among "NAME=value"; of several the last counts.
func variable(environ []string, name string) (value string) {
	for _, entry := range environ {
		if key, text, _ := strings.Cut(entry, "="); key == name {
			value = text
		}
	}
	return value
}
