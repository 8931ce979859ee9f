package gitsync

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// repository is one configured repository at work. Its goroutine, run, owns
// everything but the status, which readers copy under the lock.
type repository struct {
	repo   Repo
	remote Remote
	opts   *Options
	store  *store
	deploy *sync.Mutex // shared by all repositories: names are compared and taken under it
	log    *slog.Logger
	scope  string

	due    chan struct{} // holds one token while a poll is wanted
	health health
	asked  time.Duration // how long the server wants to be left alone
	lost   map[string]bool

	mu     sync.Mutex
	status Status
}

// Status is what a repository is doing, for people to look at.
type Status struct {
	Name         string
	URL          string
	Ref          string
	Path         string
	Phase        string // what it is doing; "waiting" between polls
	Commit       Commit // that is live; zero before the first
	Since        time.Time
	LastPoll     time.Time // zero before the first
	LastSuccess  time.Time
	NextPoll     time.Time
	LastError    string // empty in good health
	FailingSince time.Time
	Failures     int // in a row
	Projects     []LiveProject
	Rejected     []Rejection // by the commit that is live
}

const phaseWaiting = "waiting"

func newRepository(r Repo, remote Remote, o *Options, s *store, deploy *sync.Mutex) *repository {
	return &repository{
		repo: r, remote: remote, opts: o, store: s, deploy: deploy,
		log:    o.Log.With("repo", r.Name),
		scope:  scopeOf(r, o.Limits),
		due:    make(chan struct{}, 1),
		lost:   map[string]bool{},
		status: Status{Name: r.Name, URL: r.URL, Ref: r.Ref, Path: r.Path, Phase: phaseWaiting},
	}
}

// trigger marks the repository as due. However often it is called while one
// poll is under way, one more follows.
func (r *repository) trigger() {
	select {
	case r.due <- struct{}{}:
	default:
	}
}

func (r *repository) snapshot() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.status
	s.Projects = slices.Clone(s.Projects)
	s.Rejected = slices.Clone(s.Rejected)
	return s
}

func (r *repository) update(f func(s *Status)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.status)
}

func (r *repository) phase(p string) { r.update(func(s *Status) { s.Phase = p }) }

// run polls until ctx is done.
func (r *repository) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-r.due:
		}
		select { // a mark set by now is answered by this poll
		case <-r.due:
		default:
		}
		r.poll(ctx)
		now := time.Now()
		wait := pause(r.health, now, rhythm{r.repo.Poll, r.opts.AlertAfter, r.asked}, r.opts.Rand())
		r.update(func(s *Status) { s.Phase, s.NextPoll = phaseWaiting, now.Add(wait) })
		timer.Reset(wait)
	}
}

// poll makes one sync and books how it went.
func (r *repository) poll(ctx context.Context) {
	live, err := r.sync(ctx)
	if ctx.Err() != nil {
		return // stopping is neither success nor failure
	}
	now := time.Now()
	if err != nil {
		r.failed(ctx, now, live, err)
	} else {
		r.succeeded(ctx, now, live)
	}
	r.update(func(s *Status) {
		s.LastPoll, s.LastError, s.FailingSince, s.Failures = now, r.health.lastErr, r.health.since, r.health.failures
		if err == nil {
			s.LastSuccess = now
		}
	})
}

func (r *repository) failed(ctx context.Context, now time.Time, live Live, err error) {
	if r.health.failures == 0 || r.health.lastErr != err.Error() {
		r.log.Warn("sync failed", "err", err)
	}
	r.asked = 0
	if ra := (retryAfterError{}); errors.As(err, &ra) {
		r.asked = ra.after
	}
	r.health = r.health.failed(now, err)
	r.health.alerted = r.health.alerted || live.Failing
	if !alertDue(r.health, now, r.opts.AlertAfter) {
		return
	}
	e := Event{Kind: SyncFailed, Repo: r.repo.Name, Time: now, Since: r.health.since, Err: r.health.lastErr}
	if err := r.opts.Target.Report(ctx, e); err != nil {
		r.log.Error("sync failure could not be reported", "err", err)
		return // tried again at the next poll
	}
	r.health.alerted = true
}

func (r *repository) succeeded(ctx context.Context, now time.Time, live Live) {
	if r.health.failures > 0 {
		r.log.Info("sync recovered", "failures", r.health.failures, "since", r.health.since)
	}
	if r.health.alerted || live.Failing {
		e := Event{Kind: SyncRecovered, Repo: r.repo.Name, Time: now, Since: r.health.since}
		if err := r.opts.Target.Report(ctx, e); err != nil {
			r.log.Error("sync recovery could not be reported", "err", err)
			r.health = health{alerted: true} // tried again at the next poll
			return
		}
	}
	r.health, r.asked = health{}, 0
}
