package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gitdag/bench/agenttest"
)

// rate is how many requests arrive in a second, running how many attempts run
// beside them: each starts a process every second.
const (
	rate    = 500
	running = 50
)

// span is for how long requests arrive.
func span() time.Duration {
	if testing.Short() {
		return 2 * time.Second
	}
	return 20 * time.Second
}

// mix are the requests of the load, in the order of i: out of 20, eight lists
// of attempts and four of sessions, four looks at a running attempt, one at the
// projects, one at a session, and two starts.
func (l *busy) mix(i int) agenttest.Request {
	r := l.one(i)
	r.Gzip = true
	return r
}

func (l *busy) one(i int) agenttest.Request {
	project := i % l.past.projects
	live := i%running + 1
	switch i % 20 {
	case 0, 5, 10:
		return agenttest.Get("/api/attempts")
	case 1, 11:
		return agenttest.Get("/api/attempts?include_retried=true&last_id=%d", firstPast+l.past.attempts/2)
	case 2, 7, 12:
		return agenttest.Get("/api/attempts?project=p%d&workflow=w%d", project, i%5)
	case 3, 13:
		return agenttest.Get("/api/sessions")
	case 4, 14:
		return agenttest.Get("/api/projects/%d/sessions?workflow=w%d", project+1, i%5)
	case 6, 16:
		return agenttest.Get("/api/attempts/%d", live)
	case 8, 18:
		return agenttest.Get("/api/attempts/%d/tasks", live)
	case 15:
		return agenttest.Get("/api/projects")
	case 17:
		return agenttest.Get("/api/sessions/%d/attempts?page_size=20", retried)
	}
	return l.begin()
}

// begin asks for a new session of a workflow that is soon over.
func (l *busy) begin() agenttest.Request {
	return startOf(l.quick, firstPast+1_000_000+int(l.begun.Add(1)))
}

func startOf(workflow string, session int) agenttest.Request {
	return agenttest.Send(http.MethodPut, "/api/attempts", map[string]any{
		"workflowId": workflow, "sessionTime": start(session), "params": struct{}{},
	})
}

// busy is an agent with a history and running attempts.
type busy struct {
	*site
	past  past
	api   *agenttest.API
	quick string // the workflow that requests start
	begun atomic.Int64
}

func newLoaded(b *testing.B) *busy {
	b.Helper()
	l := &busy{past: past{attempts: 20_000, projects: 20}}
	files := manyProjects(l.past.projects, "+a: {echo>: a}\n")
	files["busy/busy.dig"] = loop(100, false, "sh>: 'sleep 1'")
	l.site = newSiteOf(b, func(s *site) { l.past.write(b, s.data) }, files, "--tasks-max", "64")
	l.api = agenttest.NewAPI(b, l.address)
	for _, w := range l.workflows() {
		switch {
		case w.Name == "busy":
			for i := range running {
				_, err := l.api.Ask(startOf(w.ID, i))
				check(b, err)
			}
		case w.Project.Name == "p0" && w.Name == "w0":
			l.quick = w.ID
		}
	}
	return l
}

type workflow struct {
	ID, Name string
	Project  struct{ Name string }
}

func (l *busy) workflows() []workflow {
	l.b.Helper()
	var list struct{ Workflows []workflow }
	check(l.b, l.api.Into(&list, agenttest.Get("/api/workflows?count=10000")))
	return list.Workflows
}

// BenchmarkLoad sends 500 requests a second, lists and starts, beside 50
// attempts that run: first to the agent, then to a server of net/http in a
// process of its own that has the same bytes ready. The requests come from this
// process, on the same processors.
func BenchmarkLoad(b *testing.B) {
	l := newLoaded(b)
	bare := agenttest.NewAPI(b, l.bare())
	stream := agenttest.Load{Rate: rate, Span: span()}
	used := processor(b, l.process.PID())
	m := stream.Run(func(i int) error {
		_, err := l.api.Ask(l.mix(i))
		return err
	})
	used = processor(b, l.process.PID()) - used
	b.ReportMetric(ms(used)/float64(len(m.Took)), "cpu-ms/request")
	tell(b, "", m)
	m = stream.Run(func(i int) error {
		_, err := bare.Ask(l.mix(i))
		return err
	})
	tell(b, "bare-", m)
	most, now := memory(b, l.process.PID())
	b.ReportMetric(now, "MB-now")
	b.ReportMetric(most, "MB-most")
}

func tell(b *testing.B, who string, m agenttest.Measured) {
	b.Helper()
	b.ReportMetric(ms(m.Share(0.5)), "ms/"+who+"p50")
	b.ReportMetric(ms(m.Share(0.99)), "ms/"+who+"p99")
	b.ReportMetric(ms(m.Share(1)), "ms/"+who+"max")
	b.ReportMetric(float64(len(m.Errs)), who+"errors")
	if len(m.Errs) > 0 {
		b.Logf("%d of %d requests failed, one with: %v", len(m.Errs), len(m.Took), m.Errs[0])
	}
}

// The variables of a bare server: the folder of its answers, by number, and the
// file in which it tells its address.
const bareVar = "GITDAG_BENCH_BARE"

