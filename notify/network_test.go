package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"syscall"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		header string
		want   time.Duration
	}{
		{"", 0},
		{"0", 0},
		{"30", 30 * time.Second},
		{"-1", 0},
		{"1.5", 0},
		{"99999999999", 24 * time.Hour},
		{"999999999999999999999999", 0},
		{"Mon, 23 Nov 2026 00:01:00 GMT", time.Minute},
		{"Sun, 22 Nov 2026 00:00:00 GMT", 0},
		{"Mon, 23 Nov 2099 00:00:00 GMT", 24 * time.Hour},
	} {
		if got := RetryAfter(tt.header, now); got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.header, got, tt.want)
		}
	}
}

func TestTrouble(t *testing.T) {
	quoted := func(err error) error {
		return &url.Error{Op: "Post", URL: "https://example.com/canary", Err: err}
	}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{context.DeadlineExceeded, "no answer in time"},
		{os.ErrDeadlineExceeded, "no answer in time"},
		{&net.DNSError{Err: "no such host", Name: "canary"}, "the host's name could not be resolved"},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, "could not connect"},
		{&net.OpError{Op: "read", Err: syscall.ECONNRESET}, "the connection was closed without an answer"},
		{io.ErrUnexpectedEOF, "the connection was closed without an answer"},
		{&tls.CertificateVerificationError{Err: errors.New("canary")}, "the server's certificate could not be verified"},
		{tls.RecordHeaderError{Msg: "canary"}, "the server does not speak TLS"},
		{errors.New("canary"), "the request failed"},
	} {
		if got := Trouble(quoted(tt.err)); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.err, got, tt.want)
		}
	}
}
