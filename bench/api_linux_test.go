package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"gitdag/bench/agenttest"
)

// list returns the ids in the answer to a list.
func list(b *testing.B, api *agenttest.API, key, path string) []int {
	b.Helper()
	var answer map[string]json.RawMessage
	check(b, api.Into(&answer, agenttest.Get("%s", path)))
	var rows []struct {
		ID int `json:"id,string"`
	}
	check(b, json.Unmarshal(answer[key], &rows))
	ids := make([]int, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	return ids
}

// BenchmarkPages goes through each list of 100,000 attempts page by page, and
// compares the last pages with the first ones.
func BenchmarkPages(b *testing.B) {
	p := past{attempts: 100_000, projects: 20}
	s := newSiteOf(b, func(s *site) {
		// The files of the archive are not read again once the index is made.
		memory := inMemory(b)
		p.write(b, memory)
		check(b, os.Mkdir(s.data, 0o700))
		check(b, os.Symlink(filepath.Join(memory, "archive"), filepath.Join(s.data, "archive")))
	}, manyProjects(p.projects, "+a: {echo>: a}\n"))
	api := agenttest.NewAPI(b, s.address)
	for _, l := range []struct {
		name, key, path string
		least           int // rows
	}{
		{"attempts", "attempts", "/api/attempts?include_retried=true&", 100_000},
		{"attempts-newest", "attempts", "/api/attempts?", 90_000},
		{"attempts-project", "attempts", "/api/attempts?project=p3&include_retried=true&", 4500},
		{"attempts-workflow", "attempts", "/api/attempts?project=p3&workflow=w1&include_retried=true&", 900},
		{"sessions", "sessions", "/api/sessions?", 90_000},
		{"sessions-project", "sessions", "/api/projects/4/sessions?", 4500},
		{"sessions-workflow", "sessions", "/api/projects/4/sessions?workflow=w1&", 900},
		{"session-attempts", "attempts", fmt.Sprintf("/api/sessions/%d/attempts?", retried), 10_000},
	} {
		b.Run(l.name, func(b *testing.B) { pages(b, api, l.key, l.path, l.least) })
	}
}

// pages reports what a page costs at the beginning of a list and at its end:
// medians of so many.
func pages(b *testing.B, api *agenttest.API, key, path string, least int) {
	b.Helper()
	const some = 5
	var took []time.Duration
	rows := 0
	for last := 0; ; {
		at := path
		if last > 0 {
			at += "last_id=" + strconv.Itoa(last)
		}
		begin := time.Now()
		ids := list(b, api, key, at)
		if len(ids) < 100 { // one that is not full says nothing
			rows += len(ids)
			break
		}
		took = append(took, time.Since(begin))
		rows += len(ids)
		last = ids[len(ids)-1]
	}
	if rows < least || len(took) < 2*some {
		b.Fatalf("%s: got %d rows on %d pages, want %d rows", path, rows, len(took), least)
	}
	first, last := slices.Clone(took[:some]), slices.Clone(took[len(took)-some:])
	slices.Sort(first)
	slices.Sort(last)
	b.ReportMetric(ms(first[some/2]), "ms/first")
	b.ReportMetric(ms(last[some/2]), "ms/last")
	b.ReportMetric(float64(last[some/2])/float64(first[some/2]), "x-last")
	slices.Sort(took)
	b.ReportMetric(ms(took[len(took)/2]), "ms/median")
	b.ReportMetric(ms(took[len(took)-1]), "ms/most")
}

// BenchmarkTasksList asks for the tasks of an attempt that runs and of one that
// is over, of 1,000 and of 99,000 tasks: lists that have no pages.
func BenchmarkTasksList(b *testing.B) {
	files := map[string]string{}
	for _, n := range []int{1000, 99_000} {
		files[fmt.Sprintf("over%d.dig", n)] = loop(n, true, "echo>: a")
		files[fmt.Sprintf("live%d.dig", n)] = loop(n, true, "wait>: 1h")
	}
	s := newSite(b, files)
	api := agenttest.NewAPI(b, s.address)
	for _, n := range []int{1000, 99_000} {
		for _, kind := range []string{"live", "over"} {
			b.Run(fmt.Sprintf("%s-%d", kind, n), func(b *testing.B) {
				if s.start(fmt.Sprint(kind, n)); kind == "over" {
					s.ended()
				} else {
					s.settle()
				}
				path := fmt.Sprintf("/api/attempts/%d/tasks", s.starts)
				took, bytes := median(3, func() (time.Duration, float64) {
					begin := time.Now()
					data, err := api.Ask(agenttest.Get("%s", path))
					check(b, err)
					return time.Since(begin), float64(len(data))
				})
				if got := bytes / float64(n); got < 100 {
					b.Fatalf("%g bytes a task", got)
				}
				b.ReportMetric(float64(took)/float64(time.Microsecond)/float64(n), "us/task")
			})
		}
	}
}
