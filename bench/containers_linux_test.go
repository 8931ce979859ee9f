package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"gitdag/internal/dockertest"
)

// bareContainer runs a container as the API allows at best, and returns how long that
// takes: it is made, started, waited for, read, and removed.
func bareContainer(b *testing.B, client *http.Client, dir string) time.Duration {
	b.Helper()
	ask := func(method, path, body string, want int) []byte {
		b.Helper()
		r, err := http.NewRequestWithContext(b.Context(), method, "http://docker"+path, strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		res, err := client.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != want {
			b.Fatalf("%s %s: got %s, %v: %s", method, path, res.Status, err, text)
		}
		return text
	}
	begin := time.Now()
	var made struct{ ID string }
	text := ask("POST", "/containers/create", fmt.Sprintf(`{"Image": "box", "Cmd": ["/bin/sh", "-c", "echo one"], "WorkingDir": %[1]q,
		"HostConfig": {"NetworkMode": "none", "LogConfig": {"Type": "local"}, "Mounts": [{"Type": "bind", "Source": %[1]q, "Target": %[1]q}]}}`, dir), http.StatusCreated)
	if err := json.Unmarshal(text, &made); err != nil {
		b.Fatal(err)
	}
	ask("POST", "/containers/"+made.ID+"/start", "", http.StatusNoContent)
	ask("POST", "/containers/"+made.ID+"/wait", "", http.StatusOK)
	if text := ask("GET", "/containers/"+made.ID+"/logs?stdout=1&stderr=1", "", http.StatusOK); !strings.Contains(string(text), "one") {
		b.Fatalf("got output %q", text)
	}
	ask("DELETE", "/containers/"+made.ID+"?force=1&v=1", "", http.StatusNoContent)
	return time.Since(begin)
}

// BenchmarkContainers compares tasks of an agent that run in containers with as many
// containers that are run through the same API by hand, one after another.
func BenchmarkContainers(b *testing.B) {
	const n, times = 20, 3
	e := dockertest.Start(b)
	e.Import(b, "box", (*dockertest.Pack).Base)
	b.Setenv("DOCKER_HOST", e.Host)
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(e.Host, "unix://"))
	}}}
	defer client.CloseIdleConnections()
	workflow := "_export: {docker: {image: box, run_options: [--network, none]}}\n" + sequence(n, "sh>: echo one")
	s := newSite(b, map[string]string{"one.dig": workflow})
	dir := b.TempDir()
	var bare time.Duration
	one, _ := median(times, func() (time.Duration, float64) {
		for range n {
			bare += bareContainer(b, client, dir) / (n * times)
		}
		return s.run("one") / n, 0
	})
	b.ReportMetric(ms(one), "ms/task")
	b.ReportMetric(ms(bare), "ms/bare")
	b.ReportMetric(float64(one)/float64(bare), "x-bare")
}
