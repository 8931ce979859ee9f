package api

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pipe is a listener whose connections are in memory, so that their deadlines
// are those of the test's clock.
type pipe struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipe) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipe) Close() error   { close(p.done); return nil }
func (p *pipe) Addr() net.Addr { return &net.UnixAddr{} }

// overPipe serves an API with a client that is connected to it, sends and
// receives.
func overPipe(t *testing.T, h http.Handler, send, receive func(c net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &pipe{make(chan net.Conn), make(chan struct{})}
		server := &http.Server{Handler: h, IdleTimeout: 240 * time.Hour, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = server.Serve(p)
		}()
		ours, theirs := net.Pipe()
		p.conns <- theirs
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			send(ours)
		}()
		receive(ours)
		_ = ours.Close()
		<-sent
		_ = server.Close()
		<-ended
		synctest.Wait()
	})
}

// drip sends bytes at a rate until the connection takes no more.
func drip(c net.Conn, data []byte, every time.Duration, bytes int) {
	for len(data) > 0 {
		<-time.After(every)
		n := min(bytes, len(data))
		if _, err := c.Write(data[:n]); err != nil {
			return
		}
		data = data[n:]
	}
}

// A body that comes slower than any line is not waited for, be its length known
// or not; one that comes steadily is taken.
func TestSlowBodies(t *testing.T) {
	const length = 64 << 10
	body := []byte(`{"value":"` + strings.Repeat("x", length-12) + `"}`)
	for _, c := range []struct {
		name, method, path, kind string
		every                    time.Duration
		bytes                    int
		want                     int
		within                   time.Duration
	}{
		{"a byte a second", "PUT", "/api/attempts", jsonType, time.Second, 1, 408, time.Minute},
		{"an upload of a byte a second", "PUT", "/api/projects?project=p&revision=r", gzipped, time.Second, 1, 408, time.Minute},
		{"32 KiB a second", "PUT", "/api/attempts", jsonType, time.Second, 32 << 10, 400, 10 * time.Second},
		{"32 KiB every 20 seconds", "PUT", "/api/attempts", jsonType, 20 * time.Second, 32 << 10, 408, time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			overPipe(t, newServer(ErrNotFound, io.Discard, ""), func(conn net.Conn) {
				fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", c.method, c.path, c.kind, len(body))
				drip(conn, body, c.every, c.bytes)
			}, func(conn net.Conn) {
				begun := time.Now()
				answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				text, _ := io.ReadAll(answer.Body)
				if took := time.Since(begun); answer.StatusCode != c.want || took > c.within {
					t.Errorf("got %d %s after %v, want %d within %v", answer.StatusCode, text, took, c.want, c.within)
				}
			})
		})
	}
}

// A connection goes on after a body that came in time, however long its answer
// takes.
func TestNextRequestAfterABody(t *testing.T) {
	o := options(ErrNotFound, io.Discard, "")
	o.Auth = sleeper{}
	overPipe(t, New(o), func(conn net.Conn) {
		for range 3 {
			fmt.Fprint(conn, "POST /api/sync HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
			<-time.After(4 * time.Hour)
		}
	}, func(conn net.Conn) {
		in := bufio.NewReader(conn)
		for range 3 {
			answer, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, answer.Body)
			if answer.StatusCode != 404 {
				t.Errorf("got %d, want 404", answer.StatusCode)
			}
		}
	})
}

// sleeper takes its time.
type sleeper struct{}

func (sleeper) Authenticate(*http.Request) (Identity, error) {
	<-time.After(time.Hour)
	return Identity{}, nil
}

// endless has a log that never ends.
type endless struct{ nothing }

func (endless) Open(uint64, string, int64) (io.ReadCloser, error) {
	return io.NopCloser(rand.NewChaCha8([32]byte{})), nil // does not compress
}

// A client that does not take its answer is cut off, and no fault of ours; one
// that takes it steadily is served on.
func TestSlowReaders(t *testing.T) {
	for _, c := range []struct {
		name   string
		every  time.Duration
		bytes  int64
		served bool
	}{
		{"a byte a second", time.Second, 1, false},
		{"32 KiB a second", time.Second, 32 << 10, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log bytes.Buffer
			o := options(ErrNotFound, &log, "")
			o.Logs = endless{}
			overPipe(t, New(o), func(conn net.Conn) {
				fmt.Fprint(conn, "GET /api/logs/1/files/x.log.gz HTTP/1.1\r\nHost: x\r\n\r\n")
			}, func(conn net.Conn) {
				begun, served := time.Now(), true
				for time.Since(begun) < 3*time.Minute {
					<-time.After(c.every)
					if _, err := io.CopyN(io.Discard, conn, c.bytes); err != nil {
						served = false
						break
					}
				}
				if served != c.served {
					t.Errorf("served after %v: got %v, want %v", time.Since(begun), served, c.served)
				}
			})
			if log.Len() > 0 {
				t.Errorf("logged %s, want nothing", &log)
			}
		})
	}
}

// A small body may not become a large one.
func TestBombs(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(make([]byte, 64<<20))
	_ = z.Close()
	in, _ := http.NewRequestWithContext(context.Background(), http.MethodPut, "/api/attempts", &bomb)
	in.Header.Set("Content-Type", jsonType)
	in.Header.Set("Content-Encoding", "gzip")
	answer := record(newServer(ErrNotFound, io.Discard, ""), in)
	if answer.Code != 400 || !strings.Contains(answer.Body.String(), "larger than 1048576 bytes") {
		t.Errorf("got %d %s, want 400", answer.Code, answer.Body)
	}
}