// bare starts a server that answers the requests of the mix with what the agent
// answers just now, and returns its address.
func (l *busy) bare() string {
	l.b.Helper()
	answers := map[string][]byte{}
	for i := range 20 * l.past.projects {
		r := l.mix(i)
		key := r.Method + " " + r.Path
		if _, ok := answers[key]; ok {
			continue
		}
		data, err := l.api.Ask(r)
		check(l.b, err)
		answers[key] = data
	}
	data, err := json.Marshal(answers)
	check(l.b, err)
	file := filepath.Join(l.b.TempDir(), "answers")
	check(l.b, os.WriteFile(file, data, 0o600))
	cmd := exec.Command(os.Args[0], "-test.run", "^TestServeBare$")
	cmd.Env = append(os.Environ(), bareVar+"="+file)
	check(l.b, cmd.Start())
	l.b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var address []byte
	agenttest.Eventually(l.b, "the bare server listens", func() bool {
		var err error
		address, err = os.ReadFile(file + ".address")
		return err == nil
	})
	return string(address)
}

// TestServeBare is the main function of the bare server, and nothing otherwise.
func TestServeBare(t *testing.T) {
	file := os.Getenv(bareVar)
	if file == "" {
		return
	}
	data, err := os.ReadFile(file)
	check(t, err)
	answers := map[string][]byte{}
	check(t, json.Unmarshal(data, &answers))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	check(t, os.WriteFile(file+".tmp", []byte(listener.Addr().String()), 0o600))
	check(t, os.Rename(file+".tmp", file+".address"))
	_ = http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok := answers[r.Method+" "+r.URL.RequestURI()]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(answer)
	}))
}

// BenchmarkReaders measures how long a task waits for its turn while 1,000
// clients read lists: a sequence of tasks that note when they begin, one behind
// the other. What lies between two of them is the end of a process, a sync, a
// dispatch and the start of two processes. A sequence of tasks without
// processes follows, whose time is the agent's alone. The clients read as 1,000
// open pages would, each once in two seconds, and then without a pause.
func BenchmarkReaders(b *testing.B) {
	const clients = 1000
	marks := filepath.Join(b.TempDir(), "marks")
	p := past{attempts: 20_000, projects: 20}
	files := manyProjects(p.projects, "+a: {echo>: a}\n")
	files["probe/probe.dig"] = loop(300, false, fmt.Sprintf("sh>: 'date +%%s%%N >> %s'", marks))
	const echoes = 3000
	files["probe/echo.dig"] = loop(echoes, false, "echo>: a")
	s := newSiteOf(b, func(s *site) { p.write(b, s.data) }, files)
	api := agenttest.NewAPI(b, s.address)
	for _, load := range []struct {
		name    string
		clients int
		pause   time.Duration
	}{{"none", 0, 0}, {"pausing", clients, 2 * time.Second}, {"greedy", clients, 0}} {
		b.Run(load.name, func(b *testing.B) {
			check(b, os.WriteFile(marks, nil, 0o600))
			stop := make(chan struct{})
			done := readers(api, load.clients, load.pause, stop)
			s.startOf("probe", "probe")
			s.ended()
			s.startOf("probe", "echo")
			echo := s.ended()
			close(stop)
			reads, err := done()
			check(b, err)
			m := gaps(b, marks)
			b.ReportMetric(ms(m.Share(0.5)), "ms/p50")
			b.ReportMetric(ms(m.Share(0.99)), "ms/p99")
			b.ReportMetric(ms(m.Share(1)), "ms/max")
			b.ReportMetric(float64(echo)/float64(time.Microsecond)/echoes, "us/echo")
			b.ReportMetric(reads, "reads/s")
		})
	}
}

// readers starts clients that read lists until stop is closed; what it returns
// waits for them and tells how many reads there were in a second.
func readers(api *agenttest.API, clients int, pause time.Duration, stop <-chan struct{}) func() (float64, error) {
	var reads atomic.Int64
	begin := time.Now()
	errs := make(chan error, clients)
	for i := range clients {
		go func() {
			for after := rand.N(pause + 1); ; after = pause {
				select {
				case <-stop:
					errs <- nil
					return
				case <-time.After(after):
				}
				path := []string{"/api/attempts", "/api/sessions", "/api/projects/3/sessions", "/api/attempts?project=p4&include_retried=true"}[i%4]
				r := agenttest.Get("%s", path)
				r.Gzip = true
				if _, err := api.Ask(r); err != nil {
					errs <- err
					return
				}
				reads.Add(1)
			}
		}()
	}
	return func() (float64, error) {
		var all []error
		for range clients {
			all = append(all, <-errs)
		}
		return float64(reads.Load()) / time.Since(begin).Seconds(), errors.Join(all...)
	}
}

// gaps returns what lies between the marks in a file.
func gaps(b *testing.B, file string) agenttest.Measured {
	b.Helper()
	data, err := os.ReadFile(file)
	check(b, err)
	var m agenttest.Measured
	last := int64(0)
	for line := range strings.Lines(string(data)) {
		var at int64
		_, err := fmt.Sscan(line, &at)
		check(b, err)
		if last > 0 {
			m.Took = append(m.Took, time.Duration(at-last))
		}
		last = at
	}
	m.Sort()
	return m
}
