package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

// Trouble names network trouble without quoting it: the errors of net/http carry the URL.
func Trouble(err error) string {
	var dns *net.DNSError
	var op *net.OpError
	var timeout interface{ Timeout() bool }
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case errors.As(err, &dns):
		return "the host's name could not be resolved"
	case errors.As(err, &op) && op.Op == "dial":
		return "could not connect"
	case errors.As(err, &certificate):
		return "the server's certificate could not be verified"
	case errors.As(err, &record):
		return "the server does not speak TLS"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return "the connection was closed without an answer"
	default:
		return "the request failed"
	}
}

// RetryAfter reads the Retry-After header's two forms, seconds and date. Anything else asks for nothing.
func RetryAfter(header string, now time.Time) time.Duration {
	const most = 24 * time.Hour // beyond it the number is nonsense, and larger ones overflow
	if s, err := strconv.Atoi(header); err == nil {
		return min(time.Duration(max(0, min(s, int(most/time.Second))))*time.Second, most)
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(0, at.Sub(now)), most)
	}
	return 0
}

// Transport is the HTTP transport of a channel that is given none: with the
// environment's proxy, and answer as the limit for the head of an answer.
func Transport(answer time.Duration) http.RoundTripper {
	const wait = 5 * time.Second
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: wait}).DialContext,
		TLSHandshakeTimeout:   wait,
		ResponseHeaderTimeout: answer,
		IdleConnTimeout:       30 * time.Second,
		MaxIdleConnsPerHost:   1,
		ForceAttemptHTTP2:     true,
	}
}
