package bench

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gitdag/bench/agenttest"
)

// site is an agent on a repository.
type site struct {
	b    *testing.B
	bin  string
	repo *agenttest.Repo
	data string

	process *agenttest.Process
	address string
	starts  int
}

// newSite launches an agent, with more arguments, that has the files live.
func newSite(b *testing.B, files map[string]string, args ...string) *site {
	b.Helper()
	return newSiteOf(b, func(*site) {}, files, args...)
}

// newSiteOf is newSite of an agent that finds a data directory.
func newSiteOf(b *testing.B, prepare func(*site), files map[string]string, args ...string) *site {
	b.Helper()
	s := &site{b: b, bin: agenttest.Build(b), repo: agenttest.NewRepo(b, "flows"), data: filepath.Join(b.TempDir(), "data")}
	prepare(s)
	commit := s.repo.Push("bench", files)
	s.launch(args...)
	s.process.Await("commit is live.*" + commit)
	return s
}

func (s *site) launch(args ...string) {
	s.b.Helper()
	args = append([]string{"agent", "--repo", s.repo.Path(), "--data", s.data, "--poll", "1h", "--listen", "127.0.0.1:0"}, args...)
	s.process = agenttest.Launch(s.b, s.bin, nil, args...)
	s.address = s.process.Address()
}

// start starts an attempt of the project in the repository's root.
func (s *site) start(workflow string) {
	s.b.Helper()
	s.startOf("flows", workflow)
}

func (s *site) startOf(project, workflow string) {
	s.b.Helper()
	s.starts++
	session := time.Unix(1_700_000_000+int64(s.starts), 0).UTC().Format(time.DateTime)
	if _, err := agenttest.Run(s.b, s.bin, "start", "-e", s.address, project, workflow, "--session", session); err != nil {
		s.b.Fatalf("start: %v\n%s", err, s.process.Log())
	}
}

// run runs an attempt to its end, archive included, and returns how long it
// took.
func (s *site) run(workflow string) time.Duration {
	s.b.Helper()
	s.start(workflow)
	return s.ended()
}

// ended waits until the attempt that was started last has succeeded and is
// archived, and returns how long it took: what its archive file says from its
// creation to the end of its last task.
func (s *site) ended() time.Duration {
	s.b.Helper()
	s.process.Await(fmt.Sprintf(`msg="attempt ended".* attempt=%d success=true`, s.starts))
	var a *agenttest.Archived
	agenttest.Eventually(s.b, "the attempt is archived", func() bool {
		var err error
		if a, err = agenttest.ReadArchived(s.data, uint64(s.starts)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.b.Fatal(err)
		}
		return err == nil
	}, s.process.Log)
	return a.FinishedAt.Sub(a.CreatedAt)
}

// settle waits until the journal rests: a poll that waits is journaled once.
func (s *site) settle() {
	s.b.Helper()
	for before := int64(-1); s.size("journal") != before; {
		before = s.size("journal")
		wait(s.b, 2*time.Second)
	}
}

// size returns the bytes of the files below a part of the data directory, 0 if
// there is none yet.
func (s *site) size(part string) int64 {
	s.b.Helper()
	var n int64
	err := filepath.WalkDir(filepath.Join(s.data, part), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.b.Fatal(err)
	}
	return n
}

// sequence is a workflow of n tasks, one after another.
func sequence(n int, task string) string {
	var w strings.Builder
	for i := range n {
		fmt.Fprintf(&w, "+t%d: {%s}\n", i, task)
	}
	return w.String()
}

// BenchmarkShSequence compares a durable sh> task in a sequence with fork and
// exec of the same shell and one sync.
func BenchmarkShSequence(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := newSite(b, map[string]string{"w.dig": sequence(n, "sh>: 'true'")})
			bare, sync := bareShell(b, 500), bareSync(b, 500)
			task := s.run("w") / time.Duration(n)
			bare, sync = (bare+bareShell(b, 500))/2, (sync+bareSync(b, 500))/2
			b.ReportMetric(ms(task), "ms/task")
			b.ReportMetric(ms(bare), "ms/bare")
			b.ReportMetric(ms(sync), "ms/sync")
			b.ReportMetric(float64(task-sync)/float64(bare), "x-bare+sync")
		})
	}
}

// BenchmarkParallelInProcess runs 10,000 tasks that start no process.
func BenchmarkParallelInProcess(b *testing.B) {
	const n = 10_000
	s := newSite(b, map[string]string{"w.dig": fmt.Sprintf("+l:\n  loop>: %d\n  _parallel: true\n  _do: {echo>: hello}\n", n)})
	s.run("w")
	b.ReportMetric(n/s.run("w").Seconds(), "tasks/s")
}

// BenchmarkBytesWritten tells what a task costs on the disk, without its log.
func BenchmarkBytesWritten(b *testing.B) {
	for _, n := range []int{1000, 10_000, 99_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := newSite(b, map[string]string{"w.dig": fmt.Sprintf("+l:\n  loop>: %d\n  _parallel: true\n  _do: {echo>: hello}\n", n)})
			s.run("w")
			// What the agent wrote in all, less the logs: snapshots and files that
			// it has removed count too.
			logs := s.size("logs")
			written := writtenBy(b, s.process.PID()) - logs
			b.ReportMetric(float64(s.size("journal"))/float64(n), "journal-B/task")
			b.ReportMetric(float64(written)/float64(n), "written-B/task")
		})
	}
}

