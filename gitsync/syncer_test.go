package gitsync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fakeRemote is a remote whose answers a test sets.
type fakeRemote struct {
	mu    sync.Mutex
	tip   string
	err   error
	lists int
	slow  time.Duration // that a listing takes
}

func (f *fakeRemote) set(tip string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tip, f.err = tip, err
}

func (f *fakeRemote) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lists
}

func (f *fakeRemote) List(ctx context.Context) (Tip, error) {
	f.mu.Lock()
	f.lists++
	slow := f.slow
	f.mu.Unlock()
	select {
	case <-time.After(slow):
	case <-ctx.Done():
		return Tip{}, ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return Tip{Commit: f.tip}, f.err
}

func (f *fakeRemote) Fetch(_ context.Context, q Query) (Fetched, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return Fetched{Commit: Commit{Hash: f.tip}, Relation: First}, os.MkdirAll(filepath.Join(q.Work, exportedDir), 0o755)
}

// inBubble starts a Syncer on a fake remote under a fake clock.
func inBubble(t *testing.T, f func(s *Syncer, remote *fakeRemote, target *fakeTarget)) {
	t.Helper()
	data := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		remote, target := &fakeRemote{tip: "c1"}, newFakeTarget()
		s, err := New(Options{
			Repos: []Repo{{Name: "flows", URL: "/nowhere"}}, Data: data, Checker: fakeChecker{}, Target: target,
			Log: slog.New(slog.DiscardHandler), Rand: func() float64 { return 0.5 },
			Remote: func(Repo) Remote { return remote },
		})
		must(t, err)
		s.Start(context.Background())
		s.Start(context.Background()) // does nothing
		synctest.Wait()
		f(s, remote, target)
		s.Stop()
		s.Stop()
	})
}

