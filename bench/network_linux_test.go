package bench

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// bareHTTP returns how long a request takes with Go's own client: with a
// connection for each, or with one that is kept.
func bareHTTP(b *testing.B, url string, n int, keep bool) time.Duration {
	b.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: !keep}}
	defer client.CloseIdleConnections()
	begin := time.Now()
	for range n {
		res, err := client.Get(url)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			b.Fatal(err)
		}
		res.Body.Close()
	}
	return time.Since(begin) / time.Duration(n)
}

// BenchmarkHTTP compares 1,000 http> tasks of an agent with as many requests by
// the bare client to the same server, which is in this process. A task has a
// connection of its own, as two tasks have nothing in common.
func BenchmarkHTTP(b *testing.B) {
	const n = 1000
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"rows": 12}`) }))
	defer server.Close()
	task := "http>: " + server.URL + ", store_content: true"
	s := newSite(b, map[string]string{"one.dig": sequence(n, task), "all.dig": "_parallel: true\n" + sequence(n, task)})
	var sync, bare, kept time.Duration
	const times = 3
	one, _ := median(times, func() (time.Duration, float64) {
		// What others do to the disk meanwhile concerns both.
		sync += bareSync(b, 500) / times
		bare += bareHTTP(b, server.URL, n, false) / times
		kept += bareHTTP(b, server.URL, n, true) / times
		return s.run("one") / n, 0
	})
	all, _ := median(times, func() (time.Duration, float64) { return s.run("all"), 0 })
	b.ReportMetric(ms(one), "ms/task")
	b.ReportMetric(ms(bare), "ms/bare")
	b.ReportMetric(ms(kept), "ms/bare-kept")
	b.ReportMetric(ms(sync), "ms/sync")
	b.ReportMetric(float64(one)/float64(bare+sync), "x-bare+sync")
	b.ReportMetric(all.Seconds(), "s-parallel")
	b.ReportMetric(float64(all)/n/float64(bare), "x-bare-parallel")
}
