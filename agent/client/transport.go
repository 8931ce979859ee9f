package client

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"gitdag/internal/envproxy"
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
		t.Proxy = func(r *http.Request) (*url.URL, error) { return envproxy.For(r.URL, proxies) }
	}
	if o.AnyCertificate {
		t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	}
	return t, nil
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