func TestPollsAtItsInterval(t *testing.T) {
	inBubble(t, func(s *Syncer, remote *fakeRemote, target *fakeTarget) {
		if remote.count() != 1 || len(target.deployments) != 1 {
			t.Errorf("after the start: %d polls, %d deployments, want 1 and 1", remote.count(), len(target.deployments))
		}
		time.Sleep(3*time.Minute + time.Second)
		synctest.Wait()
		if got := remote.count(); got != 4 {
			t.Errorf("after three minutes: %d polls, want 4", got)
		}
		remote.set("c2", nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		st := s.Status()[0]
		if st.Commit.Hash != "c2" || st.Phase != "waiting" || st.LastError != "" || !st.NextPoll.After(time.Now()) {
			t.Errorf("got status %+v", st)
		}
	})
}

func TestAStormOfTriggersCausesTwoPolls(t *testing.T) {
	inBubble(t, func(s *Syncer, remote *fakeRemote, _ *fakeTarget) {
		remote.mu.Lock()
		remote.slow = 5 * time.Second
		remote.mu.Unlock()
		before := remote.count()
		for range 10_000 {
			s.Trigger("flows")
		}
		synctest.Wait() // one is under way
		for range 10_000 {
			s.Trigger("")
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if got := remote.count() - before; got != 2 {
			t.Errorf("20,000 triggers caused %d polls, want 2", got)
		}
		if s.Trigger("unknown") {
			t.Error("an unknown repository was triggered")
		}
	})
}

func TestFailureIsAlertedOnceAndRecoveryToo(t *testing.T) {
	inBubble(t, func(s *Syncer, remote *fakeRemote, target *fakeTarget) {
		began := time.Now()
		remote.set("", errors.New("away"))
		s.Trigger("")
		synctest.Wait()
		time.Sleep(10*time.Minute - time.Second)
		synctest.Wait()
		if got := target.kinds(); len(got) != 0 {
			t.Errorf("before the alert is due: got %v", got)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if diff := cmp.Diff([]EventKind{SyncFailed}, target.kinds()); diff != "" {
			t.Fatalf("when it is due (-want +got):\n%s", diff)
		}
		if e := target.events[0]; e.Err != "away" || e.Since.Sub(began) > time.Second || e.Time.Sub(began) < 10*time.Minute {
			t.Errorf("got event %+v", e)
		}
		st := s.Status()[0]
		if st.LastError != "away" || st.Failures < 5 || st.Commit.Hash != "c1" {
			t.Errorf("got status %+v, want the last good commit and the error", st)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if got := target.kinds(); len(got) != 1 {
			t.Errorf("two hours later: got %v, want one alert", got)
		}
		remote.set("c1", nil)
		time.Sleep(6 * time.Minute)
		synctest.Wait()
		if diff := cmp.Diff([]EventKind{SyncFailed, SyncRecovered}, target.kinds()); diff != "" {
			t.Errorf("after the recovery (-want +got):\n%s", diff)
		}
		remote.set("", errors.New("away"))
		time.Sleep(5 * time.Minute)
		remote.set("c1", nil)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if got := target.kinds(); len(got) != 2 {
			t.Errorf("a short absence was told: %v", got)
		}
	})
}

func TestRecoveryIsToldAfterARestart(t *testing.T) {
	data := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		target := newFakeTarget()
		target.live["flows"] = Live{Failing: true}
		s, err := New(Options{
			Repos: []Repo{{Name: "flows", URL: "/nowhere"}}, Data: data, Checker: fakeChecker{}, Target: target,
			Log: slog.New(slog.DiscardHandler), Rand: func() float64 { return 0.5 },
			Remote: func(Repo) Remote { return &fakeRemote{tip: "c1"} },
		})
		must(t, err)
		s.Start(context.Background())
		synctest.Wait()
		s.Stop()
		if diff := cmp.Diff([]EventKind{SyncRecovered}, target.kinds()); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

func TestManyFailuresDoNotHammer(t *testing.T) {
	inBubble(t, func(s *Syncer, remote *fakeRemote, _ *fakeTarget) {
		remote.set("", errors.New("away"))
		before := remote.count()
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := remote.count() - before; got < 15 || got > 60 {
			t.Errorf("an hour of failures made %d polls, want a few dozen", got)
		}
		_ = s
	})
}

func TestTwoRepositoriesDeployIntoOneStore(t *testing.T) {
	r1, r2 := newTestRepo(t), newTestRepo(t)
	r1.push(files{"a/a.dig": "same", "n/n.dig": "1"})
	r2.push(files{"b/a.dig": "same", "n/n.dig": "2"})
	g := newRig(t, Repo{Name: "one", URL: r1.dir}, func(o *Options) {
		o.Repos = append(o.Repos, Repo{Name: "two", URL: r2.dir})
	})
	g.s.Start(t.Context())
	for range 2 {
		<-g.target.changed
	}
	g.s.Stop()
	names := map[string]int{}
	rejected := 0
	for repo, l := range g.target.live {
		rejected += len(l.Rejected)
		for _, p := range l.Projects {
			names[p.Name]++
			if _, err := os.Stat(g.s.Dir(p.Tree)); err != nil {
				t.Errorf("project %s of %s: %v", p.Name, repo, err)
			}
		}
	}
	if diff := cmp.Diff(map[string]int{"a": 1, "b": 1, "n": 1}, names); diff != "" || rejected != 1 {
		t.Errorf("%d rejected, names (-want +got):\n%s", rejected, diff)
	}
}

func TestSweepDeletesWhatNobodyUses(t *testing.T) {
	r := newTestRepo(t)
	g := newRig(t, Repo{URL: r.dir}, func(o *Options) { o.Revisions = 1 })
	var trees []string
	for i := range 5 {
		r.push(files{"p/a.dig": fmt.Sprint(i)})
		trees = append(trees, g.sync().Projects[0].Tree)
		when := time.Unix(1_700_000_000+int64(i), 0)
		must(t, os.Chtimes(filepath.Join(g.opts.Data, "checkouts", trees[i], originFile), when, when))
	}
	g.target.inUse = []string{trees[0]} // an attempt
	must(t, g.s.sweepOnce(t.Context()))
	var got []string
	for _, tree := range trees {
		if g.s.store.has(tree) {
			got = append(got, tree)
		}
	}
	if diff := cmp.Diff([]string{trees[0], trees[3], trees[4]}, got); diff != "" {
		t.Errorf("left are the attempt's, the last unused and the live one (-want +got):\n%s", diff)
	}
	g.noLeftOvers()
	// While a sync is at work nothing is deleted.
	g.target.inUse = nil
	g.s.store.use.RLock()
	must(t, g.s.sweepOnce(t.Context()))
	g.s.store.use.RUnlock()
	if !g.s.store.has(trees[0]) {
		t.Error("a checkout was deleted beside a sync")
	}
}

func TestOptionsAreChecked(t *testing.T) {
	good := Options{
		Repos: []Repo{{URL: "/srv/x"}}, Data: t.TempDir(), Self: "x", Checker: fakeChecker{}, Target: newFakeTarget(),
		Log: slog.New(slog.DiscardHandler), Rand: func() float64 { return 0 },
	}
	if _, err := New(good); err != nil {
		t.Errorf("got %v", err)
	}
	for want, change := range map[string]func(*Options){
		"data directory":      func(o *Options) { o.Data = "" },
		"children re-execute": func(o *Options) { o.Self = "" },
		"needs a checker":     func(o *Options) { o.Checker = nil },
		"below 64MB":          func(o *Options) { o.Memory = 1000 },
		"must be positive":    func(o *Options) { o.Depth = -1 },
		`have the name "x"`:   func(o *Options) { o.Repos = append(o.Repos, Repo{URL: "/srv/y/x"}) },
		"url of repository":   func(o *Options) { o.Repos = []Repo{{}} },
	} {
		o := good
		o.Repos = slices.Clone(good.Repos)
		change(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestChildThatIsNoChild(t *testing.T) {
	r := newTestRepo(t)
	r.push(files{"p/a.dig": "1"})
	for program, want := range map[string]string{
		"/bin/false":   "exit status 1",
		"/bin/true":    "fetching child",
		"/no/such/bin": "start fetching child",
	} {
		err := newRig(t, Repo{URL: r.dir}, func(o *Options) { o.Self = program }).trySync()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", program, err, want)
		}
	}
	var out, errs strings.Builder
	if code := FetchChild(strings.NewReader("nonsense"), &out, &errs); code != 2 || !strings.Contains(errs.String(), "error: read the request") {
		t.Errorf("got %d, %q", code, errs.String())
	}
	for _, d := range []Diagnostic{{Severity: Error, Message: "m"}, {File: "f", Severity: Warning, Message: "m"}} {
		if strings.HasPrefix(d.String(), ":") {
			t.Errorf("got %q", d)
		}
	}
}

// A target that cannot take a report is told again.
type deafTarget struct {
	*fakeTarget
	deaf atomic.Bool
}

func (d *deafTarget) Report(ctx context.Context, e Event) error {
	if d.deaf.Load() {
		return errors.New("no space left")
	}
	return d.fakeTarget.Report(ctx, e)
}

func TestReportsAreTriedAgain(t *testing.T) {
	data := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		target := &deafTarget{fakeTarget: newFakeTarget()}
		target.deaf.Store(true)
		remote := &fakeRemote{err: errors.New("away")}
		s, err := New(Options{
			Repos: []Repo{{Name: "flows", URL: "/nowhere"}}, Data: data, Checker: fakeChecker{}, Target: target,
			Log: slog.New(slog.DiscardHandler), Rand: func() float64 { return 0.5 },
			Remote: func(Repo) Remote { return remote },
		})
		must(t, err)
		s.Start(context.Background())
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		target.deaf.Store(false)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		target.deaf.Store(true)
		remote.set("c1", nil)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		target.deaf.Store(false)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		s.Stop()
		if diff := cmp.Diff([]EventKind{SyncFailed, SyncRecovered}, target.kinds()); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

func TestACheckThatCannotBeMadeFailsTheSync(t *testing.T) {
	r := newTestRepo(t)
	r.push(manyProjects(50))
	broken := errors.New("disk error")
	g := newRig(t, Repo{URL: r.dir}, func(o *Options) { o.Checker = failingChecker{broken} })
	if err := g.trySync(); !errors.Is(err, broken) || len(g.target.deployments) != 0 {
		t.Errorf("got %v and %d deployments, want the checker's error and none", err, len(g.target.deployments))
	}
}

type failingChecker struct{ err error }

func (c failingChecker) Check(context.Context, string, string) (Checked, error) {
	return Checked{}, c.err
}
