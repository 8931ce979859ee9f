package agent

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// AccessLog says what is written of each request that is answered.
type AccessLog struct {
	// Dir gets a file a day; empty for none.
	Dir string
	// Format is json, common or combined; json if empty.
	Format string
}

// accessLog writes a line for each request.
type accessLog struct {
	dir    string
	format func(*access) string
	log    *slog.Logger

	mu    sync.Mutex
	day   string
	file  *os.File
	wrong string // why the last line could not be written; "" if it could
}

// access is a request with what was answered.
type access struct {
	request *http.Request
	at      time.Time
	took    time.Duration
	status  int
	size    int64
}

func openAccessLog(o AccessLog, log *slog.Logger) (*accessLog, error) {
	format, ok := map[string]func(*access) string{
		"": (*access).json, "json": (*access).json, "common": (*access).common, "combined": (*access).combined,
	}[o.Format]
	if !ok {
		return nil, fmt.Errorf("the format %q of the access log is none of json, common, combined", o.Format)
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the directory of the access log: %w", err)
	}
	return &accessLog{dir: o.Dir, format: format, log: log}, nil
}

// wrap has the requests that a handler answers written down.
func (l *accessLog) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &counted{ResponseWriter: w, status: http.StatusOK}
		begin := time.Now()
		next.ServeHTTP(c, r)
		l.write(&access{r, begin, time.Since(begin), c.status, c.size})
	})
}

func (l *accessLog) write(a *access) {
	line := l.format(a) + "\n"
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.open(a.at.Format(time.DateOnly))
	if err == nil {
		_, err = io.WriteString(l.file, line)
	}
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != l.wrong && err != nil {
		l.log.Error("the access log cannot be written", "err", err)
	}
	l.wrong = text
}

// open turns to the file of a day.
func (l *accessLog) open(day string) error {
	if l.file != nil && l.day == day {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(l.dir, "access."+day+".log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	if l.file != nil {
		_ = l.file.Close()
	}
	l.file, l.day = f, day
	return nil
}

func (l *accessLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		_ = l.file.Close()
	}
}

// counted notes what is answered.
type counted struct {
	http.ResponseWriter
	status int
	size   int64
	begun  bool
}

// Unwrap is for [http.ResponseController].
func (c *counted) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *counted) WriteHeader(status int) {
	if !c.begun && status >= http.StatusOK {
		c.begun, c.status = true, status
	}
	c.ResponseWriter.WriteHeader(status)
}

func (c *counted) Write(data []byte) (int, error) {
	c.begun = true
	n, err := c.ResponseWriter.Write(data)
	c.size += int64(n)
	return n, err
}

// json is a line with the keys of Digdag's.
func (a *access) json() string {
	r := a.request
	text, err := json.Marshal(struct {
		Time      string `json:"time"`
		Host      string `json:"host"`
		Forwarded string `json:"forwardedfor"`
		Method    string `json:"method"`
		URI       string `json:"uri"`
		Protocol  string `json:"protocol"`
		Status    int    `json:"status"`
		Size      int64  `json:"size"`
		Referer   string `json:"referer"`
		Agent     string `json:"ua"`
		VHost     string `json:"vhost"`
		Took      string `json:"reqtime"`
	}{
		a.at.Format(clfTime), a.client(), r.Header.Get("X-Forwarded-For"), r.Method, r.RequestURI, r.Proto,
		a.status, a.size, r.Referer(), r.UserAgent(), r.Host, strconv.FormatFloat(a.took.Seconds(), 'f', 3, 64),
	})
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// clfTime is the time of the Common Log Format.
const clfTime = "02/Jan/2006:15:04:05 -0700"

func (a *access) common() string {
	r := a.request
	size := "-"
	if a.size > 0 {
		size = strconv.FormatInt(a.size, 10)
	}
	user := ""
	if a.status != http.StatusUnauthorized {
		user, _, _ = r.BasicAuth()
	}
	return fmt.Sprintf("%s - %s [%s] %s %d %s", a.client(), field(user), a.at.Format(clfTime),
		quoted(r.Method+" "+r.RequestURI+" "+r.Proto), a.status, size)
}

// quoted is a text on one line whatever a client has put into it.
func quoted(text string) string {
	if text == "" {
		text = "-"
	}
	return strconv.QuoteToASCII(text)
}

func (a *access) combined() string {
	return fmt.Sprintf("%s %s %s", a.common(), quoted(a.request.Referer()), quoted(a.request.UserAgent()))
}

func (a *access) client() string {
	host, _, err := net.SplitHostPort(a.request.RemoteAddr)
	if err != nil {
		return a.request.RemoteAddr
	}
	return host
}

// field is a text that cannot be taken for two.
func field(text string) string {
	if text == "" {
		return "-"
	}
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f {
			return '_'
		}
		return r
	}, text)
}