// BenchmarkRestart measures how long an agent takes to be ready again when its
// journal holds unfinished tasks, and its memory then.
func BenchmarkRestart(b *testing.B) {
	for _, n := range []int{10_000, 99_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := newSite(b, map[string]string{"w.dig": fmt.Sprintf("+l:\n  loop>: %d\n  _parallel: true\n  _do: {wait>: 1h}\n", n)})
			s.start("w")
			s.settle()
			s.process.Kill()
			begin := time.Now()
			s.launch()
			b.ReportMetric(ms(time.Since(begin)), "ms/ready")
			most, now := memory(b, s.process.PID())
			b.ReportMetric(now, "MB-now")
			b.ReportMetric(most, "MB-most")
		})
	}
}

// BenchmarkHundredDue has 100 attempts fall due at one instant, with their
// workspaces on the disk and in memory. A file system without a journal passes
// over inodes that were deleted in the last minutes one by one, so that making
// files may take ten times as long as usual when another benchmark went before.
func BenchmarkHundredDue(b *testing.B) {
	b.Run("disk", func(b *testing.B) { hundredDue(b, b.TempDir()) })
	b.Run("memory", func(b *testing.B) { hundredDue(b, inMemory(b)) })
}

func hundredDue(b *testing.B, dir string) {
	spaces := filepath.Join(dir, "workspaces")
	check(b, os.Mkdir(spaces, 0o700))
	s := newSiteOf(b, func(s *site) {
		check(b, os.Mkdir(s.data, 0o700))
		check(b, os.Symlink(spaces, filepath.Join(s.data, "workspaces")))
	}, map[string]string{"w/w.dig": "+a: {echo>: a}\n"})
	clock, zone := agenttest.DueIn(4 * time.Second)
	files := map[string]string{}
	for i := range 100 {
		files[fmt.Sprintf("p%d/w%d.dig", i/10, i%10)] = fmt.Sprintf("timezone: %s\nschedule: {daily>: %s}\n+a: {sh>: 'true'}\n", zone, clock)
	}
	s.repo.Push("due", files)
	s.process.Signal(syscall.SIGHUP)
	agenttest.Eventually(b, "all are over", func() bool {
		return strings.Count(s.process.Log(), `msg="attempt ended"`) == 100
	}, s.process.Log)
	loc, err := time.LoadLocation(zone)
	if err != nil {
		b.Fatal(err)
	}
	at, err := time.ParseInLocation("2006-01-02 15:04:05", time.Now().In(loc).Format(time.DateOnly)+" "+clock, loc)
	if err != nil {
		b.Fatal(err)
	}
	var leased, over int64
	for _, e := range agenttest.Events(b, s.bin, s.data) {
		switch {
		case e.By == "leased":
			leased = max(leased, e.At)
		case e.Kind == "settled":
			over = max(over, e.At)
		}
	}
	b.ReportMetric(float64(leased-at.UnixMilli()), "ms/last-start")
	b.ReportMetric(float64(over-at.UnixMilli()), "ms/last-end")
	b.ReportMetric(ms(bareCopies(b, dir, 100, 10)), "ms/bare-copies")
	most, _ := memory(b, s.process.PID())
	b.ReportMetric(most, "MB-most")
}

// BenchmarkIdle watches an agent with 1,000 schedules that has nothing to do.
func BenchmarkIdle(b *testing.B) {
	files := map[string]string{}
	for i := range 1000 {
		files[fmt.Sprintf("p%d/w%d.dig", i/5, i%5)] = fmt.Sprintf("timezone: UTC\nschedule: {cron>: '%d 3 1 1 *'}\n+a: {sh>: 'true'}\n", i%60)
	}
	s := newSite(b, files)
	s.process.Kill()
	s.launch("--poll", "60s")
	s.process.Await("msg=sync|unchanged|agent started")
	wait(b, 5*time.Second)
	pid := s.process.PID()
	begin, used := time.Now(), processor(b, pid)
	wait(b, 60*time.Second)
	share := float64(processor(b, pid)-used) / float64(time.Since(begin))
	most, now := memory(b, pid)
	b.ReportMetric(100*share, "%core")
	b.ReportMetric(now, "MB-now")
	b.ReportMetric(most, "MB-most")
}

// wait lets time pass: what is measured is what happens meanwhile.
func wait(b *testing.B, d time.Duration) {
	b.Helper()
	select {
	case <-time.After(d):
	case <-b.Context().Done():
	}
}

// BenchmarkCommitToLive measures a commit of one file in a repository of 1,000
// projects, from the signal that a webhook gives to the revision being live.
func BenchmarkCommitToLive(b *testing.B) {
	files := map[string]string{}
	for i := range 1000 {
		for k := range 5 {
			files[fmt.Sprintf("team%02d/p%03d/w%d.dig", i%20, i, k)] = fmt.Sprintf("timezone: UTC\nschedule: {cron>: '%d 3 1 1 *'}\n+a: {sh>: 'true'}\n", k)
		}
	}
	s := newSite(b, files)
	took, _ := median(5, func() (time.Duration, float64) {
		s.starts++
		commit := s.repo.Push("one file", map[string]string{"team07/p007/w0.dig": fmt.Sprintf("+a: {echo>: %d}\n", s.starts)})
		begin := time.Now()
		s.process.Signal(syscall.SIGHUP)
		s.process.Await("commit is live.*" + commit)
		return time.Since(begin), 0
	})
	b.ReportMetric(ms(took), "ms/live")
	most, _ := memory(b, s.process.PID())
	b.ReportMetric(most, "MB-most")
}
