package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"gitdag/bench/agenttest"
)

// project writes a workflow into a folder of its own and returns that.
func project(b *testing.B, text string) string {
	b.Helper()
	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "w.dig"), []byte(text), 0o644); err != nil {
		b.Fatal(err)
	}
	return dir
}

// runs runs the workflow of a folder, all of it anew, n times.
func runs(b *testing.B, bin, dir string, n int) (time.Duration, float64) {
	b.Helper()
	return median(n, func() (time.Duration, float64) {
		return once(b, dir, nil, bin, "run", "--rerun", "w.dig")
	})
}

// BenchmarkRunOneEcho is the whole process of the smallest run.
func BenchmarkRunOneEcho(b *testing.B) {
	took, most := runs(b, agenttest.Build(b), project(b, "+a: {echo>: hello}\n"), 21)
	b.ReportMetric(ms(took), "ms")
	b.ReportMetric(most, "MB-most")
}

// BenchmarkRunShSequence compares a sh> task of `run` in a sequence with fork
// and exec of the same shell.
func BenchmarkRunShSequence(b *testing.B) {
	const n = 1000
	bin := agenttest.Build(b)
	dir := project(b, sequence(n, "sh>: 'true'"))
	bare := bareShell(b, 500)
	took, most := runs(b, bin, dir, 3)
	bare = (bare + bareShell(b, 500)) / 2
	b.ReportMetric(ms(took)/n, "ms/task")
	b.ReportMetric(ms(bare), "ms/bare")
	b.ReportMetric(float64(took)/n/float64(bare), "x-bare")
	b.ReportMetric(most, "MB-most")
}

// BenchmarkRunParallelSh is the whole process of 1,000 parallel tasks.
func BenchmarkRunParallelSh(b *testing.B) {
	const n = 1000
	bare := bareShell(b, 500)
	took, most := runs(b, agenttest.Build(b), project(b, "_parallel: true\n"+sequence(n, "sh>: 'true'")), 3)
	b.ReportMetric(took.Seconds(), "s")
	b.ReportMetric(float64(took)/n/float64(bare), "x-bare")
	b.ReportMetric(most, "MB-most")
}

// BenchmarkCheck checks 1,000 workflows in 200 projects.
func BenchmarkCheck(b *testing.B) {
	dir := b.TempDir()
	for i := range 200 {
		for k := range 5 {
			file := filepath.Join(dir, fmt.Sprintf("p%d", i), fmt.Sprintf("w%d.dig", k))
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				b.Fatal(err)
			}
			if err := os.WriteFile(file, []byte("timezone: UTC\nschedule: {daily>: 03:00:00}\n"+sequence(10, "sh>: 'echo ${session_date}'")), 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	bin := agenttest.Build(b)
	took, most := median(5, func() (time.Duration, float64) { return once(b, dir, nil, bin, "check", dir) })
	b.ReportMetric(ms(took), "ms")
	b.ReportMetric(most, "MB-most")
}

// BenchmarkInit adds up the time that the packages take to initialise.
func BenchmarkInit(b *testing.B) {
	bin := agenttest.Build(b)
	line := regexp.MustCompile(`(?m)^init \S+ @\S+ ms, (\S+) ms clock`)
	took, _ := median(11, func() (time.Duration, float64) {
		cmd := exec.Command(bin, "--version")
		cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		sum := 0.0
		for _, m := range line.FindAllSubmatch(out, -1) {
			v, err := strconv.ParseFloat(string(m[1]), 64)
			if err != nil {
				b.Fatal(err)
			}
			sum += v
		}
		return time.Duration(sum * float64(time.Millisecond)), 0
	})
	b.ReportMetric(ms(took), "ms")
}
